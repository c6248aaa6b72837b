#include "sluice/http/chunked.h"

#include <algorithm>

#include "sluice/base/strings.h"
#include "sluice/http/chars.h"

namespace sluice::http {
namespace {

constexpr uint8_t kMostDigits = 16;
constexpr uint64_t kMostSize = INT64_MAX;
constexpr size_t kSmallPiece = 512;

bool is_space(char c) noexcept { return c == ' ' || c == '\t'; }

}  // namespace

void ChunkedDecoder::reset() {
  state_ = State::kSize;
  digits_ = 0;
  line_bytes_ = 0;
  left_ = 0;
  trailers_.clear();
  scanner_.reset();
}

Status ChunkedDecoder::decode(Slice& input, Chain& body, const HeadLimits& limits) {
  const char* run_end = nullptr;  // of the data of this input so far
  while (!input.is_empty() && state_ != State::kDone) {
    if (state_ == State::kData) {
      run_end = take_data(input, body, run_end);
    } else if (state_ == State::kTrailers) {
      SL_TRY([[maybe_unused]] Ok ok, take_trailers(input, limits));
    } else if (const char* fault = take_lines(input)) {
      return Error(Errc::kBadChunk, fault);
    }
  }
  return Ok{};
}

// Small pieces close up, or a body of tiny chunks behind a slow reader would take many times its
// size. Returns where the data of this input end now.
const char* ChunkedDecoder::take_data(Slice& input, Chain& body, const char* run_end) {
  const auto size = static_cast<size_t>(std::min<uint64_t>(input.size(), left_));
  Slice piece = input.sub(0, size);
  input.remove_prefix(size);
  left_ -= size;
  if (left_ == 0) state_ = State::kDataCr;
  if (run_end != nullptr && size <= kSmallPiece) piece.slide_to(run_end);
  run_end = piece.data() + size;
  body.push_back(std::move(piece));
  return run_end;
}

// All between two runs of data, byte by byte.
const char* ChunkedDecoder::take_lines(Slice& input) noexcept {
  const std::string_view bytes = input.view();
  size_t taken = 0;
  const char* fault = nullptr;
  while (taken < bytes.size() && fault == nullptr && state_ != State::kData &&
         state_ != State::kTrailers) {
    fault = take_line_byte(bytes[taken++]);
  }
  input.remove_prefix(taken);
  return fault;
}

// RFC 9112 section 7.1: chunk = chunk-size [ chunk-ext ] CRLF chunk-data CRLF
const char* ChunkedDecoder::take_line_byte(char byte) noexcept {
  switch (state_) {
    case State::kSize:
    case State::kSizeRest:
      return take_digit(byte);
    case State::kExtension:
      if (++line_bytes_ > kMaxChunkLine) return "a chunk extension over the limit";
      return take_extension_byte(byte);
    case State::kSizeLf:
      if (byte != '\n') return "a bare CR after a chunk size";
      state_ = left_ > 0 ? State::kData : State::kTrailers;
      return nullptr;
    case State::kDataCr:
      if (byte != '\r') return "chunk data longer than its size";
      state_ = State::kDataLf;
      return nullptr;
    case State::kDataLf:
      if (byte != '\n') return "a bare CR after chunk data";
      state_ = State::kSize;
      digits_ = 0;
      line_bytes_ = 0;
      return nullptr;
    case State::kData:
    case State::kTrailers:
    case State::kDone:
      break;
  }
  SL_CHECK(!"a state without line bytes");
  return nullptr;
}

const char* ChunkedDecoder::take_digit(char byte) noexcept {
  const int digit = hex_value(byte);
  if (digit >= 0) {
    // Leading zeros count, so that a size line stays short.
    if (++digits_ > kMostDigits) return "a chunk size of more than 16 digits";
    left_ = left_ << 4 | static_cast<uint64_t>(digit);
    if (left_ > kMostSize) return "a chunk size over the limit";
    state_ = State::kSizeRest;
    return nullptr;
  }
  if (state_ == State::kSize) return "a chunk size without digits";
  if (byte == '\r') {
    state_ = State::kSizeLf;
    return nullptr;
  }
  if (byte != ';' && !is_space(byte)) return "a malformed chunk size";
  state_ = State::kExtension;
  extension_ = Extension::kBeforeSemicolon;
  line_bytes_ = static_cast<uint16_t>(digits_ + 1);
  return take_extension_byte(byte);
}

// RFC 9112 section 7.1.1: *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] ), then CR.
const char* ChunkedDecoder::take_extension_byte(char byte) noexcept {
  const bool ends_value = extension_ == Extension::kName || extension_ == Extension::kToken ||
                          extension_ == Extension::kAfterQuoted;
  if (byte == '\r' && ends_value) {
    state_ = State::kSizeLf;
    return nullptr;
  }
  if (byte == ';' && (ends_value || extension_ == Extension::kBeforeSemicolon ||
                      extension_ == Extension::kAfterName)) {
    extension_ = Extension::kNameStart;
    return nullptr;
  }
  switch (extension_) {
    case Extension::kNameStart:
    case Extension::kName:
      if (is_char(byte, kCharToken)) {
        extension_ = Extension::kName;
        return nullptr;
      }
      if (extension_ == Extension::kNameStart && is_space(byte)) return nullptr;
      if (extension_ == Extension::kNameStart) break;
      [[fallthrough]];
    case Extension::kAfterName:
      if (byte == '=') {
        extension_ = Extension::kValueStart;
        return nullptr;
      }
      if (!is_space(byte)) break;
      extension_ = Extension::kAfterName;
      return nullptr;
    case Extension::kValueStart:
      if (is_space(byte)) return nullptr;
      if (byte != '"' && !is_char(byte, kCharToken)) break;
      extension_ = byte == '"' ? Extension::kQuoted : Extension::kToken;
      return nullptr;
    case Extension::kQuoted:
      if (!is_char(byte, kCharValue)) break;
      if (byte == '"') extension_ = Extension::kAfterQuoted;
      if (byte == '\\') extension_ = Extension::kQuotedPair;
      return nullptr;
    case Extension::kQuotedPair:
      if (!is_char(byte, kCharValue)) break;
      extension_ = Extension::kQuoted;
      return nullptr;
    case Extension::kToken:
      if (is_char(byte, kCharToken)) return nullptr;
      [[fallthrough]];
    case Extension::kAfterQuoted:
    case Extension::kBeforeSemicolon:
      if (!is_space(byte)) break;
      extension_ = Extension::kBeforeSemicolon;
      return nullptr;
  }
  return "a malformed chunk extension";
}

// RFC 9112 section 7.1.2: field lines and the empty line, kept as they are for parse_trailers.
Status ChunkedDecoder::take_trailers(Slice& input, const HeadLimits& limits) {
  if (trailers_.empty() && input.view().starts_with("\r\n")) {
    trailers_ = "\r\n";
    input.remove_prefix(2);
    state_ = State::kDone;
    return Ok{};
  }
  HeadLimits section = limits;
  section.target = limits.head;  // the first line is no request line
  const size_t before = trailers_.size();
  const size_t room = limits.head > before ? static_cast<size_t>(limits.head) - before : 0;
  trailers_.append(input.data(), std::min(input.size(), room));
  auto end = scanner_.scan(trailers_, section);
  if (!end) {
    if (end.error().code() == Errc::kBadRequest) {
      return Error(Errc::kBadChunk, "a malformed trailer line");
    }
    return Error(Errc::kHeadTooLarge, "trailers over the limit");
  }
  if (*end == 0) {
    input = Slice();
    return Ok{};
  }
  trailers_.resize(*end);
  input.remove_prefix(*end - before);
  state_ = State::kDone;
  return Ok{};
}

size_t write_chunk_size(char* out, uint64_t size) noexcept {
  int digits = 1;
  while (digits < 16 && size >> (4 * digits) != 0) ++digits;
  for (int i = digits; i > 0; --i) {
    out[i - 1] = "0123456789abcdef"[size & 15];
    size >>= 4;
  }
  out[digits] = '\r';
  out[digits + 1] = '\n';
  return static_cast<size_t>(digits) + 2;
}

void ChunkedWriter::write(Chain&& body, ChunkPool& pool, Chain& out) {
  if (body.is_empty()) return;
  if (lines_ == nullptr || lines_->capacity - used_ < kMostSizeLine) {
    end();
    lines_ = pool.get();
  }
  char* line = lines_->data() + used_;
  const size_t length = write_chunk_size(line, body.size());
  used_ += length;
  out.push_back(Slice::of_chunk(lines_, line, length));
  out.append(std::move(body));
  out.push_back(Slice::from_static("\r\n"));
}

void ChunkedWriter::end() noexcept {
  if (lines_ != nullptr) ChunkPool::unref(lines_);
  lines_ = nullptr;
  used_ = 0;
}

}  // namespace sluice::http
