#include "sluice/http/h1_framing.h"

#include <algorithm>

#include "h1_lines.h"
#include "sluice/base/strings.h"

namespace sluice::http {
namespace {

// What a first line may have besides its target: method, two spaces, version.
constexpr uint64_t kFirstLineSlack = 256;
constexpr size_t kVersionSize = 8;  // "HTTP/1.1"

// The first LF or NUL, or `end`.
const char* find_lf_or_nul(const char* at, const char* end) noexcept {
#ifdef __SSE2__
  for (; end - at >= 16; at += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const __m128i hit = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('\n')),
                                     _mm_cmpeq_epi8(bytes, _mm_setzero_si128()));
    const int mask = _mm_movemask_epi8(hit);
    if (mask != 0) return at + __builtin_ctz(static_cast<unsigned>(mask));
  }
#endif
  while (at < end && *at != '\n' && *at != '\0') ++at;
  return at;
}

}  // namespace

Result<size_t> HeadScanner::scan(std::string_view bytes, const HeadLimits& limits) noexcept {
  // A lone CR may be an empty line that the caller skips once it is whole; nothing is seen yet.
  if (bytes == "\r") return size_t{0};
  SL_CHECK(position_ <= bytes.size());
  const char* const begin = bytes.data();
  const uint64_t first_line_most = std::min(limits.head, limits.target + kFirstLineSlack);
  for (;;) {
    // Nothing beyond a limit is looked at, so that pieces and the whole fail alike.
    const uint64_t limit = line_start_ == 0 ? first_line_most : limits.head;
    const size_t most = std::min<uint64_t>(bytes.size(), limit);
    const char* at = find_lf_or_nul(begin + position_, begin + most);
    if (at == begin + most) {
      position_ = most;
      if (bytes.size() < limit) return size_t{0};
      return line_start_ == 0 ? Errc::kTargetTooLong : Errc::kHeadTooLarge;
    }
    if (*at == '\0') return Error(Errc::kBadRequest, "a NUL byte");
    if (at == begin || at[-1] != '\r') return Error(Errc::kBadRequest, "a bare LF");
    const size_t line_end = static_cast<size_t>(at - begin) + 1;
    if (line_end == line_start_ + 2) return line_end;
    position_ = line_start_ = line_end;
  }
}

size_t leading_empty_lines(std::string_view bytes) noexcept {
  size_t at = 0;
  while (bytes.size() - at >= 2 && bytes[at] == '\r' && bytes[at + 1] == '\n') at += 2;
  return at;
}

const char* bad_name_text(const char* at, const char* end, bool is_empty) noexcept {
  if (at == end) return "a head without its empty line";
  switch (*at) {
    case ' ':
    case '\t':
      // RFC 9112 sections 5.1 and 5.2
      return is_empty ? "a folded field line" : "white space before a colon";
    case ':':
      return "an empty field name";
    case '\0':
      return "a NUL byte";
    case '\n':
      return "a bare LF";
    case '\r':
      return end - at >= 2 && at[1] == '\n' ? "a field line without a colon" : "a bare CR";
    default:
      return "a field name that is not a token";
  }
}

const char* bad_value_text(const char* at, const char* end) noexcept {
  if (at == end) return "a head without its empty line";
  switch (*at) {
    case '\0':
      return "a NUL byte";
    case '\n':
      return "a bare LF";
    case '\r':
      return "a bare CR";  // RFC 9112 section 2.2
    default:
      return "a control character in a field value";
  }
}

