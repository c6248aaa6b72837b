#include "sluice/orders/event.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "sluice/base/hash.h"
#include "sluice/http/forwarding.h"
#include "sluice/orders/reply_json.h"

namespace sluice::orders {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kTypePrefix = "order.";

std::string text_in(const Json& json, const char* name) {
  const auto found = json.find(name);
  return found != json.end() && found->is_string() ? clean_text(found->get<std::string>())
                                                   : std::string();
}

int64_t number_in(const Json& json, const char* name) {
  const auto found = json.find(name);
  return found != json.end() && found->is_number_integer() ? found->get<int64_t>() : 0;
}

bool fits_version(std::string_view status, int64_t version) noexcept {
  switch (version) {
    case 1:
      return status == kAccepted;
    case 2:
      return status == kPaid || status == kFailed;
    case 3:
      return status == kShipped;
    default:
      return false;
  }
}

}  // namespace

std::string clean_text(std::string_view text) {
  constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
  const std::string quoted = Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
  std::string out = Json::parse(quoted).get<std::string>();
  for (size_t at = out.find('\0'); at != std::string::npos; at = out.find('\0', at)) {
    out.replace(at, 1, kReplacement);
  }
  return out;
}

std::string event_id(std::string_view order_id, int64_t version) {
  return fmt::format("{}-{}", order_id, version);
}

std::string event_type(std::string_view status) { return fmt::format("{}{}", kTypePrefix, status); }

Event make_event(const Order& order, std::string traceparent, WallTime at) {
  Event event{event_id(order.id, order.version),
              order.id,
              order.version,
              event_type(order.status),
              {},
              order.request_id,
              std::move(traceparent),
              at};
  event.payload = fmt::format(
      R"({{"event_id":{},"type":{},"order_id":{},"version":{},"user_id":{},"status":{},)"
      R"("total_cents":{},"items":{},"at":{},"request_id":{}}})",
      json_string(event.id), json_string(event.type), json_string(event.order_id), event.version,
      json_string(order.user_id), json_string(order.status), order.total_cents, items_json(order),
      json_string(time_text(at)), json_string(order.request_id));
  return event;
}

Event read_event(std::string_view payload, std::string_view traceparent) {
  Event event;
  event.payload = clean_text(payload);
  if (http::is_valid_traceparent(traceparent)) event.traceparent = traceparent;
  const Json json = Json::parse(payload.begin(), payload.end(), nullptr, false);
  if (json.is_object()) {
    event.id = text_in(json, "event_id");
    event.order_id = text_in(json, "order_id");
    event.version = number_in(json, "version");
    event.type = text_in(json, "type");
    event.request_id = text_in(json, "request_id");
  }
  if (event.id.empty()) event.id = fmt::format("unreadable-{:016x}", hash64(payload));
  return event;
}

std::string event_problem(const Event& event) {
  const Json json = Json::parse(event.payload, nullptr, false);
  if (!json.is_object()) return "the payload is no JSON object";
  for (const char* name :
       {"event_id", "type", "order_id", "user_id", "status", "at", "request_id"}) {
    const auto found = json.find(name);
    if (found == json.end() || !found->is_string()) return fmt::format("{} is no text", name);
  }
  for (const char* name : {"version", "total_cents"}) {
    const auto found = json.find(name);
    if (found == json.end() || !found->is_number_integer()) {
      return fmt::format("{} is no integer", name);
    }
  }
  if (!json.contains("items") || !json["items"].is_array()) return "items is no array";
  const std::string status = text_in(json, "status");
  if (!fits_version(status, event.version)) {
    return fmt::format("an order of version {} is not {}", event.version, status);
  }
  const bool fits =
      event.id == event_id(event.order_id, event.version) && event.type == event_type(status) &&
      event.id == text_in(json, "event_id") && event.type == text_in(json, "type") &&
      event.order_id == text_in(json, "order_id") && event.version == number_in(json, "version");
  return fits ? std::string() : "the fields of the event do not fit each other";
}

std::string_view next_status(const Event& event, double fail_payments) noexcept {
  const std::string_view status =
      std::string_view(event.type).substr(std::min(event.type.size(), kTypePrefix.size()));
  if (status == kPaid) return kShipped;
  if (status != kAccepted) return {};
  constexpr uint64_t kPayments = 0x7061796D656E7473;  // a seed of its own
  const double draw = static_cast<double>(hash64(event.order_id, kPayments) >> 11) * 0x1.0p-53;
  return draw < fail_payments ? kFailed : kPaid;
}

}  // namespace sluice::orders
