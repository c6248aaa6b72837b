#include "sluice/proxy/local_reply.h"

#include <algorithm>
#include <cstring>
#include <initializer_list>

#include "sluice/base/check.h"
#include "sluice/base/strings.h"
#include "sluice/proxy/handler.h"
#include "sluice/proxy/json_text.h"

namespace sluice::proxy {

namespace {

constexpr std::string_view kAllowed = "GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH";

// Text in the arena, in room that was measured before.
class ArenaText {
 public:
  ArenaText(Arena& arena, size_t most) noexcept
      : begin_(static_cast<char*>(arena.allocate(most, 1))), at_(begin_), end_(begin_ + most) {}

  ArenaText& put(std::string_view text) noexcept {
    SL_CHECK(text.size() <= static_cast<size_t>(end_ - at_));
    if (!text.empty()) std::memcpy(at_, text.data(), text.size());
    at_ += text.size();
    return *this;
  }
  ArenaText& put(uint64_t value) noexcept {
    char digits[20];
    return put(std::string_view(digits, write_decimal(digits, value)));
  }
  ArenaText& put_json(std::string_view text) noexcept {
    SL_CHECK(json_text_size(text) <= static_cast<size_t>(end_ - at_));
    at_ = write_json_text(at_, text);
    return *this;
  }
  // The inside of a structured field's string (RFC 8941 section 3.3.3): printable ASCII.
  ArenaText& put_field_string(std::string_view text) noexcept {
    for (char c : text) {
      if (c == '"' || c == '\\') put("\\");
      const char shown = c >= 0x20 && c < 0x7F ? c : '?';
      put(std::string_view(&shown, 1));
    }
    return *this;
  }
  std::string_view view() const noexcept { return {begin_, static_cast<size_t>(at_ - begin_)}; }

 private:
  char* begin_;
  char* at_;
  char* end_;
};

class ReplyFields {
 public:
  explicit ReplyFields(Arena& arena) noexcept : fields_(arena.allocate_array<http::Field>(kMost)) {}
  void add(http::FieldId id, std::string_view name, std::string_view value) noexcept {
    SL_CHECK(size_ < kMost);
    new (&fields_[size_++]) http::Field{name, value, id};
  }
  http::FieldList list() const noexcept { return http::FieldList({fields_, size_}); }

 private:
  static constexpr size_t kMost = 8;
  http::Field* fields_;
  size_t size_ = 0;
};

bool is_head(const http::RequestHead* request) noexcept {
  return request != nullptr && request->method == http::Method::head;
}

// RFC 9110 sections 15.3.5, 15.3.6 and 15.4.5.
bool may_have_content(int status) noexcept {
  return status != 204 && status != 205 && status != 304;
}

// Status, length, framing and body, which have to agree (RFC 9110 section 8.6).
LocalReply compose(int status, ReplyFields& fields, std::string_view body, bool to_head,
                   Arena& arena) {
  LocalReply reply;
  if (!may_have_content(status)) body = {};
  if (may_have_content(status) || status == 205) {
    fields.add(http::FieldId::kContentLength, "Content-Length",
               ArenaText(arena, 20).put(uint64_t{body.size()}).view());
  }
  reply.head.status = status;
  reply.head.reason = http::reason_phrase(status);
  reply.head.fields = fields.list();
  if (!body.empty() && !to_head) {
    reply.head.framing = {http::BodyKind::length, body.size()};
    ChainWriter writer(arena.pool(), reply.body);
    writer.write(body);
  }
  return reply;
}

// Errors ------------------------------------------------------------------------------------------

bool leaves_framing_unsure(Errc code, const http::RequestHead* request) noexcept {
  switch (code) {
    case Errc::kBadRequest:
    case Errc::kBadFraming:
    case Errc::kBadChunk:
    case Errc::kBadHost:
    case Errc::kBadTarget:
    case Errc::kBadVersion:
    case Errc::kHeadTooLarge:
    case Errc::kTooManyFields:
    case Errc::kTargetTooLong:
    case Errc::kBodyTooLarge:
    case Errc::kHeadTimeout:
    case Errc::kBodyTimeout:
    case Errc::kTooManyConnections:
    case Errc::kDraining:
      return true;
    case Errc::kMethodRefused:
      return request == nullptr || request->method == http::Method::connect;
    case Errc::kExpectationFailed:
      // The client may leave out a body that it announced (RFC 9110 section 10.1.1).
      return request == nullptr || request->framing.has_body();
    default:
      return request == nullptr;
  }
}

// sluice; error=connection_refused; next-hop="a"; details="connect_refused"
std::string_view proxy_status(const ErrorRow& row, std::string_view next_hop, Arena& arena) {
  ArenaText text(arena, 64 + row.proxy_status_type.size() + row.token.size() + 2 * next_hop.size());
  text.put("sluice; error=").put(row.proxy_status_type);
  if (!next_hop.empty()) text.put("; next-hop=\"").put_field_string(next_hop).put("\"");
  return text.put("; details=\"").put(row.token).put("\"").view();
}

// What a client may know: the details of its own mistakes, not those of our endpoints.
std::string_view detail_of(Error error) noexcept {
  return error.origin() == Origin::downstream ? std::string_view(error.text()) : std::string_view();
}

std::string_view json_body(const ErrorReplyInput& input, const ErrorRow& row, Arena& arena) {
  const std::string_view detail = detail_of(input.error);
  ArenaText text(arena, 128 + row.token.size() + json_text_size(row.help) + json_text_size(detail) +
                            json_text_size(input.request_id));
  text.put("{\"status\":").put(uint64_t(row.status)).put(",\"reason\":\"").put(row.token);
  text.put("\",\"message\":\"").put_json(row.help);
  if (!detail.empty()) text.put(": ").put_json(detail);
  return text.put("\",\"request_id\":\"").put_json(input.request_id).put("\"}\n").view();
}

// 502 Bad Gateway: connect_refused — the endpoint refused the connection
// request id: 0123456789abcdef0123456789abcdef
std::string_view text_body(const ErrorReplyInput& input, const ErrorRow& row, Arena& arena) {
  const std::string_view phrase = http::reason_phrase(row.status);
  const std::string_view detail = detail_of(input.error);
  ArenaText text(arena, 64 + phrase.size() + row.token.size() + row.help.size() + detail.size() +
                            input.request_id.size());
  text.put(uint64_t(row.status)).put(" ").put(phrase).put(": ").put(row.token);
  text.put(" — ").put(row.help);
  if (!detail.empty()) text.put(": ").put(detail);
  text.put("\n");
  if (!input.request_id.empty()) text.put("request id: ").put(input.request_id).put("\n");
  return text.view();
}

// What Accept says about one of our two forms (RFC 9110 section 12.5.1).
struct Preference {
  int specificity = 0;  // 0: not named; 1: */*, 2: type/*, 3: type/subtype
  int quality = 0;      // in thousandths
  int place = 0;

