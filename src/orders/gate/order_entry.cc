#include "order_entry.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "sluice/base/hash.h"
#include "sluice/orders/sqlite/sqlite_db.h"

namespace sluice::orders {
namespace {

using Json = nlohmann::json;

// Bytes that were changed or cut on their way are found by the sum before them.
std::string sealed(std::string text) { return fmt::format("{:016x}{}", hash64(text), text); }

std::optional<Json> unsealed(std::string_view sealed_text) {
  constexpr size_t kSum = 16;
  if (sealed_text.size() < kSum) return std::nullopt;
  const std::string_view text = sealed_text.substr(kSum);
  if (sealed_text.substr(0, kSum) != fmt::format("{:016x}", hash64(text))) return std::nullopt;
  Json json = Json::parse(text, nullptr, false);
  return json.is_object() ? std::optional(std::move(json)) : std::nullopt;
}

Json lines_of(const Order& order) {
  Json lines = Json::array();
  for (const OrderLine& line : order.lines) {
    lines.push_back({line.product_id, line.quantity, line.price_cents});
  }
  return lines;
}

}  // namespace

std::string entry_of(const Order& order) {
  Json states = Json::array();
  for (const StateChange& change : order.history) {
    states.push_back({change.state, to_unix_ms(change.at)});
  }
  const Json json = {{"id", order.id},           {"user", order.user_id},
                     {"status", order.status},   {"total", order.total_cents},
                     {"lines", lines_of(order)}, {"states", std::move(states)},
                     {"version", order.version}, {"request", order.request_id}};
  return fmt::format("{} {}", order.version,
                     sealed(json.dump(-1, ' ', false, Json::error_handler_t::replace)));
}

std::optional<Order> read_entry(std::string_view entry, std::string_view id) {
  const auto json = unsealed(entry.substr(std::min(entry.size(), entry.find(' ') + 1)));
  if (!json) return std::nullopt;
  try {  // nlohmann reports by exceptions; the sum is right, so this is for other versions of us
    Order order;
    order.id = json->at("id");
    order.user_id = json->at("user");
    order.status = json->at("status");
    order.total_cents = json->at("total");
    order.version = json->at("version");
    order.request_id = json->at("request");
    for (const Json& line : json->at("lines")) {
      order.lines.push_back({line.at(0), line.at(1), line.at(2)});
    }
    for (const Json& change : json->at("states")) {
      order.history.push_back({change.at(0), from_unix_ms(change.at(1))});
    }
    return order.id == id ? std::optional(std::move(order)) : std::nullopt;
  } catch (const Json::exception&) {
    return std::nullopt;
  }
}

std::string item_of(const Product& product) {
  const Json json = {{"id", product.id}, {"name", product.name}, {"price", product.price_cents}};
  return sealed(json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

std::optional<Product> read_item(std::string_view item, int64_t stock) {
  const auto json = unsealed(item);
  if (!json) return std::nullopt;
  try {
    return Product{json->at("id"), json->at("name"), json->at("price"), stock};
  } catch (const Json::exception&) {
    return std::nullopt;
  }
}

}  // namespace sluice::orders
