#include "sluice/orders/reply_json.h"

#include <time.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "sluice/orders/version.h"

namespace sluice::orders {
namespace {

using Json = nlohmann::ordered_json;

// Text from elsewhere that is no UTF-8 must not stop an answer.
std::string written(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json as_json(const Product& product) {
  return {{"id", product.id},
          {"name", product.name},
          {"price_cents", product.price_cents},
          {"stock", product.stock}};
}

Json lines_of(const Order& order) {
  Json lines = Json::array();
  for (const OrderLine& line : order.lines) {
    lines.push_back({{"product_id", line.product_id},
                     {"quantity", line.quantity},
                     {"price_cents", line.price_cents}});
  }
  return lines;
}

Json as_json(const Order& order) {
  Json states = Json::array();
  for (const StateChange& change : order.history) {
    states.push_back({{"state", change.state}, {"at", time_text(change.at)}});
  }
  return {{"order_id", order.id},     {"user_id", order.user_id},
          {"status", order.status},   {"total_cents", order.total_cents},
          {"items", lines_of(order)}, {"states", std::move(states)}};
}

}  // namespace

std::string product_body(const Product& product) { return written(as_json(product)); }

std::string products_body(const std::vector<Product>& products) {
  Json list = Json::array();
  for (const Product& product : products) list.push_back(as_json(product));
  return written({{"products", std::move(list)}});
}

// By hand, as items_json(): each order has them written twice, and building a tree for them took
// two fifths of its time.
std::string accepted_body(const Order& order) {
  return fmt::format(R"({{"order_id":{},"status":{},"total_cents":{},"items":{}}})",
                     json_string(order.id), json_string(order.status), order.total_cents,
                     items_json(order));
}

std::string items_json(const Order& order) {
  std::string out = "[";
  for (const OrderLine& line : order.lines) {
    fmt::format_to(
        std::back_inserter(out), R"({}{{"product_id":{},"quantity":{},"price_cents":{}}})",
        out.size() > 1 ? "," : "", json_string(line.product_id), line.quantity, line.price_cents);
  }
  return out + "]";
}

std::string json_string(std::string_view text) {
  const bool is_plain = std::ranges::all_of(
      text, [](char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; });
  if (!is_plain) return written(Json(text));
  std::string out;
  out.reserve(text.size() + 2);
  return out.append(1, '"').append(text).append(1, '"');
}

std::string order_body(const Order& order) { return written(as_json(order)); }

std::string orders_body(const std::vector<Order>& orders) {
  Json list = Json::array();
  for (const Order& order : orders) list.push_back(as_json(order));
  return written({{"orders", std::move(list)}});
}

std::vector<std::pair<std::string, int64_t>> with_all_states(
    const std::vector<std::pair<std::string, int64_t>>& counts) {
  std::vector<std::pair<std::string, int64_t>> all;
  for (std::string_view state : {kAccepted, kPaid, kShipped, kFailed}) all.emplace_back(state, 0);
  for (const auto& [state, count] : counts) {
    const auto found = std::ranges::find(all, state, &std::pair<std::string, int64_t>::first);
    if (found != all.end()) {
      found->second = count;
    } else {
      all.emplace_back(state, count);
    }
  }
  return all;
}

Json as_json(const GateFacts& gate) {
  Json stock = Json::array();
  for (const GateStock& each : gate.stock) {
    stock.push_back({{"product_id", each.product_id},
                     {"left", each.left},
                     {"held", each.held},
                     {"available", each.available},
                     {"drift", each.drift()}});
  }
  return {{"state", gate.state},
          {"epoch", gate.epoch},
          {"drift", gate.drift},
          {"untold", gate.untold},
          {"reserved", gate.counts.reserved},
          {"sold_out", gate.counts.sold_out},
          {"sold_out_from_memory", gate.counts.from_memory},
          {"past", gate.counts.past},
          {"refused", gate.counts.refused},
          {"returned", gate.counts.returned},
          {"lowered", gate.counts.lowered},
          {"built", gate.counts.built},
          {"stock", std::move(stock)}};
}

std::string status_body(const StatusFacts& facts, const Totals& totals) {
  Json orders = Json::object();
  for (const auto& [state, count] : with_all_states(totals.orders)) orders[state] = count;
  Json stock = Json::array();
  int64_t drift = 0;
  for (const StockTotals& product : totals.stock) {
    drift += std::abs(product.drift()) + std::abs(product.ledger_drift());
    stock.push_back({{"product_id", product.product_id},
                     {"supplied", product.supplied},
                     {"available", product.available},
                     {"held", product.held},
                     {"sold", product.sold},
                     {"ledger", product.ledger}});
  }
  using std::chrono::milliseconds;
  const auto oldest = std::chrono::duration_cast<milliseconds>(totals.outbox_oldest);
  Json status = {{"name", facts.name},
                 {"version", kVersion},
                 {"database", facts.database},
                 {"orders", std::move(orders)},
                 {"stock", std::move(stock)},
                 {"queue_depth", totals.outbox},
                 {"oldest_event_ms", oldest.count()},
                 {"parked", totals.parked},
                 {"waiting_writes", facts.waiting_writes},
                 {"drift", drift}};
  if (totals.gate) status["gate"] = as_json(*totals.gate);
  return written(status);
}

std::string problem_body(const ProblemRow& row, std::string_view detail) {
  Json json = {{"type", fmt::format("https://sluice.example/problems/{}", row.word)},
               {"title", row.title},
               {"status", row.status}};
  if (!detail.empty()) json["detail"] = detail;
  return written(json);
}

std::string time_text(WallTime at) {
  const auto ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch()).count();
  const time_t seconds = ms / 1000;
  tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                     ms % 1000);
}

}  // namespace sluice::orders
