#include "sluice/http/forwarding.h"

#include "head_writer.h"
#include "sluice/base/strings.h"

namespace sluice::http {
namespace {

constexpr size_t kOwnLines = 512;  // all names, constants and numbers that a head of ours can have

// What edits may not touch: framing is ours alone, and these fields never go on.
bool is_protected(FieldId id) noexcept {
  return is_hop_by_hop(id) || id == FieldId::kContentLength || id == FieldId::kHost;
}

size_t size_of(const FieldEdits* edits) noexcept {
  size_t size = 0;
  if (edits == nullptr) return size;
  for (const auto& [name, value] : edits->set) size += name.size() + value.size() + 4;
  for (const auto& [name, value] : edits->add) size += name.size() + value.size() + 4;
  return size;
}

// Is the name one that the route sets or removes?
bool is_edited(const FieldEdits* edits, std::string_view name) noexcept {
  if (edits == nullptr) return false;
  for (const auto& row : edits->set) {
    if (equals_ignore_case(row.first, name)) return true;
  }
  for (const std::string& row : edits->remove) {
    if (equals_ignore_case(row, name)) return true;
  }
  return false;
}

void write_edits(const FieldEdits* edits, HeadWriter& out) noexcept {
  if (edits == nullptr) return;
  for (const auto& [name, value] : edits->set) {
    if (!is_protected(field_id(name))) out.line(name, value);
  }
  for (const auto& [name, value] : edits->add) {
    if (!is_protected(field_id(name))) out.line(name, value);
  }
}

const FieldEdits* none_if_empty(const FieldEdits* edits) noexcept {
  return edits == nullptr || edits->is_empty() ? nullptr : edits;
}

// Does Connection name more than options and fields which never go on anyway?
bool names_other_fields(const FieldList& fields) noexcept {
  if (!fields.has(FieldId::kConnection)) return false;
  for (const Field& field : fields) {
    if (field.id != FieldId::kConnection || is_hop_by_hop(field_id(field.value))) continue;
    const bool all_ours = for_each_element(field.value, [](std::string_view option) {
      return equals_ignore_case(option, "close") || is_hop_by_hop(field_id(option));
    });
    if (!all_ours) return true;
  }
  return false;
}

// Is the length that came the one that will be sent, and written as we would?
bool is_same_length(const Field& field, const Framing& framing) noexcept {
  if (framing.kind != BodyKind::length) return false;
  char digits[20];
  return field.value == std::string_view(digits, write_decimal(digits, framing.length));
}

void write_framing(const Framing& framing, bool length_kept, HeadWriter& out) noexcept {
  if (framing.kind == BodyKind::chunked) out.put("Transfer-Encoding: chunked\r\n");
  if (framing.kind != BodyKind::length || length_kept) return;
  out.put("Content-Length: ");
  out.put_number(framing.length);
  out.put("\r\n");
}

class RequestWriter {
 public:
  RequestWriter(const RequestHead& head, const RequestForwarding& how, ChainWriter& out)
      : head_(head),
        how_(how),
        edits_(none_if_empty(how.edits)),
        host_(host_to_send()),
        has_named_(names_other_fields(head.fields)),
        starts_trace_(starts_trace()),
        out_(head.raw, head.fields, size_of_ours(), out) {}

  void run() {
    write_request_line();
    if (!head_.fields.has(FieldId::kHost)) out_.line("Host", host_);
    for (const Field& field : head_.fields) write_field(field);
    write_forwarded();
    write_trace();
    write_connection();
    write_body_framing();
    write_edits(edits_, out_);
    out_.finish();
  }

 private:
  std::string_view host_to_send() const noexcept {
    if (edits_ != nullptr) {
      for (const auto& [name, value] : edits_->set) {
        if (name == "host") return value;
      }
    }
    return how_.host.empty() ? head_.authority : how_.host;
  }

