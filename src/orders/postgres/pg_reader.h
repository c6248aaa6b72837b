// Statements that read, and what their rows mean. Pure.
#pragma once

#include <optional>
#include <vector>

#include "sluice/orders/key_store.h"
#include "sluice/orders/order.h"
#include "sluice/orders/postgres/pg_result.h"

namespace sluice::orders {

PgStep read_products();
PgStep read_product(std::string_view id);
std::vector<Product> products_of(const PgRows& rows);

// Each is one statement, so that it sees one moment.
PgStep read_order(std::string_view id);
PgStep read_orders(std::string_view user_id, int64_t most);
// Newest first.
std::vector<Order> orders_of(const PgRows& rows);

PgStep read_placed_keys(const std::vector<std::string>& keys);
PgStep read_keys_after(const PlacedKey& last, int64_t most);
std::vector<std::string> placed_keys_of(const PgRows& rows);
std::vector<PlacedKey> keys_of(const PgRows& rows);

// Several statements in a transaction that sees one moment; takes as long as there are many orders.
PgSteps read_totals(int64_t now_ms);
Totals totals_of(const std::vector<PgRows>& rows);

}  // namespace sluice::orders
