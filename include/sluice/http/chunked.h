// The chunked transfer coding (RFC 9112 section 7.1), strict and incremental, both ways.
//
// Ours rather than llhttp's, since llhttp forgives line ends and folds in chunk lines and trailers.
// Chunk extensions are checked for their grammar, bounded (kMaxChunkLine) and dropped. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "sluice/base/chain.h"
#include "sluice/base/chunk_pool.h"
#include "sluice/base/error.h"
#include "sluice/http/h1_framing.h"

namespace sluice::http {

inline constexpr size_t kMaxChunkLine = 256;  // size, extensions and CR

class ChunkedDecoder {
 public:
  // Consumes from `input` and appends body bytes to `body` (sharing memory; small chunks are moved
  // together over the lines between them). Stops at the end of the message: what is left in `input`
  // belongs to the next one.
  // Error: kBadChunk with the place in words; kHeadTooLarge for a trailer section over the limit.
  Status decode(Slice& input, Chain& body, const HeadLimits& limits);
  bool is_done() const noexcept { return state_ == State::kDone; }
  // The trailer section's lines with its empty line, unchecked by llhttp; empty until is_done().
  // "\r\n" when there were no trailers.
  std::string_view trailer_lines() const noexcept {
    return is_done() ? std::string_view(trailers_) : std::string_view();
  }
  void reset();

 private:
  enum class State : uint8_t {
    kSize,      // at the first digit
    kSizeRest,  // digits, then ";" or CR
    kExtension,
    kSizeLf,
    kData,
    kDataCr,
    kDataLf,
    kTrailers,
    kDone
  };
  enum class Extension : uint8_t {
    kBeforeSemicolon,  // bad white space was seen: only more of it or ";" may follow
    kNameStart,
    kName,
    kAfterName,  // bad white space: "=" or ";" may follow
    kValueStart,
    kToken,
    kQuoted,
    kQuotedPair,
    kAfterQuoted,  // ";" or CR
  };
  // What is wrong, in words, or nullptr.
  const char* take_line_byte(char byte) noexcept;
  const char* take_digit(char byte) noexcept;
  const char* take_extension_byte(char byte) noexcept;
  const char* take_lines(Slice& input) noexcept;
  const char* take_data(Slice& input, Chain& body, const char* run_end);
  Status take_trailers(Slice& input, const HeadLimits& limits);

  State state_ = State::kSize;
  Extension extension_ = Extension::kBeforeSemicolon;
  uint8_t digits_ = 0;
  uint16_t line_bytes_ = 0;
  uint64_t left_ = 0;
  std::string trailers_;  // grows beyond its own bytes only when a message has trailers
  HeadScanner scanner_;
};

// The size line of a chunk: "1a2b\r\n" into `out` (at least kMostSizeLine); returns the length.
inline constexpr size_t kMostSizeLine = 18;
size_t write_chunk_size(char* out, uint64_t size) noexcept;

// Puts the frame of the coding around body bytes. The size lines of one message share pool chunks,
// so that many small pieces behind a slow reader do not pin one each.
class ChunkedWriter {
 public:
  ChunkedWriter() noexcept = default;
  ~ChunkedWriter() { end(); }
  ChunkedWriter(const ChunkedWriter&) = delete;
  ChunkedWriter& operator=(const ChunkedWriter&) = delete;

  // One chunk; nothing when `body` is empty, since that would be the last one.
  void write(Chain&& body, ChunkPool& pool, Chain& out);
  // No more chunks come: lets go of the memory.
  void end() noexcept;

 private:
  Chunk* lines_ = nullptr;
  size_t used_ = 0;
};

}  // namespace sluice::http