  bool starts_trace() const noexcept {
    if (how_.traceparent.empty()) return false;
    const Field* came = head_.fields.find(FieldId::kTraceparent);
    return came == nullptr || came->value != how_.traceparent;
  }

  size_t size_of_ours() const noexcept {
    return kOwnLines + head_.method_text.size() + how_.target.size() + host_.size() +
           head_.authority.size() + how_.client_ip.size() + how_.scheme.size() +
           how_.request_id.size() + how_.traceparent.size() + size_of(edits_);
  }

  void write_request_line() noexcept {
    const bool is_unchanged = !head_.raw.empty() && head_.minor_version == 1 &&
                              how_.target.data() == head_.target.data() &&
                              how_.target.size() == head_.target.size();
    constexpr std::string_view rest = " HTTP/1.1\r\n";
    if (is_unchanged) {
      return out_.keep_first_line(head_.target.data() + head_.target.size() + rest.size());
    }
    out_.put(head_.method_text);
    out_.put(" ");
    out_.put(how_.target);
    out_.put(rest);
  }

  void write_field(const Field& field) noexcept {
    switch (field.id) {
      case FieldId::kHost:
        if (field.value == host_) return out_.keep(field);
        return out_.line("Host", host_);
      case FieldId::kContentLength:
        if (length_kept_ || !is_same_length(field, how_.framing)) return;
        length_kept_ = true;
        return out_.keep(field);
      default:
        break;
    }
    if (is_hop_by_hop(field.id) || is_edited(edits_, field.name)) return;
    if (goes_on(field)) out_.keep(field);
  }

  // An end-to-end field that no route edits.
  bool goes_on(const Field& field) noexcept {
    switch (field.id) {
      case FieldId::kVia:
        return true;
      case FieldId::kForwarded:
      case FieldId::kXForwardedProto:
      case FieldId::kXForwardedHost:
      case FieldId::kXForwardedOther:
        return how_.trusted_client;
      case FieldId::kXForwardedFor:
        return false;  // joined with ours
      case FieldId::kXRequestId:
        if (id_kept_ || field.value != how_.request_id) return false;
        return id_kept_ = true;
      case FieldId::kTraceparent:
      case FieldId::kTracestate:
        return !starts_trace_;
      case FieldId::kExpect:
        return how_.pass_expect && head_.expect_continue && !is_named(field);
      case FieldId::kMaxForwards:
        if (how_.max_forwards < 0) return !is_named(field);
        write_max_forwards();
        return false;
      default:
        return !is_named(field);
    }
  }

  bool is_named(const Field& field) const noexcept {
    return has_named_ && is_named_by_connection(head_.fields, field.name);
  }

  // RFC 9110 section 7.6.2
  void write_max_forwards() noexcept {
    if (hops_written_) return;
    hops_written_ = true;
    out_.put("Max-Forwards: ");
    out_.put_number(static_cast<uint64_t>(how_.max_forwards));
    out_.put("\r\n");
  }

  void write_forwarded() noexcept {
    if (!is_edited(edits_, "via")) {
      // RFC 9110 section 7.6.3: the protocol that the message came by
      const bool by_http2 = head_.raw.empty();
      out_.put(by_http2                   ? "Via: 2 sluice\r\n"
               : head_.minor_version == 0 ? "Via: 1.0 sluice\r\n"
                                          : "Via: 1.1 sluice\r\n");
    }
    if (!is_edited(edits_, "x-forwarded-for")) write_forwarded_for();
    const FieldList& came = head_.fields;
    const bool trusted = how_.trusted_client;
    if (!(trusted && came.has(FieldId::kXForwardedProto)) && !how_.scheme.empty() &&
        !is_edited(edits_, "x-forwarded-proto")) {
      out_.line("X-Forwarded-Proto", how_.scheme);
    }
    if (!(trusted && came.has(FieldId::kXForwardedHost)) && !head_.authority.empty() &&
        !is_edited(edits_, "x-forwarded-host")) {
      out_.line("X-Forwarded-Host", head_.authority);
    }
  }

