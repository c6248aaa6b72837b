// Bodies that go out. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sluice/orders/order.h"
#include "sluice/orders/problem.h"

namespace sluice::orders {

std::string product_body(const Product& product);
std::string products_body(const std::vector<Product>& products);
// What POST /orders answers; stored, and said again when its key comes again.
std::string accepted_body(const Order& order);
// The lines of an order as a JSON array, and a text as a JSON string; what is no UTF-8 becomes
// U+FFFD.
std::string items_json(const Order& order);
std::string json_string(std::string_view text);
std::string order_body(const Order& order);
std::string orders_body(const std::vector<Order>& orders);

struct StatusFacts {
  std::string_view name;  // of this process
  std::string_view database;
  size_t waiting_writes = 0;  // of this process
};
// All states of an order, also those that no order is in, in the order of its life.
std::vector<std::pair<std::string, int64_t>> with_all_states(
    const std::vector<std::pair<std::string, int64_t>>& counts);
std::string status_body(const StatusFacts& facts, const Totals& totals);
std::string problem_body(const ProblemRow& row, std::string_view detail);

// "2026-01-31T12:00:00.123Z"
std::string time_text(WallTime at);

}  // namespace sluice::orders
