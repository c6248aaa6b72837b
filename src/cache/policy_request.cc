#include "sluice/cache/policy_request.h"

#include <algorithm>

#include "sluice/base/strings.h"
#include "sluice/http/conditional.h"

namespace sluice::cache {
namespace {

bool has_cookie(const http::FieldList& fields, std::string_view name) noexcept {
  if (!fields.has(http::FieldId::kCookie)) return false;
  for (const http::Field& field : fields) {
    if (field.id != http::FieldId::kCookie) continue;
    for (std::string_view rest = field.value; !rest.empty();) {
      const size_t end = std::min(rest.find(';'), rest.size());
      const std::string_view pair = rest.substr(0, end);
      rest.remove_prefix(std::min(end + 1, rest.size()));
      if (trim(pair.substr(0, pair.find('='))) == name) return true;
    }
  }
  return false;
}

bool is_bypassed(const http::FieldList& fields, const CacheRules& rules) noexcept {
  return std::any_of(rules.bypass_fields.begin(), rules.bypass_fields.end(),
                     [&](const std::string& name) { return fields.find(name) != nullptr; }) ||
         std::any_of(rules.bypass_cookies.begin(), rules.bypass_cookies.end(),
                     [&](const std::string& name) { return has_cookie(fields, name); });
}

// Where the operator wants no client to reach the endpoint at will, only what spares the endpoint
// stays; and no-store, which section 5.2.1.5 makes a duty, as far as storing goes.
http::RequestDirectives directives_of(const http::FieldList& fields,
                                      const CacheRules& rules) noexcept {
  const http::RequestDirectives all = http::parse_request_directives(fields);
  if (rules.honour_client) return all;
  http::RequestDirectives kept;
  kept.is_present = all.is_present;
  kept.no_store = all.no_store;
  kept.only_if_cached = all.only_if_cached;
  return kept;
}

// What Connection names does not reach the endpoint (RFC 9110 section 7.6.1), but Vary and the key
// would be read from it: so the answer to nobody's tenant could be stored for a certain one.
bool hides_fields(const http::FieldList& fields) noexcept {
  constexpr std::string_view kUsual[] = {"close", "keep-alive",     "upgrade",
                                         "te",    "http2-settings", "proxy-connection"};
  if (!fields.has(http::FieldId::kConnection)) return false;
  return std::any_of(fields.begin(), fields.end(), [&](const http::Field& field) {
    if (field.id != http::FieldId::kConnection) return false;
    return !for_each_element(field.value, [&](std::string_view option) {
      return std::any_of(std::begin(kUsual), std::end(kUsual),
                         [&](std::string_view usual) { return equals_ignore_case(option, usual); });
    });
  });
}

// Content of a GET has no meaning (RFC 9110 section 9.3.1), yet endpoints may read it: their answer
// must not be given to those who sent none. An upgrade is for the endpoint to take.
bool is_for_endpoint_alone(const http::RequestHead& request) noexcept {
  return request.framing.has_body() || request.fields.has(http::FieldId::kUpgrade);
}

}  // namespace

RequestPlan judge_request(const http::RequestHead& request, const CacheRules& rules) noexcept {
  RequestPlan plan;
  plan.directives = directives_of(request.fields, rules);
  const bool is_read = request.method == http::Method::get || request.method == http::Method::head;
  if (is_bypassed(request.fields, rules)) {
    plan.reason = ForwardReason::bypass;
  } else if (hides_fields(request.fields)) {
    plan.reason = ForwardReason::request;
  } else if (!is_read) {
    // RFC 9111 section 4: other methods are written through; RFC 9110 section 9.3.3: what POST
    // brings may answer a later GET.
    plan.reason = ForwardReason::method;
    plan.may_store = request.method == http::Method::post && !plan.directives.no_store;
  } else if (is_for_endpoint_alone(request)) {
    plan.reason = ForwardReason::request;
  } else if (http::has_origin_precondition(request.fields)) {
    plan.reason = ForwardReason::request;  // RFC 9111 section 4.3.2
    plan.may_store = !plan.directives.no_store;
  } else if (plan.directives.no_store && rules.honour_client) {
    plan.reason = ForwardReason::request;
  } else {
    plan.may_look_up = true;
    plan.may_store = !plan.directives.no_store;
  }
  return plan;
}

}  // namespace sluice::cache
