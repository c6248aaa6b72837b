// The description of the API that GET /openapi.json serves (OpenAPI 3.0). A test holds it against
// what the API answers.
#pragma once

#include <string_view>

namespace sluice::orders {

std::string_view openapi_document() noexcept;

}  // namespace sluice::orders
