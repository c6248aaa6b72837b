// What a Redis server sends: whole, byte by byte and cut anywhere it reads as the same replies and
// the same error, a reply keeps the limits, and so does the memory that is held meanwhile.
#include <algorithm>

#include "heads.h"
#include "sluice/redis/resp.h"

using namespace sluice;
using namespace sluice::redis;
using http::fuzz::expect;

namespace {

// A bulk may be as large as to get a block of its own.
constexpr RespLimits kLimits{.bulk = 6000, .reply = 9000, .line = 64, .elements = 48};
constexpr size_t kMostPiece = 16 * 1024;

// On the heap, by malloc and new.
int64_t g_live = 0, g_peak = 0;

// Most that one reply may take: its bulks, its lines, and its values three times over, which is
// what a vector has at the moment it grows.
constexpr int64_t kMostBytes = kLimits.reply + (kLimits.elements + 2) * (kLimits.line + 128) +
                               (kLimits.elements + 2) * 2 * 3 * sizeof(Value);

// Cuts as the bytes of the input say, so that the fuzzer finds the cuts that matter.
class Cuts {
 public:
  Cuts(std::string_view seed, size_t size) : seed_(seed), size_(size) {}
  size_t next() noexcept {
    if (seed_.empty()) return size_;
    const auto byte = static_cast<unsigned char>(seed_[at_++ % seed_.size()]);
    return byte < 0xc0 ? 1 + byte % 16 : size_t{byte} * 32;
  }

 private:
  std::string_view seed_;
  size_t size_, at_ = 0;
};

struct Sums {
  size_t values = 0, bulk_bytes = 0;
};

std::string_view name_of(Type type) noexcept {
  switch (type) {
    case Type::kStatus:
      return "status ";
    case Type::kError:
      return "error ";
    case Type::kInteger:
      return "integer ";
    case Type::kBulk:
      return "bulk ";
    case Type::kNil:
      return "nil ";
    case Type::kArray:
      return "array ";
  }
  return "?";
}

void write(const Reply& reply, size_t depth, Sums& sums, std::string& out) {
  expect(depth <= kMostDepth, "no reply is nested deeper than is allowed");
  ++sums.values;
  out += name_of(reply.type());
  switch (reply.type()) {
    case Type::kStatus:
    case Type::kError:
      expect(reply.text().size() + 3 <= kLimits.line, "a line keeps its limit");
      expect(reply.text().find_first_of("\r\n") == std::string_view::npos, "and is one line");
      out += reply.text();
      break;
    case Type::kBulk:
      expect(reply.text().size() <= kLimits.bulk, "a bulk keeps its limit");
      sums.bulk_bytes += reply.text().size();
      out += std::to_string(reply.text().size()) + ' ';
      out += reply.text();
      break;
    case Type::kInteger:
      out += std::to_string(reply.integer());
      break;
    case Type::kNil:
      expect(reply.is_nil() && reply.text().empty(), "nil has no text");
      break;
    case Type::kArray: {
      size_t count = 0;
      out += std::to_string(reply.size()) + " (";
      for (const Reply& element : reply) {
        expect(reply.at(count).type() == element.type(), "at() is the element of that place");
        write(element, depth + 1, sums, out);
        ++count;
      }
      out += ')';
      expect(count == reply.size(), "an array has as many elements as it says");
      expect(reply.at(count).is_nil(), "and nil behind them");
      break;
    }
  }
  out += '\n';
}

Slice as_read(ChunkPool& pool, std::string_view bytes) {
  Chunk* chunk = pool.get(bytes.size());
  bytes.copy(chunk->data(), bytes.size());
  Slice slice = Slice::of_chunk(chunk, chunk->data(), bytes.size());
  ChunkPool::unref(chunk);
  return slice;
}

RespReader::Step next_within_limits(RespReader& reader, int64_t live) {
  g_peak = g_live;
  const RespReader::Step step = reader.next();
  expect(g_peak <= live + kMostBytes, "no more memory is held than one reply may take");
  return step;
}

// All replies and the end as text.
std::string read(RespReader& reader, std::string_view bytes, Cuts cuts, ChunkPool& pool) {
  std::string out;
  while (!bytes.empty()) {
    const size_t size = std::min({bytes.size(), cuts.next(), kMostPiece});
    Slice piece = as_read(pool, bytes.substr(0, size));
    bytes.remove_prefix(size);
    const int64_t live = g_live;
    reader.feed(std::move(piece));
    RespReader::Step step = next_within_limits(reader, live);
    for (; step == RespReader::Step::kReply; step = next_within_limits(reader, g_live)) {
      Sums sums;
      write(reader.reply(), 0, sums, out);
      expect(sums.bulk_bytes <= kLimits.reply, "the bulks of a reply keep their limit");
      expect(sums.values <= kLimits.elements + 1, "the elements of a reply keep theirs");
    }
    if (step == RespReader::Step::kMore) continue;
    reader.feed(as_read(pool, "+OK\r\n"));
    expect(reader.next() == RespReader::Step::kBroken, "what is broken stays broken");
    return out + "broken: " + reader.error();
  }
  return out + "more";
}

}  // namespace

// Of the address sanitizer: absent where the coverage of lines is counted.
extern "C" {
__attribute__((weak)) int __sanitizer_install_malloc_and_free_hooks(
    void (*on_malloc)(const volatile void*, size_t), void (*on_free)(const volatile void*));
__attribute__((weak)) size_t __sanitizer_get_allocated_size(const volatile void* block);
}

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  if (__sanitizer_install_malloc_and_free_hooks == nullptr) return 0;
  __sanitizer_install_malloc_and_free_hooks(
      [](const volatile void*, size_t size) {
        g_live += static_cast<int64_t>(size);
        g_peak = std::max(g_peak, g_live);
      },
      [](const volatile void* block) {
        if (block != nullptr) g_live -= static_cast<int64_t>(__sanitizer_get_allocated_size(block));
      });
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::string_view tail = bytes.substr(size - std::min<size_t>(size, 3));
  ChunkPool pool;
  RespReader reader(kLimits);
  const std::string whole = read(reader, bytes, Cuts({}, kMostPiece), pool);
  for (const Cuts& cuts : {Cuts({}, 1), Cuts(bytes, 1), Cuts(tail, 1)}) {
    reader.reset();
    expect(read(reader, bytes, cuts, pool) == whole, "cut anywhere it reads the same");
  }
  RespReader other(kLimits);
  expect(read(other, bytes, Cuts(tail, 1), pool) == whole, "and so does a fresh reader");
  return 0;
}