  void write_forwarded_for() noexcept {
    const bool append = how_.trusted_client && head_.fields.has(FieldId::kXForwardedFor);
    if (!append && how_.client_ip.empty()) return;
    out_.put("X-Forwarded-For: ");
    bool is_first = true;
    const auto put_one = [this, &is_first](std::string_view value) noexcept {
      if (value.empty()) return;
      if (!is_first) out_.put(", ");
      out_.put(value);
      is_first = false;
    };
    if (append) {
      for (const Field& field : head_.fields) {
        if (field.id == FieldId::kXForwardedFor) put_one(field.value);
      }
    }
    put_one(how_.client_ip);
    out_.put("\r\n");
  }

  void write_trace() noexcept {
    if (!id_kept_ && !how_.request_id.empty() && !is_edited(edits_, "x-request-id")) {
      out_.line("X-Request-Id", how_.request_id);
    }
    if (starts_trace_ && !is_edited(edits_, "traceparent")) {
      out_.line("traceparent", how_.traceparent);
    }
  }

  bool accepts_trailers() const noexcept {
    if (!how_.pass_te_trailers || !head_.fields.has(FieldId::kTe)) return false;
    for (const Field& field : head_.fields) {
      if (field.id != FieldId::kTe) continue;
      const bool is_absent = for_each_element(field.value, [](std::string_view coding) {
        return !equals_ignore_case(coding, "trailers");
      });
      if (!is_absent) return true;
    }
    return false;
  }

  void write_connection() noexcept {
    const bool trailers = accepts_trailers();
    // RFC 9110 section 10.1.4: who sends TE names it in Connection.
    if (trailers) out_.put("TE: trailers\r\n");
    if (trailers && how_.close) return out_.put("Connection: close, TE\r\n");
    if (trailers) return out_.put("Connection: TE\r\n");
    if (how_.close) out_.put("Connection: close\r\n");
  }

  void write_body_framing() noexcept {
    write_framing(how_.framing, length_kept_, out_);
    if (how_.framing.has_body()) return;
    // RFC 9110 section 8.6: said where a body would be expected, or where the client said it.
    const bool expects_body = head_.method == Method::post || head_.method == Method::put ||
                              head_.method == Method::patch;
    if (expects_body || head_.fields.has(FieldId::kContentLength)) {
      out_.put("Content-Length: 0\r\n");
    }
  }

  const RequestHead& head_;
  const RequestForwarding& how_;
  const FieldEdits* edits_;
  std::string_view host_;
  const bool has_named_;
  const bool starts_trace_;
  bool length_kept_ = false;
  bool id_kept_ = false;
  bool hops_written_ = false;
  HeadWriter out_;
};

// ": NNN reason", or the line as it came when it is ours already.
void write_status_line(const ResponseHead& head, HeadWriter& out) noexcept {
  constexpr std::string_view version = "HTTP/1.1 ";
  if (!head.raw.empty() && head.minor_version == 1) {
    return out.keep_first_line(head.raw.data() + version.size() + 4 + head.reason.size() + 2);
  }
  out.put(version);
  out.put_number(static_cast<uint64_t>(head.status));
  out.put(" ");
  out.put(head.reason);
  out.put("\r\n");
}

class ResponseWriter {
 public:
  ResponseWriter(const ResponseHead& head, const ResponseForwarding& how,
                 std::string_view http_date, ChainWriter& out)
      : head_(head),
        how_(how),
        date_(http_date),
        edits_(none_if_empty(how.edits)),
        has_named_(names_other_fields(head.fields)),
        out_(head.raw, head.fields, size_of_ours(), out) {}

  void run() {
    write_status_line(head_, out_);
    for (const Field& field : head_.fields) write_field(field);
    write_ours();
    write_body_framing();
    if (!how_.keep_alive) out_.put("Connection: close\r\n");
    write_edits(edits_, out_);
    out_.put(how_.extra_lines);
    out_.finish();
  }

