// The walk over the lines of a complete head, shared by the checks and the parser. Private to http.
//
// One pass, without allocation: sixteen bytes at a time in values where the machine has SSE2, else
// by table. Every fault ends the walk with its place in words.
#pragma once

#include <cstdint>
#include <string_view>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "sluice/base/error.h"
#include "sluice/http/chars.h"
#include "sluice/http/h1_framing.h"

namespace sluice::http {

// A field line as the walk saw it.
struct LineMarks {
  const char* name;
  const char* colon;
  const char* end;  // of the value, with the white space around it
};

struct RequestLines {
  std::string_view method, target;
  std::string_view after_method;  // from the space behind the method to the head's end
  std::string_view field_lines;   // with the empty line
  uint8_t minor_version = 1;
  uint32_t fields = 0;
  static constexpr uint32_t kMostMarks = 32;
  LineMarks marks[kMostMarks];  // of the first so many field lines
};
struct StatusLines {
  int status = 0;
  std::string_view reason;
  uint8_t minor_version = 1;
  uint32_t fields = 0;
};
// As check_request_lines and check_response_lines, telling what they saw. No error: Errc::kNone.
Error walk_request(std::string_view head, const HeadLimits& limits, RequestLines& seen) noexcept;
Error walk_response(std::string_view head, const HeadLimits& limits, StatusLines& seen) noexcept;

// The first byte that may not stand in a field value (RFC 9110 section 5.5), or `end`.
inline const char* skip_value(const char* at, const char* end) noexcept {
#ifdef __SSE2__
  for (; end - at >= 16; at += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
    const __m128i tab = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\t'));
    const __m128i del = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f));
    const int bad = _mm_movemask_epi8(_mm_or_si128(_mm_andnot_si128(tab, control), del));
    if (bad != 0) return at + __builtin_ctz(static_cast<unsigned>(bad));
  }
#endif
  while (at < end && is_char(*at, kCharValue)) ++at;
  return at;
}

inline const char* skip_token(const char* at, const char* end) noexcept {
  while (at < end && is_char(*at, kCharToken)) ++at;
  return at;
}

inline bool is_crlf(const char* at, const char* end) noexcept {
  return end - at >= 2 && at[0] == '\r' && at[1] == '\n';
}

const char* bad_name_text(const char* at, const char* end, bool is_empty) noexcept;
const char* bad_value_text(const char* at, const char* end) noexcept;

// Walks field lines from `at` to the empty line, which must be the last thing before `end`. Calls
// sink(name, value) for each; the value still has the white space around it. The fault or nullptr.
template <typename Sink>
const char* walk_fields(const char* at, const char* end, Sink&& sink) noexcept {
  while (!is_crlf(at, end)) {
    const char* colon = skip_token(at, end);
    if (colon == at || colon == end || *colon != ':') return bad_name_text(colon, end, colon == at);
    const char* line_end = skip_value(colon + 1, end);
    if (!is_crlf(line_end, end)) return bad_value_text(line_end, end);
    sink(std::string_view(at, static_cast<size_t>(colon - at)),
         std::string_view(colon + 1, static_cast<size_t>(line_end - colon - 1)));
    at = line_end + 2;
  }
  return at + 2 == end ? nullptr : "bytes after the empty line";
}

}  // namespace sluice::http