namespace {

bool is_version(const char* at) noexcept {
  return std::string_view(at, 5) == "HTTP/" && is_digit(at[5]) && at[6] == '.' && is_digit(at[7]);
}

// RFC 9112 section 3: method SP request-target SP HTTP-version CRLF, nothing else between them.
Error walk_request_line(const char*& at, const char* end, const HeadLimits& limits,
                        RequestLines& seen) noexcept {
  const char* begin = at;
  const char* method_end = skip_token(begin, end);
  if (method_end == begin || method_end == end || *method_end != ' ') {
    return {Errc::kBadRequest, "a method that is not a token and one space"};
  }
  const char* target = method_end + 1;
  const char* target_end = target;
  while (target_end < end && is_char(*target_end, kCharTarget)) ++target_end;
  if (target_end == end) return {Errc::kBadRequest, "a request line without its end"};
  if (*target_end != ' ') {
    if (*target_end == '\r') return {Errc::kBadRequest, "a request line without a version"};
    return {Errc::kBadTarget, "a byte that may not stand in a request target"};
  }
  if (target_end == target) return {Errc::kBadRequest, "two spaces in the request line"};
  seen.method = {begin, static_cast<size_t>(method_end - begin)};
  seen.target = {target, static_cast<size_t>(target_end - target)};
  if (seen.target.size() > limits.target) return {Errc::kTargetTooLong};

  const char* version = target_end + 1;
  if (end - version < static_cast<ptrdiff_t>(kVersionSize + 2) || !is_version(version)) {
    return {Errc::kBadRequest, "a malformed HTTP version"};
  }
  if (!is_crlf(version + kVersionSize, end)) {
    return {Errc::kBadRequest, "bytes behind the HTTP version"};
  }
  if (version[5] != '1' || version[7] > '1') return {Errc::kBadVersion};
  seen.minor_version = static_cast<uint8_t>(version[7] - '0');
  seen.after_method = {method_end, static_cast<size_t>(end - method_end)};
  at = version + kVersionSize + 2;
  return {};
}

// RFC 9112 section 4: HTTP-version SP status-code SP [reason-phrase] CRLF.
const char* walk_status_line(const char*& at, const char* end, StatusLines& seen) noexcept {
  const char* begin = at;
  if (end - begin < static_cast<ptrdiff_t>(kVersionSize + 5) || !is_version(begin)) {
    return "a malformed status line";
  }
  if (begin[5] != '1' || begin[7] > '1') return "an HTTP version other than 1.0 and 1.1";
  const char* code = begin + kVersionSize + 1;
  if (code[-1] != ' ' || !is_digit(code[0]) || !is_digit(code[1]) || !is_digit(code[2]) ||
      code[3] != ' ') {
    return "a malformed status code";
  }
  seen.status = (code[0] - '0') * 100 + (code[1] - '0') * 10 + (code[2] - '0');
  if (seen.status < 100 || seen.status > 599) return "a status code outside 100 to 599";
  const char* reason = code + 4;
  const char* reason_end = skip_value(reason, end);
  if (!is_crlf(reason_end, end)) return bad_value_text(reason_end, end);
  seen.minor_version = static_cast<uint8_t>(begin[7] - '0');
  seen.reason = {reason, static_cast<size_t>(reason_end - reason)};
  at = reason_end + 2;
  return nullptr;
}

}  // namespace

Error walk_request(std::string_view head, const HeadLimits& limits, RequestLines& seen) noexcept {
  if (head.size() > limits.head) return {Errc::kHeadTooLarge};
  const char* at = head.data();
  const char* end = at + head.size();
  if (Error error = walk_request_line(at, end, limits, seen)) return error;
  seen.field_lines = {at, static_cast<size_t>(end - at)};
  auto note = [&seen](std::string_view name, std::string_view value) noexcept {
    const uint32_t index = seen.fields++;
    if (index >= RequestLines::kMostMarks) return;
    seen.marks[index] = {name.data(), name.data() + name.size(), value.data() + value.size()};
  };
  if (const char* fault = walk_fields(at, end, note)) return {Errc::kBadRequest, fault};
  if (seen.fields > limits.fields) return {Errc::kTooManyFields};
  return {};
}

Error walk_response(std::string_view head, const HeadLimits& limits, StatusLines& seen) noexcept {
  if (head.size() > limits.head) return {Errc::kResponseHeadTooLarge};
  const char* at = head.data();
  const char* end = at + head.size();
  if (const char* fault = walk_status_line(at, end, seen)) return {Errc::kBadResponse, fault};
  auto count = [&seen](std::string_view, std::string_view) noexcept { ++seen.fields; };
  if (const char* fault = walk_fields(at, end, count)) return {Errc::kBadResponse, fault};
  if (seen.fields > limits.fields) return {Errc::kResponseHeadTooLarge, "too many field lines"};
  return {};
}

