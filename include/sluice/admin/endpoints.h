// POST /api/v1/endpoints/POOL/ENDPOINT: what people may do to an endpoint, as in the verbs of the
// CLI.
//
// Thread: control (the registry is its own).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "sluice/proxy/handler.h"
#include "sluice/upstream/registry.h"

namespace sluice::admin {

inline constexpr std::string_view kEndpointsPath = "/api/v1/endpoints/";
inline constexpr uint32_t kMaxWeight = 256;

// Pool and endpoint as people write them together: POOL/ENDPOINT. The endpoint may contain '/'.
struct EndpointName {
  std::string pool;
  std::string endpoint;
};
std::optional<EndpointName> parse_endpoint_name(std::string_view text);
// The request path of an endpoint's verbs, percent-encoded, and back from what follows
// kEndpointsPath.
std::string endpoint_path(const EndpointName& name);
std::optional<EndpointName> name_from_path(std::string_view path_rest);

// All but unreserved characters as %XX (RFC 3986 section 2.3).
std::string percent_encode(std::string_view text);
// Every octet of %XX decoded; nullopt when an escape is broken.
std::optional<std::string> percent_decode(std::string_view text);

proxy::HandlerReply change_endpoint(upstream::Registry& registry,
                                    const proxy::HandlerRequest& request);

}  // namespace sluice::admin