 private:
  size_t size_of_ours() const noexcept {
    return kOwnLines + head_.reason.size() + date_.size() + how_.request_id.size() +
           how_.extra_lines.size() + size_of(edits_);
  }

  void write_field(const Field& field) noexcept {
    if (field.id == FieldId::kContentLength) {
      if (length_kept_ || !(how_.keep_length || is_same_length(field, how_.framing))) return;
      length_kept_ = true;
      return out_.keep(field);
    }
    if (is_hop_by_hop(field.id) || is_edited(edits_, field.name)) return;
    switch (field.id) {
      case FieldId::kVia:
      case FieldId::kDate:
        return out_.keep(field);
      case FieldId::kXRequestId:
        if (!how_.request_id.empty()) {
          if (id_kept_ || field.value != how_.request_id) return;
          id_kept_ = true;
        }
        return out_.keep(field);
      case FieldId::kSurrogateKey:
      case FieldId::kCacheTag:
        if (how_.hides_tags) return;
        return keep_unless_named(field);
      case FieldId::kSurrogateControl:
        if (how_.hides_surrogate_control) return;
        return keep_unless_named(field);
      default:
        return keep_unless_named(field);
    }
  }

  void keep_unless_named(const Field& field) noexcept {
    if (!has_named_ || !is_named_by_connection(head_.fields, field.name)) out_.keep(field);
  }

  void write_ours() noexcept {
    if (!head_.fields.has(FieldId::kDate) && !date_.empty() && !is_edited(edits_, "date")) {
      out_.line("Date", date_);
    }
    if (!how_.is_local && !is_edited(edits_, "via")) {
      out_.put(head_.minor_version == 0 ? "Via: 1.0 sluice\r\n" : "Via: 1.1 sluice\r\n");
    }
    if (!id_kept_ && !how_.request_id.empty() && !is_edited(edits_, "x-request-id")) {
      out_.line("X-Request-Id", how_.request_id);
    }
  }

  void write_body_framing() noexcept {
    write_framing(how_.framing, length_kept_, out_);
    // A response without a body ends where the client thinks it does only if a length says so,
    // except where there never is one (RFC 9112 section 6.3, rule 1).
    const bool never_has_body = head_.status < 200 || head_.status == 204 || head_.status == 304;
    if (how_.framing.kind == BodyKind::none && !never_has_body && !how_.keep_length) {
      out_.put("Content-Length: 0\r\n");
    }
  }

