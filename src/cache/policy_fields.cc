#include "sluice/cache/policy_fields.h"

#include "sluice/base/strings.h"
#include "sluice/http/forwarding.h"

namespace sluice::cache {
namespace {

using http::FieldId;

bool is_same_name(const http::Field& a, const http::Field& b) noexcept {
  if (a.id != b.id) return false;
  if (a.id != FieldId::kOther && a.id != FieldId::kXForwardedOther) return true;
  return equals_ignore_case(a.name, b.name);
}

// RFC 9111 section 3.2: Content-Length stays, and so do the fields that the stored bytes depend on;
// an ETag that differs would name others than those.
bool stays(const http::Field& field) noexcept {
  switch (field.id) {
    case FieldId::kContentLength:
    case FieldId::kContentEncoding:
    case FieldId::kContentRange:
    case FieldId::kEtag:
      return true;
    default:
      return equals_ignore_case(field.name, "content-md5");
  }
}

bool updates(const http::Field& field, const http::FieldList& fresh) noexcept {
  return !stays(field) && is_end_to_end(field, fresh);
}

bool is_replaced(const http::Field& field, const http::FieldList& fresh) noexcept {
  // The Date is that of the update; one is added where it has none.
  if (field.id == FieldId::kDate || field.id == FieldId::kAge) return true;
  if (field.id != FieldId::kOther && !fresh.has(field.id)) return false;
  for (const http::Field& newer : fresh) {
    if (is_same_name(field, newer) && updates(newer, fresh)) return true;
  }
  return false;
}

}  // namespace

bool is_end_to_end(const http::Field& field, const http::FieldList& fields) noexcept {
  switch (field.id) {
    case FieldId::kProxyAuthenticate:
    case FieldId::kProxyAuthorization:
      return false;
    case FieldId::kOther:
      if (equals_ignore_case(field.name, "proxy-authentication-info")) return false;
      break;
    default:
      if (http::is_hop_by_hop(field.id)) return false;
      break;
  }
  return !http::is_named_by_connection(fields, field.name);
}

bool is_storable(const http::Field& field, const http::FieldList& fields,
                 const http::ResponseDirectives& directives) noexcept {
  if (field.id == FieldId::kAge || field.id == FieldId::kSurrogateKey ||
      field.id == FieldId::kCacheTag || !is_end_to_end(field, fields)) {
    return false;
  }
  return !directives.no_cache_fields.names(field.name) &&
         !directives.private_fields.names(field.name);
}

std::span<const http::Field> update_fields(const http::FieldList& stored,
                                           const http::FieldList& fresh, Arena& arena) {
  auto* out = arena.allocate_array<http::Field>(stored.size() + fresh.size());
  size_t count = 0;
  for (const http::Field& field : stored) {
    if (!is_replaced(field, fresh)) new (&out[count++]) http::Field(field);
  }
  // The cookie of a 304 is that client's (section 7.3), unless the endpoint has one in what all
  // get.
  const bool takes_cookies = stored.has(FieldId::kSetCookie);
  for (const http::Field& field : fresh) {
    const bool is_refused = field.id == FieldId::kSetCookie && !takes_cookies;
    if (!is_refused && updates(field, fresh)) new (&out[count++]) http::Field(field);
  }
  return {out, count};
}

bool is_sent_with_304(const http::Field& field, const http::FieldList& fields) noexcept {
  switch (field.id) {
    case FieldId::kContentType:
    case FieldId::kContentEncoding:
    case FieldId::kContentLength:
    case FieldId::kContentRange:
      return false;
    case FieldId::kLastModified:
      return !fields.has(FieldId::kEtag);
    default:
      return !equals_ignore_case(field.name, "content-language") &&
             !equals_ignore_case(field.name, "content-md5");
  }
}

}  // namespace sluice::cache
