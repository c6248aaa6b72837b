// A command's arguments, and how they are written for the server (a RESP array of bulks).
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "sluice/base/chain.h"

namespace sluice::redis {

// One argument, binary safe: bytes that are copied, or a chain whose slices go out as they are and
// which is empty once the command was written (a refused command leaves it as it is). Both are used
// only inside the call that takes the Arg.
class Arg {
 public:
  Arg(std::string_view bytes) noexcept : bytes_(bytes) {}    // NOLINT: implicit
  Arg(const std::string& bytes) noexcept : bytes_(bytes) {}  // NOLINT: implicit
  Arg(const char* text) noexcept : bytes_(text) {}           // NOLINT: implicit
  Arg(Chain& chain) noexcept : chain_(&chain) {}             // NOLINT: implicit

  size_t size() const noexcept { return chain_ != nullptr ? chain_->size() : bytes_.size(); }
  std::string_view bytes() const noexcept { return bytes_; }
  Chain* chain() const noexcept { return chain_; }

 private:
  std::string_view bytes_;
  Chain* chain_ = nullptr;
};

using Args = std::span<const Arg>;

// Bytes on the wire, at most.
size_t command_size(Args args) noexcept;
// `writer` writes into `out`.
void write_command(Args args, ChainWriter& writer, Chain& out);

}  // namespace sluice::redis
