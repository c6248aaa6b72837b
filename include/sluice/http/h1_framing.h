// The strict part of HTTP/1 parsing: where a head ends, and what may stand in it (RFC 9112).
//
// llhttp hides line ends and forgives some of what makes request smuggling work, so each raw head
// passes here first: every line ends with CRLF, no NUL, no bare CR or LF, no obs-fold, a field name
// is a token directly followed by a colon, values hold no control characters but HTAB. Afterwards
// the body's framing is decided (section 6.3). Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "sluice/base/error.h"
#include "sluice/http/message.h"

namespace sluice::http {

struct HeadLimits {
  uint64_t head = 32 * 1024;  // bytes of the whole head
  uint32_t fields = 128;
  uint64_t target = 8 * 1024;  // requests only
};

// Finds the end of a head in bytes that come piece by piece. Bytes seen are not looked at again.
class HeadScanner {
 public:
  // `bytes` is all that has come of this head so far (it only grows between calls). Returns the
  // head's length with the empty line, 0 when it is not complete yet, or an Error:
  // kBadRequest (bare LF, NUL), kTargetTooLong (the first line alone is over the limits) or
  // kHeadTooLarge. For responses the same codes; the caller maps them.
  Result<size_t> scan(std::string_view bytes, const HeadLimits& limits) noexcept;
  void reset() noexcept { position_ = line_start_ = 0; }

 private:
  size_t position_ = 0;
  size_t line_start_ = 0;
};

// RFC 9112 section 2.2: empty lines (CRLF) before a request line are skipped. How many bytes of
// them `bytes` begins with.
size_t leading_empty_lines(std::string_view bytes) noexcept;

// Checks every line of a complete head. `first_line_is_status`: response.
Status check_request_lines(std::string_view head, const HeadLimits& limits) noexcept;
Status check_response_lines(std::string_view head, const HeadLimits& limits) noexcept;

// Checks the field lines of a trailer section, which ends with the empty line.
Status check_trailer_lines(std::string_view trailers, const HeadLimits& limits) noexcept;

// RFC 9112 section 6.3 for requests: kBadFraming for Content-Length with Transfer-Encoding, lists
// or differing or malformed lengths, any coding but exactly one `chunked`, or Transfer-Encoding in
// HTTP/1.0.
Result<Framing> request_framing(const FieldList& fields, int minor_version) noexcept;
// For responses to `method` with `status`: kBadResponse for the same faults.
Result<Framing> response_framing(const FieldList& fields, int minor_version, int status,
                                 Method method) noexcept;

}  // namespace sluice::http
