#include "sluice/orders/request_check.h"

#include <algorithm>
#include <optional>

#include "sluice/base/strings.h"

namespace sluice::orders {
namespace {

bool is_visible(char c) noexcept { return c > ' ' && c <= '~'; }

// The parameters behind the media type: nothing but a charset that is UTF-8.
bool has_good_parameters(std::string_view parameters) noexcept {
  while (!parameters.empty()) {
    const size_t end = parameters.find(';');
    const std::string_view parameter = trim(parameters.substr(0, end));
    parameters = end == std::string_view::npos ? std::string_view() : parameters.substr(end + 1);
    constexpr std::string_view kCharset = "charset=";
    if (!equals_ignore_case(parameter.substr(0, kCharset.size()), kCharset)) continue;
    std::string_view charset = parameter.substr(kCharset.size());
    if (charset.size() > 1 && charset.front() == '"' && charset.back() == '"') {
      charset = charset.substr(1, charset.size() - 2);
    }
    if (!equals_ignore_case(charset, "utf-8")) return false;
  }
  return true;
}

bool is_json(std::string_view content_type) noexcept {
  const size_t end = content_type.find(';');
  if (!equals_ignore_case(trim(content_type.substr(0, end)), "application/json")) return false;
  return end == std::string_view::npos || has_good_parameters(content_type.substr(end + 1));
}

// nullopt: a '%' without two hexadecimal digits.
std::optional<std::string> decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      out += ' ';
    } else if (text[i] != '%') {
      out += text[i];
    } else {
      if (i + 2 >= text.size()) return std::nullopt;
      const int high = hex_value(text[i + 1]);
      const int low = hex_value(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      out += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  return out;
}

}  // namespace

Target parse_target(std::string_view path) noexcept {
  if (path == "/products") return {Resource::products, {}};
  if (path == "/orders") return {Resource::orders, {}};
  if (path == "/status") return {Resource::status, {}};
  if (path == "/healthz") return {Resource::healthz, {}};
  if (path == "/readyz") return {Resource::readyz, {}};
  if (path == "/metrics") return {Resource::metrics, {}};
  if (path == "/openapi.json") return {Resource::openapi, {}};
  if (path == "/events") return {Resource::events, {}};
  if (path == "/") return {Resource::page, {}};
  if (path == "/page.css") return {Resource::page_css, {}};
  if (path == "/page.js") return {Resource::page_js, {}};
  const bool is_product = path.starts_with("/products/");
  if (!is_product && !path.starts_with("/orders/")) return {};
  path.remove_prefix(path.find('/', 1) + 1);
  const size_t slash = path.find('/');
  const std::string_view id = path.substr(0, slash);
  if (id.empty()) return {};
  if (slash == std::string_view::npos) {
    return {is_product ? Resource::product : Resource::order, id};
  }
  if (is_product && path.substr(slash) == "/restock") return {Resource::restock, id};
  return {};
}

std::string_view allowed_methods(Resource resource) noexcept {
  switch (resource) {
    case Resource::none:
      return {};
    case Resource::orders:
      return "GET, HEAD, POST";
    case Resource::restock:
      return "POST";
    case Resource::products:
    case Resource::product:
    case Resource::order:
    case Resource::status:
    case Resource::healthz:
    case Resource::readyz:
    case Resource::metrics:
    case Resource::events:
    case Resource::openapi:
    case Resource::page:
    case Resource::page_css:
    case Resource::page_js:
      return "GET, HEAD";
  }
  return {};
}

bool is_allowed(Resource resource, std::string_view method) noexcept {
  return !for_each_element(allowed_methods(resource),
                           [&](std::string_view allowed) { return allowed != method; });
}

Checked<bool> check_body(const proxy::HandlerRequest& request) {
  if (request.body.size() > kMostBody) return Refusal{Problem::kTooLarge, "at most 64 KiB"};
  const std::string_view coding = request.field("content-encoding");
  if (!coding.empty() && !equals_ignore_case(coding, "identity")) {
    return Refusal{Problem::kMediaType, "send the body without a Content-Encoding"};
  }
  if (!is_json(request.field("content-type"))) {
    return Refusal{Problem::kMediaType, "send JSON in UTF-8, with Content-Type: application/json"};
  }
  return true;
}

Checked<std::string> idempotency_key(const proxy::HandlerRequest& request) {
  const auto is_key = [](const auto& field) { return field.first == "idempotency-key"; };
  if (std::ranges::count_if(request.fields, is_key) > 1) {
    return Refusal{Problem::kMalformed, "Idempotency-Key stands twice in the request"};
  }
  std::string_view key = request.field("idempotency-key");
  if (key.size() > 1 && key.front() == '"' && key.back() == '"') {
    key = key.substr(1, key.size() - 2);
  }
  if (key.empty()) {
    return Refusal{Problem::kNoKey, "send an Idempotency-Key, a new UUID for each order"};
  }
  if (key.size() > 255 || !std::ranges::all_of(key, is_visible)) {
    return Refusal{Problem::kMalformed,
                   "an Idempotency-Key has 1 to 255 visible ASCII characters, such as a UUID"};
  }
  return std::string(key);
}

Checked<std::string> query_value(std::string_view query, std::string_view name) {
  for (std::string_view pair : split(query, '&')) {
    const size_t equals = pair.find('=');
    const auto found = decode(pair.substr(0, equals));
    if (!found) return Refusal{Problem::kMalformed, "the query has a '%' without two hex digits"};
    if (*found != name) continue;
    auto value =
        decode(equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1));
    if (!value) return Refusal{Problem::kMalformed, "the query has a '%' without two hex digits"};
    if (!value->empty()) return *std::move(value);
    break;
  }
  return Refusal{Problem::kMalformed, "the query must say ?" + std::string(name) + "=…"};
}

}  // namespace sluice::orders