Status check_request_lines(std::string_view head, const HeadLimits& limits) noexcept {
  RequestLines seen;
  if (Error error = walk_request(head, limits, seen)) return error;
  return Ok{};
}

Status check_response_lines(std::string_view head, const HeadLimits& limits) noexcept {
  StatusLines seen;
  if (Error error = walk_response(head, limits, seen)) return error;
  return Ok{};
}

Status check_trailer_lines(std::string_view trailers, const HeadLimits& limits) noexcept {
  if (trailers.size() > limits.head) return Error(Errc::kHeadTooLarge, "trailers over the limit");
  uint32_t fields = 0;
  auto count = [&fields](std::string_view, std::string_view) noexcept { ++fields; };
  const char* begin = trailers.data();
  if (const char* fault = walk_fields(begin, begin + trailers.size(), count)) {
    return Error(Errc::kBadChunk, fault);
  }
  if (fields > limits.fields) return Error(Errc::kTooManyFields, "too many trailer fields");
  return Ok{};
}

namespace {

struct BodyFields {
  Framing framing;  // as the fields say it, `none` when there are none of them
  bool has_length = false;
  const char* fault = nullptr;
};

// RFC 9112 section 6.3 lets a recipient repair some of these; each of them is how two
// implementations come to disagree about where a message ends, so all are refused.
BodyFields read_body_fields(const FieldList& fields, int minor_version) noexcept {
  BodyFields body;
  const Field* coding = fields.find(FieldId::kTransferEncoding);
  const Field* length = fields.find(FieldId::kContentLength);
  if (coding != nullptr) {
    body.framing.kind = BodyKind::chunked;
    if (length != nullptr) {
      body.fault = "Content-Length with Transfer-Encoding";
    } else if (minor_version == 0) {
      body.fault = "Transfer-Encoding in HTTP/1.0";  // section 6.1
    } else if (fields.is_repeated(FieldId::kTransferEncoding) ||
               !equals_ignore_case(coding->value, "chunked")) {
      body.fault = "a transfer coding other than one chunked";
    }
    return body;
  }
  if (length == nullptr) return body;
  body.has_length = true;
  constexpr size_t kMostDigits = 19;  // of 2^63 - 1
  const auto bytes = parse_decimal(length->value);
  if (fields.is_repeated(FieldId::kContentLength)) {
    body.fault = "more than one Content-Length";
  } else if (!bytes || length->value.size() > kMostDigits || *bytes > INT64_MAX) {
    body.fault = "a malformed Content-Length";
  } else if (*bytes > 0) {
    body.framing = {BodyKind::length, *bytes};
  }
  return body;
}

}  // namespace

Result<Framing> request_framing(const FieldList& fields, int minor_version) noexcept {
  const BodyFields body = read_body_fields(fields, minor_version);
  if (body.fault != nullptr) return Error(Errc::kBadFraming, body.fault);
  return body.framing;  // section 6.3, rule 7: without both fields there is no body
}

Result<Framing> response_framing(const FieldList& fields, int minor_version, int status,
                                 Method method) noexcept {
  const BodyFields body = read_body_fields(fields, minor_version);
  if (body.fault != nullptr) return Error(Errc::kBadResponse, body.fault);
  if (status < 200 || status == 204) {
    // RFC 9110 section 8.6 and RFC 9112 section 6.1 forbid both fields here. A length of 0 says
    // what is true anyway, and is common.
    if (body.framing.has_body()) return Error(Errc::kBadResponse, "a body that may not be");
    return Framing{};
  }
  // Section 6.3, rules 1 and 2
  if (method == Method::head || status == 304) return Framing{};
  if (method == Method::connect && status < 300) return Framing{};
  if (body.framing.has_body() || body.has_length) return body.framing;
  return Framing{BodyKind::until_close, 0};  // rule 8
}

}  // namespace sluice::http
