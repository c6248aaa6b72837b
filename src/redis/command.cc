#include "sluice/redis/command.h"

#include <utility>

#include "sluice/base/strings.h"

namespace sluice::redis {
namespace {

constexpr size_t kMostHeader = 1 + 20 + 2;  // "$", the digits of a size, CR LF

void write_header(char kind, size_t size, ChainWriter& writer) {
  char* line = writer.reserve(kMostHeader);
  line[0] = kind;
  const size_t digits = write_decimal(line + 1, size);
  line[1 + digits] = '\r';
  line[2 + digits] = '\n';
  writer.commit(3 + digits);
}

}  // namespace

size_t command_size(Args args) noexcept {
  size_t size = kMostHeader;
  for (const Arg& arg : args) size += kMostHeader + arg.size() + 2;
  return size;
}

void write_command(Args args, ChainWriter& writer, Chain& out) {
  write_header('*', args.size(), writer);
  for (const Arg& arg : args) {
    write_header('$', arg.size(), writer);
    if (Chain* chain = arg.chain()) {
      writer.flush();
      out.append(std::exchange(*chain, Chain()));
    } else {
      writer.write(arg.bytes());
    }
    writer.write("\r\n");
  }
}

}  // namespace sluice::redis
