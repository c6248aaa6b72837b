// What of a request is not JSON: its target, Content-Type, Idempotency-Key and query. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "sluice/orders/problem.h"
#include "sluice/proxy/handler.h"

namespace sluice::orders {

enum class Resource : uint8_t {
  none,
  products,  // /products
  product,   // /products/ID
  restock,   // /products/ID/restock
  orders,    // /orders
  order,     // /orders/ID
  status,    // /status
  healthz,   // /healthz
  readyz,    // /readyz
  metrics,   // /metrics
  events,    // /events
  openapi,   // /openapi.json
  // What follows is for browsers, and no part of the API.
  page,      // /
  page_css,  // /page.css
  page_js,   // /page.js
};

struct Target {
  Resource resource = Resource::none;
  std::string_view id;  // as it stands in the path
};
Target parse_target(std::string_view path) noexcept;

// The methods that a resource has, as Allow lists them; "" for Resource::none.
std::string_view allowed_methods(Resource resource) noexcept;
bool is_allowed(Resource resource, std::string_view method) noexcept;

inline constexpr size_t kMostBody = 64 * 1024;

// A body that may be read as JSON: not too large, and labelled as what it is.
Checked<bool> check_body(const proxy::HandlerRequest& request);

// One field line of 1 to 255 visible ASCII characters, with or without the quotes of a structured
// field (draft-ietf-httpapi-idempotency-key-header section 2.1), which do not count.
Checked<std::string> idempotency_key(const proxy::HandlerRequest& request);

// The first value of `name` in a query, with percent-encoding and '+' decoded.
Checked<std::string> query_value(std::string_view query, std::string_view name);

}  // namespace sluice::orders