  void consider(int its_specificity, int its_quality, int its_place) noexcept {
    if (its_specificity < specificity) return;
    if (its_specificity == specificity && its_quality <= quality) return;
    *this = {its_specificity, its_quality, its_place};
  }
  bool is_over(const Preference& other) const noexcept {
    if (quality != other.quality) return quality > other.quality;
    if (specificity != other.specificity) return specificity > other.specificity;
    return place < other.place;
  }
};

// A weight (RFC 9110 section 12.4.2) in thousandths; 0 when it is malformed.
int parse_quality(std::string_view text) noexcept {
  if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return 0;
  int value = (text[0] - '0') * 1000;
  if (text.size() > 1 && text[1] != '.') return 0;
  int unit = 100;
  for (size_t i = 2; i < text.size(); ++i, unit /= 10) {
    if (!is_digit(text[i])) return 0;
    value += (text[i] - '0') * unit;
  }
  return std::min(value, 1000);
}

int quality_of(std::string_view parameters) noexcept {
  while (!parameters.empty()) {
    const size_t end = std::min(parameters.find(';'), parameters.size());
    const std::string_view parameter = trim(parameters.substr(0, end));
    if (parameter.size() >= 2 && to_lower(parameter[0]) == 'q' && parameter[1] == '=') {
      return parse_quality(parameter.substr(2));
    }
    parameters.remove_prefix(std::min(end + 1, parameters.size()));
  }
  return 1000;
}

int specificity_for(std::string_view range, std::string_view wildcard,
                    std::initializer_list<std::string_view> names) noexcept {
  for (std::string_view name : names) {
    if (equals_ignore_case(range, name)) return 3;
  }
  if (equals_ignore_case(range, wildcard)) return 2;
  return range == "*/*" ? 1 : 0;
}

bool prefers_json(const http::RequestHead* request) noexcept {
  if (request == nullptr) return false;
  Preference json, text;
  int place = 0;
  for (const http::Field& field : request->fields) {
    if (field.id != http::FieldId::kAccept) continue;
    for_each_element(field.value, [&](std::string_view element) {
      const size_t end = std::min(element.find(';'), element.size());
      const std::string_view range = trim(element.substr(0, end));
      const int quality = quality_of(element.substr(end));
      ++place;
      const int as_json =
          specificity_for(range, "application/*", {"application/json", "application/problem+json"});
      if (as_json > 0) json.consider(as_json, quality, place);
      const int as_text = specificity_for(range, "text/*", {"text/plain", "text/html"});
      if (as_text > 0) text.consider(as_text, quality, place);
      return true;
    });
  }
  return json.quality > 0 && json.is_over(text);
}

}  // namespace

int status_for(Errc code) noexcept { return error_row(code).status; }

LocalReply make_error_reply(const ErrorReplyInput& input, Arena& arena) {
  const Errc code = input.error.code();
  ErrorRow row = error_row(code);
  if (input.had_to_validate && row.status == 502) row.status = 504;
  const int status = row.status;
  if (status == 0) {
    LocalReply nothing;
    nothing.head.status = 0;
    nothing.close = true;
    return nothing;
  }
  const bool json = prefers_json(input.request);
  ReplyFields fields(arena);
  fields.add(http::FieldId::kProxyStatus, "Proxy-Status", proxy_status(row, input.next_hop, arena));
  if (status == 503) {
    fields.add(http::FieldId::kRetryAfter, "Retry-After",
               ArenaText(arena, 20).put(uint64_t{input.retry_after_s}).view());
  }
  if (status == 405) fields.add(http::FieldId::kOther, "Allow", kAllowed);
  std::string_view body;
  if (input.dress != nullptr) {
    for (const auto& [name, value] : input.dress->fields) {
      fields.add(http::field_id(name), arena.copy(name), arena.copy(value));
    }
    body = input.dress->body;
  } else {
    fields.add(http::FieldId::kCacheControl, "Cache-Control", "no-store");
    fields.add(http::FieldId::kContentType, "Content-Type",
               json ? "application/json" : "text/plain; charset=utf-8");
    body = json ? json_body(input, row, arena) : text_body(input, row, arena);
  }
  LocalReply reply = compose(status, fields, body, is_head(input.request), arena);
  reply.close = leaves_framing_unsure(code, input.request);
  return reply;
}

LocalReply make_redirect(const config::Redirect& redirect, const http::RequestHead& request,
                         Arena& arena) {
  const std::string_view phrase = http::reason_phrase(redirect.status);
  ArenaText body(arena, 32 + phrase.size() + redirect.location.size());
  body.put(uint64_t{redirect.status}).put(" ").put(phrase);
  body.put(": ").put(redirect.location).put("\n");
  ReplyFields fields(arena);
  fields.add(http::FieldId::kLocation, "Location", redirect.location);
  fields.add(http::FieldId::kContentType, "Content-Type", "text/plain; charset=utf-8");
  return compose(redirect.status, fields, body.view(), is_head(&request), arena);
}

LocalReply make_fixed(const config::Respond& respond, const http::RequestHead& request,
                      Arena& arena) {
  ReplyFields fields(arena);
  if (may_have_content(respond.status) && !respond.body.empty() && !respond.content_type.empty()) {
    fields.add(http::FieldId::kContentType, "Content-Type", respond.content_type);
  }
  return compose(respond.status, fields, respond.body, is_head(&request), arena);
}

LocalReply make_done(std::string_view text, std::string_view json, const http::RequestHead& request,
                     Arena& arena) {
  const bool wants_json = prefers_json(&request);
  ReplyFields fields(arena);
  fields.add(http::FieldId::kCacheControl, "Cache-Control", "no-store");
  fields.add(http::FieldId::kContentType, "Content-Type",
             wants_json ? "application/json" : "text/plain; charset=utf-8");
  return compose(200, fields, arena.copy(wants_json ? json : text), is_head(&request), arena);
}

std::string reasons_markdown() {
  std::string out =
      "# The reasons of sluice\n\n"
      "Every answer that sluice makes itself because something went wrong has one of these "
      "reasons.\n"
      "It stands in the access log (`reason`), in `sluice_errors_total{reason}` and in the field\n"
      "`Proxy-Status` as `details`, beside the type that RFC 9209 registers. A dash as status: "
      "the\n"
      "client is not there any more, so the reason is only logged and counted.\n\n"
      "This page is made from the table in the source (`include/sluice/base/errors.def`).\n\n"
      "| reason | status | Proxy-Status type | meaning |\n"
      "| --- | --- | --- | --- |\n";
  for (size_t i = 1; i < static_cast<size_t>(Errc::kCount); ++i) {
    const Errc code = static_cast<Errc>(i);
    const ErrorRow& row = error_row(code);
    const int status = status_for(code);
    out.append("| `").append(row.token).append("` | ");
    out.append(status == 0 ? "-" : std::to_string(status)).append(" | ");
    out.append(row.proxy_status_type.empty() ? "-" : row.proxy_status_type);
    out.append(" | ").append(row.help).append(" |\n");
  }
  return out;
}

}  // namespace sluice::proxy
