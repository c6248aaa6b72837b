#include "sluice/http/h1_parser.h"

#include <llhttp.h>

#include <span>

#include "h1_lines.h"
#include "sluice/base/strings.h"
#include "sluice/http/uri.h"

namespace sluice::http {
namespace {

// More options than this in Connection are legal and hostile: each costs a look at every field.
constexpr uint32_t kMostConnectionOptions = 64;

// What llhttp's callbacks write to.
struct Collector {
  Field* fields = nullptr;
  uint32_t count = 0;
  uint32_t capacity = 0;
};

constexpr bool is_space(char c) noexcept { return c == ' ' || c == '\t'; }

std::string_view without_trailing_space(const char* at, size_t size) noexcept {
  while (size > 0 && is_space(at[size - 1])) --size;
  return {at, size};
}

// One that is empty then still has its place in the head.
std::string_view without_space(std::string_view value) noexcept {
  size_t first = 0;
  while (first < value.size() && is_space(value[first])) ++first;
  return without_trailing_space(value.data() + first, value.size() - first);
}

int on_field_name(llhttp_t* parser, const char* at, size_t size) noexcept {
  auto* to = static_cast<Collector*>(parser->data);
  if (to->count == to->capacity) return HPE_USER;
  const std::string_view name(at, size);
  // The value is empty, at a place in the head, unless one is told.
  to->fields[to->count++] = Field{name, name.substr(size), field_id(name)};
  return 0;
}

int on_field_value(llhttp_t* parser, const char* at, size_t size) noexcept {
  auto* to = static_cast<Collector*>(parser->data);
  if (to->count == 0) return HPE_USER;
  if (size > 0) to->fields[to->count - 1].value = without_trailing_space(at, size);
  return 0;
}

// Stops llhttp: the body is none of its business.
int on_head_complete(llhttp_t*) noexcept { return HPE_PAUSED; }

llhttp_settings_t make_settings() noexcept {
  llhttp_settings_t settings;
  llhttp_settings_init(&settings);
  settings.on_header_field = on_field_name;
  settings.on_header_value = on_field_value;
  settings.on_headers_complete = on_head_complete;
  return settings;
}
const llhttp_settings_t kSettings = make_settings();

Errc request_error(llhttp_errno_t fault) noexcept {
  switch (fault) {
    case HPE_UNEXPECTED_CONTENT_LENGTH:
    case HPE_INVALID_CONTENT_LENGTH:
    case HPE_INVALID_TRANSFER_ENCODING:
      return Errc::kBadFraming;
    case HPE_INVALID_URL:
      return Errc::kBadTarget;
    default:
      return Errc::kBadRequest;
  }
}

// Feeds `first`, then `rest`. Fine only when the whole head was taken and every line became a
// field.
llhttp_errno_t run_llhttp(llhttp_type_t type, std::string_view first, std::string_view rest,
                          Collector& collector) noexcept {
  llhttp_t parser;
  llhttp_init(&parser, type, &kSettings);
  parser.data = &collector;
  llhttp_errno_t fault = HPE_OK;
  if (!first.empty()) fault = llhttp_execute(&parser, first.data(), first.size());
  if (fault == HPE_OK) fault = llhttp_execute(&parser, rest.data(), rest.size());
  if (fault == HPE_OK) return HPE_INVALID_EOF_STATE;
  if (fault != HPE_PAUSED) return fault;
  const bool is_whole = llhttp_get_error_pos(&parser) == rest.data() + rest.size();
  return is_whole && collector.count == collector.capacity ? HPE_OK : HPE_STRICT;
}

Field field_of(std::string_view name, std::string_view value) noexcept {
  return Field{name, without_space(value), field_id(name)};
}

// The fields of lines that were checked; `fields` has room for all of them.
FieldList take_fields(std::string_view lines, Field* fields) noexcept {
  Field* next = fields;
  auto taking = [&next](std::string_view name, std::string_view value) noexcept {
    *next++ = field_of(name, value);
  };
  walk_fields(lines.data(), lines.data() + lines.size(), taking);
  return FieldList(std::span<const Field>(fields, static_cast<size_t>(next - fields)));
}

// By the marks of the walk where they are all there, so that nothing is gone over twice.
FieldList take_fields(const RequestLines& lines, Field* fields) noexcept {
  if (lines.fields > RequestLines::kMostMarks) return take_fields(lines.field_lines, fields);
  for (uint32_t i = 0; i < lines.fields; ++i) {
    const LineMarks& at = lines.marks[i];
    fields[i] = field_of({at.name, static_cast<size_t>(at.colon - at.name)},
                         {at.colon + 1, static_cast<size_t>(at.end - at.colon - 1)});
  }
  return FieldList(std::span<const Field>(fields, lines.fields));
}

// A GET for a path without anything that says how long the message or the connection is: the walk
// over its lines was stricter than llhttp, which has nothing to add.
bool is_plain(const FieldList& fields) noexcept {
  return fields.size() > 0 && !fields.has(FieldId::kContentLength) &&
         !fields.has(FieldId::kTransferEncoding) && !fields.has(FieldId::kConnection) &&
         !fields.has(FieldId::kUpgrade);
}

struct ConnectionOptions {
  bool close = false;
  bool keep_alive = false;
  uint32_t count = 0;
};

ConnectionOptions connection_options(const FieldList& fields) noexcept {
  ConnectionOptions options;
  if (!fields.has(FieldId::kConnection)) return options;
  for (const Field& field : fields) {
    if (field.id != FieldId::kConnection) continue;
    if (field_id(field.value) == FieldId::kKeepAlive) {  // the common one, without a walk
      options.keep_alive = true;
      ++options.count;
      continue;
    }
    for_each_element(field.value, [&options](std::string_view option) {
      options.close |= equals_ignore_case(option, "close");
      options.keep_alive |= equals_ignore_case(option, "keep-alive");
      return ++options.count <= kMostConnectionOptions;
    });
  }
  return options;
}

// RFC 9112 section 9.3
bool stays_open(const ConnectionOptions& options, uint8_t minor_version) noexcept {
  return !options.close && (minor_version == 1 || options.keep_alive);
}

// RFC 9112 section 3.2: exactly one Host in HTTP/1.1; in 1.0 at most one. An empty one is valid
// only when the target has no authority, which http and https always have (RFC 9110 section 4.2.1).
Error read_host(RequestHead& head) noexcept {
  const Field* host = head.fields.find(FieldId::kHost);
  if (host == nullptr) {
    if (head.minor_version == 0) return {};
    return {Errc::kBadHost, "no Host"};
  }
  if (head.fields.is_repeated(FieldId::kHost)) return {Errc::kBadHost, "more than one Host"};
  if (!is_valid_host(host->value)) return {Errc::kBadHost, "a malformed Host"};
  head.authority = host->value;
  return {};
}

Error read_absolute_form(RequestHead& head, Arena& arena) noexcept {
  const auto form = parse_absolute_form(head.target);
  if (!form) return {Errc::kBadTarget, "a target that is neither a path nor an http URI"};
  if (!is_valid_host(form->authority)) return {Errc::kBadTarget, "a malformed authority"};
  head.authority = form->authority;  // section 3.2.2: it wins over Host
  if (form->path_and_query.empty()) {
    head.path = head.method == Method::options ? "*" : "/";  // section 3.2.4
  } else if (form->path_and_query.front() == '?') {
    char* path = arena.allocate_array<char>(form->path_and_query.size() + 1);
    path[0] = '/';
    form->path_and_query.copy(path + 1, form->path_and_query.size());
    head.path = {path, form->path_and_query.size() + 1};
  } else {
    head.path = form->path_and_query;
  }
  return {};
}

// RFC 9112 section 3.2: the four forms, each only where it belongs.
Error read_target(RequestHead& head, Arena& arena) noexcept {
  if (head.method == Method::connect) {
    if (!is_valid_host(head.target) || split_authority(head.target).port.empty()) {
      return {Errc::kBadTarget, "CONNECT without host and port"};
    }
    head.authority = head.target;
    return {};
  }
  if (head.target.front() == '/') {
    head.path = head.target;
    return {};
  }
  if (head.target == "*") {
    if (head.method != Method::options) return {Errc::kBadTarget, "* without OPTIONS"};
    head.path = head.target;
    return {};
  }
  return read_absolute_form(head, arena);
}

// RFC 9110 section 10.1.1; in HTTP/1.0 it is ignored.
Error read_expect(RequestHead& head) noexcept {
  if (!head.fields.has(FieldId::kExpect) || head.minor_version == 0) return {};
  for (const Field& field : head.fields) {
    if (field.id != FieldId::kExpect) continue;
    const bool all_known = for_each_element(field.value, [&head](std::string_view expectation) {
      head.expect_continue = equals_ignore_case(expectation, "100-continue");
      return head.expect_continue;
    });
    if (!all_known) return {Errc::kExpectationFailed};
  }
  return {};
}

}  // namespace

Result<RequestHead> parse_request_head(std::string_view head, const HeadLimits& limits,
                                       Arena& arena) {
  RequestLines lines;
  if (Error error = walk_request(head, limits, lines)) return error;
  RequestHead request;
  request.raw = head;
  request.method_text = lines.method;
  request.method = method_of(lines.method);
  request.target = lines.target;
  request.minor_version = lines.minor_version;

  Field* fields = arena.allocate_array<Field>(lines.fields);
  if (request.method == Method::get && request.target.front() == '/') {
    request.fields = take_fields(lines, fields);
  }
  if (!is_plain(request.fields)) {
    Collector collector{fields, 0, lines.fields};
    // Only CONNECT changes what llhttp takes for a target.
    const std::string_view shown = request.method == Method::connect ? "CONNECT" : "GET";
    const llhttp_errno_t fault =
        request.method == Method::get
            ? run_llhttp(HTTP_REQUEST, {}, head, collector)
            : run_llhttp(HTTP_REQUEST, shown, lines.after_method, collector);
    if (fault != HPE_OK) return Error(request_error(fault), llhttp_errno_name(fault));
    request.fields = FieldList(std::span<const Field>(fields, collector.count));
  }

  if (Error error = read_host(request)) return error;
  if (Error error = read_target(request, arena)) return error;
  SL_TRY(request.framing, request_framing(request.fields, request.minor_version));
  const ConnectionOptions options = connection_options(request.fields);
  if (options.count > kMostConnectionOptions) {
    return Error(Errc::kBadRequest, "too many options in Connection");
  }
  // RFC 9112 section 9.3: a proxy does not persist with an HTTP/1.0 client, whatever that asks.
  request.keep_alive = !options.close && request.minor_version == 1;
  if (Error error = read_expect(request)) return error;
  return request;
}

RequestHead glimpse_request(std::string_view bytes) noexcept {
  RequestHead seen;
  const std::string_view line = bytes.substr(0, bytes.find_first_of("\r\n"));
  const size_t first = line.find(' ');
  if (first == std::string_view::npos || !is_token(line.substr(0, first))) return seen;
  const std::string_view rest = line.substr(first + 1);
  const size_t second = rest.find(' ');
  if (second == std::string_view::npos) return seen;
  seen.method_text = line.substr(0, first);
  seen.method = method_of(seen.method_text);
  seen.target = rest.substr(0, second);
  seen.minor_version = rest.ends_with("HTTP/1.0") ? 0 : 1;
  return seen;
}

Result<ResponseHead> parse_response_head(std::string_view head, const HeadLimits& limits,
                                         Method request_method, Arena& arena) {
  StatusLines lines;
  if (Error error = walk_response(head, limits, lines)) return error;
  ResponseHead response;
  response.raw = head;
  response.status = lines.status;
  response.reason = lines.reason;
  response.minor_version = lines.minor_version;

  Collector collector{arena.allocate_array<Field>(lines.fields), 0, lines.fields};
  const llhttp_errno_t fault = run_llhttp(HTTP_RESPONSE, {}, head, collector);
  if (fault != HPE_OK) return Error(Errc::kBadResponse, llhttp_errno_name(fault));
  response.fields = FieldList(std::span<const Field>(collector.fields, collector.count));

  SL_TRY(response.framing, response_framing(response.fields, response.minor_version,
                                            response.status, request_method));
  const ConnectionOptions options = connection_options(response.fields);
  if (options.count > kMostConnectionOptions) {
    return Error(Errc::kBadResponse, "too many options in Connection");
  }
  response.keep_alive =
      stays_open(options, response.minor_version) && response.framing.kind != BodyKind::until_close;
  return response;
}

Result<FieldList> parse_trailers(std::string_view lines, const HeadLimits& limits, Arena& arena) {
  SL_TRY([[maybe_unused]] Ok ok, check_trailer_lines(lines, limits));
  const char* begin = lines.data();
  uint32_t count = 0;
  auto counting = [&count](std::string_view, std::string_view) noexcept { ++count; };
  walk_fields(begin, begin + lines.size(), counting);
  return take_fields(lines, arena.allocate_array<Field>(count));
}

}  // namespace sluice::http
