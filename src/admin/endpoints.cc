#include "sluice/admin/endpoints.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "sluice/admin/api.h"
#include "sluice/base/log.h"
#include "sluice/base/strings.h"

namespace sluice::admin {

namespace {

using Json = nlohmann::ordered_json;
using upstream::AdminState;

struct Change {
  std::string action;
  uint32_t weight = 0;
  std::string problem;  // of the body, "" when it is well
};

Change parse_change(const std::string& body) {
  constexpr const char* kForm =
      R"(the body must be {"action": "drain"|"undrain"|"disable"|"enable"} or )"
      R"({"action": "weight", "weight": N})";
  const Json json = Json::parse(body, nullptr, false);
  if (!json.is_object() || !json.contains("action") || !json["action"].is_string()) {
    return {{}, 0, kForm};
  }
  Change change{json["action"].get<std::string>(), 0, {}};
  if (change.action != "weight") return change;
  const Json weight = json.value("weight", Json());
  if (!weight.is_number_unsigned() || weight.get<uint64_t>() > kMaxWeight) {
    change.problem = fmt::format("weight must be a whole number from 0 to {}", kMaxWeight);
  } else {
    change.weight = weight.get<uint32_t>();
  }
  return change;
}

// Returns "" or why it cannot be done.
std::string apply(const Change& change, upstream::Endpoint& endpoint) {
  if (change.action == "drain") {
    endpoint.set_admin_state(AdminState::draining);
  } else if (change.action == "disable") {
    endpoint.set_admin_state(AdminState::disabled);
  } else if (change.action == "enable") {
    endpoint.set_admin_state(AdminState::enabled);
  } else if (change.action == "undrain") {
    if (endpoint.admin_state() == AdminState::disabled) {
      return "it is disabled, not draining: enable it";
    }
    endpoint.set_admin_state(AdminState::enabled);
  } else {
    endpoint.set_weight(change.weight);
  }
  return {};
}

bool is_known(const std::string& action) {
  return action == "drain" || action == "undrain" || action == "disable" || action == "enable" ||
         action == "weight";
}

std::string unknown_endpoint(const upstream::Registry& registry, const std::string& name) {
  std::vector<std::string> names;
  for (const auto& pool : registry.pools()) {
    for (const auto& endpoint : pool.endpoints) {
      names.push_back(endpoint->pool() + "/" + endpoint->name());
    }
  }
  const std::vector<std::string_view> candidates(names.begin(), names.end());
  std::string text = fmt::format("there is no endpoint {}", name);
  if (const auto near = nearest(name, candidates)) {
    return text + fmt::format("; did you mean {}?", *near);
  }
  return text + (names.empty() ? "" : fmt::format("; there are: {}", fmt::join(names, ", ")));
}

bool is_plain(char c) noexcept {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

}  // namespace

proxy::HandlerReply change_endpoint(upstream::Registry& registry,
                                    const proxy::HandlerRequest& request) {
  const auto name = name_from_path(std::string_view(request.path).substr(kEndpointsPath.size()));
  if (!name) return error_reply(404, "the path must be /api/v1/endpoints/POOL/ENDPOINT");
  const std::string full = name->pool + "/" + name->endpoint;
  upstream::Endpoint* endpoint = registry.find(full);
  if (endpoint == nullptr) return error_reply(404, unknown_endpoint(registry, full));
  const Change change = parse_change(request.body);
  if (!change.problem.empty()) return error_reply(400, change.problem);
  if (!is_known(change.action)) {
    return error_reply(400, fmt::format("unknown action \"{}\": give drain, undrain, disable, "
                                        "enable or weight",
                                        change.action));
  }
  const std::string obstacle = apply(change, *endpoint);
  if (!obstacle.empty()) return error_reply(409, full + ": " + obstacle);
  log_info("admin", "{}: {} {}{}", request.client_ip, change.action, full,
           change.action == "weight" ? fmt::format(" {}", change.weight) : "");
  const Json answer = {{"endpoint", full},
                       {"state", upstream::to_string(endpoint->state())},
                       {"weight", endpoint->weight()},
                       {"in_flight", endpoint->in_flight()}};
  return json_reply(200, answer.dump(-1, ' ', false, Json::error_handler_t::replace));
}

std::optional<EndpointName> parse_endpoint_name(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos || slash == 0 || slash + 1 == text.size()) {
    return std::nullopt;
  }
  return EndpointName{std::string(text.substr(0, slash)), std::string(text.substr(slash + 1))};
}

std::string endpoint_path(const EndpointName& name) {
  return std::string(kEndpointsPath) + percent_encode(name.pool) + "/" +
         percent_encode(name.endpoint);
}

std::optional<EndpointName> name_from_path(std::string_view path_rest) {
  auto name = parse_endpoint_name(path_rest);
  if (!name) return std::nullopt;
  auto pool = percent_decode(name->pool);
  auto endpoint = percent_decode(name->endpoint);
  if (!pool || !endpoint) return std::nullopt;
  return EndpointName{std::move(*pool), std::move(*endpoint)};
}

std::string percent_encode(std::string_view text) {
  std::string encoded;
  for (const char c : text) {
    if (is_plain(c)) {
      encoded += c;
    } else {
      encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return encoded;
}

std::optional<std::string> percent_decode(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = hex_value(text[i + 1]), low = hex_value(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    decoded += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return decoded;
}

}  // namespace sluice::admin