  const ResponseHead& head_;
  const ResponseForwarding& how_;
  std::string_view date_;
  const FieldEdits* edits_;
  const bool has_named_;
  bool length_kept_ = false;
  bool id_kept_ = false;
  HeadWriter out_;
};

// RFC 9110 section 6.5.1: a field that changes how a message is framed, routed, authenticated,
// cached or read is none that may be merged from a trailer.
bool may_trail(FieldId id) noexcept {
  if (is_hop_by_hop(id)) return false;
  switch (id) {
    case FieldId::kContentLength:
    case FieldId::kContentType:
    case FieldId::kContentEncoding:
    case FieldId::kContentRange:
    case FieldId::kTrailer:
    case FieldId::kHost:
    case FieldId::kExpect:
    case FieldId::kMaxForwards:
    case FieldId::kVia:
    case FieldId::kForwarded:
    case FieldId::kXForwardedFor:
    case FieldId::kXForwardedProto:
    case FieldId::kXForwardedHost:
    case FieldId::kXForwardedOther:
    case FieldId::kXRequestId:
    case FieldId::kAuthorization:
    case FieldId::kProxyAuthorization:
    case FieldId::kProxyAuthenticate:
    case FieldId::kCookie:
    case FieldId::kSetCookie:
    case FieldId::kRange:
    case FieldId::kIfRange:
    case FieldId::kIfMatch:
    case FieldId::kIfNoneMatch:
    case FieldId::kIfModifiedSince:
    case FieldId::kIfUnmodifiedSince:
    case FieldId::kCacheControl:
    case FieldId::kCdnCacheControl:
    case FieldId::kPragma:
    case FieldId::kVary:
    case FieldId::kAge:
    case FieldId::kExpires:
    case FieldId::kDate:
    case FieldId::kLocation:
    case FieldId::kRetryAfter:
      return false;
    default:
      return true;
  }
}

}  // namespace

void write_request_head(const RequestHead& head, const RequestForwarding& how, ChainWriter& out) {
  RequestWriter(head, how, out).run();
}

uint64_t ready_length(const ResponseHead& head) noexcept {
  const bool is_plain = !head.raw.empty() && head.minor_version == 1 && head.status >= 200 &&
                        head.status != 204 && head.status != 304;
  const Field* length = head.fields.find(FieldId::kContentLength);
  if (!is_plain || length == nullptr || !head.fields.has(FieldId::kDate)) return 0;
  for (const Field& field : head.fields) {
    if (is_hop_by_hop(field.id)) return 0;
  }
  for (const FieldId id : {FieldId::kXRequestId, FieldId::kSurrogateKey, FieldId::kCacheTag,
                           FieldId::kSurrogateControl}) {
    if (head.fields.has(id)) return 0;
  }
  const uint64_t bytes = parse_decimal(length->value).value_or(0);
  const bool is_ours = !head.fields.is_repeated(FieldId::kContentLength) &&
                       is_same_length(*length, {BodyKind::length, bytes});
  return is_ours ? bytes : 0;
}

namespace {

// What ResponseWriter would make of it, without a look at its fields.
void write_ready_head(const ResponseHead& head, const ResponseForwarding& how, ChainWriter& out) {
  HeadWriter writer(
      {}, {}, kOwnLines + head.raw.size() + how.request_id.size() + how.extra_lines.size(), out);
  writer.put(head.raw.substr(0, head.raw.size() - 2));
  writer.put("Via: 1.1 sluice\r\n");
  if (!how.request_id.empty()) writer.line("X-Request-Id", how.request_id);
  if (!how.keep_alive) writer.put("Connection: close\r\n");
  writer.put(how.extra_lines);
  writer.finish();
}

}  // namespace

void write_response_head(const ResponseHead& head, const ResponseForwarding& how,
                         std::string_view http_date, ChainWriter& out) {
  const bool is_ready = head.ready_length != 0 && how.framing.kind == BodyKind::length &&
                        how.framing.length == head.ready_length && !how.is_local &&
                        none_if_empty(how.edits) == nullptr;
  if (is_ready) return write_ready_head(head, how, out);
  ResponseWriter(head, how, http_date, out).run();
}

void write_interim_head(const ResponseHead& head, ChainWriter& out) {
  HeadWriter writer(head.raw, head.fields, kOwnLines + head.reason.size(), out);
  const bool has_named = names_other_fields(head.fields);
  write_status_line(head, writer);
  for (const Field& field : head.fields) {
    if (is_hop_by_hop(field.id) || field.id == FieldId::kContentLength) continue;
    if (has_named && is_named_by_connection(head.fields, field.name)) continue;
    writer.keep(field);
  }
  writer.finish();
}

void write_trailers(const FieldList& trailers, ChainWriter& out) {
  HeadWriter writer({}, trailers, kOwnLines, out);
  writer.put("0\r\n");
  for (const Field& field : trailers) {
    if (may_trail(field.id)) writer.line(field.name, field.value);
  }
  writer.finish();
}

bool is_named_by_connection(const FieldList& fields, std::string_view name) noexcept {
  if (!fields.has(FieldId::kConnection)) return false;
  for (const Field& field : fields) {
    if (field.id != FieldId::kConnection) continue;
    const bool is_absent = for_each_element(
        field.value, [name](std::string_view option) { return !equals_ignore_case(option, name); });
    if (!is_absent) return true;
  }
  return false;
}

}  // namespace sluice::http
