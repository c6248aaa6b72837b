#include "pg_reader.h"

#include <algorithm>
#include <chrono>

#include "sluice/orders/stored.h"

namespace sluice::orders {
namespace {

const PgStatement kProducts{
    "products",
    "SELECT id, name, price_cents, available FROM products JOIN stock ON product_id = id "
    "ORDER BY id"};
const PgStatement kProduct{
    "product",
    "SELECT id, name, price_cents, available FROM products JOIN stock ON product_id = id "
    "WHERE id = $1"};

// Rows of three kinds: 0 the order (user, status, request, total, version), 1 its lines (product,
// quantity, price), 2 its states (state, time).
#define SL_PICKED_ORDERS                                                                   \
  "SELECT id, 0 AS kind, 0::bigint AS place, user_id AS a, status AS b, request_id AS c, " \
  "total_cents AS m, version AS n FROM picked UNION ALL "                                  \
  "SELECT order_id, 1, line, product_id, '', '', quantity, price_cents FROM order_items "  \
  "WHERE order_id IN (SELECT id FROM picked) UNION ALL "                                   \
  "SELECT order_id, 2, step, state, '', '', at_ms, 0 FROM order_states "                   \
  "WHERE order_id IN (SELECT id FROM picked) ORDER BY id DESC, kind, place"

const PgStatement kOrder{"order",
                         "WITH picked AS (SELECT * FROM orders WHERE id = $1) " SL_PICKED_ORDERS};
// Ids grow with time.
const PgStatement kOrders{"orders",
                          "WITH picked AS (SELECT * FROM orders WHERE user_id = $1 ORDER BY id "
                          "DESC LIMIT $2) " SL_PICKED_ORDERS};
#undef SL_PICKED_ORDERS

const PgStatement kBegin{"totals_begin", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"};
const PgStatement kTime{"totals_time", "SET LOCAL statement_timeout = 10000"};
const PgStatement kScans{"totals_scans", "SET LOCAL enable_seqscan = on"};
const PgStatement kCounts{"totals_orders",
                          "SELECT status, count(*) FROM orders GROUP BY status ORDER BY status"};
const PgStatement kStock{
    "totals_stock",
    "SELECT s.product_id, supplied, available, coalesce(held, 0)::bigint, "
    "coalesce(sold, 0)::bigint, coalesce(ledger, 0)::bigint FROM stock AS s LEFT JOIN "
    "(SELECT product_id, sum(quantity) FILTER (WHERE status = 'accepted') AS held, "
    "sum(quantity) FILTER (WHERE status IN ('paid', 'shipped')) AS sold "
    "FROM order_items JOIN orders ON id = order_id GROUP BY product_id) AS o USING (product_id) "
    "LEFT JOIN (SELECT product_id, sum(delta) AS ledger FROM stock_ledger GROUP BY product_id) "
    "AS l USING (product_id) ORDER BY s.product_id"};
const PgStatement kEvents{
    "totals_events",
    "SELECT (SELECT count(*) FROM outbox WHERE sent_ms IS NULL), "
    "coalesce($1 - (SELECT created_ms FROM outbox WHERE sent_ms IS NULL ORDER BY seq LIMIT 1), 0), "
    "(SELECT count(*) FROM parked)"};
const PgStatement kCommit{"totals_commit", "COMMIT"};

}  // namespace

PgStep read_products() { return {&kProducts, PgValues()}; }

PgStep read_product(std::string_view id) { return {&kProduct, PgValues(id)}; }

std::vector<Product> products_of(const PgRows& rows) {
  std::vector<Product> products;
  products.reserve(static_cast<size_t>(rows.size()));
  for (int i = 0; i < rows.size(); ++i) {
    products.push_back({rows.text(i, 0), rows.text(i, 1), rows.number(i, 2), rows.number(i, 3)});
  }
  return products;
}

PgStep read_order(std::string_view id) { return {&kOrder, PgValues(id)}; }

PgStep read_orders(std::string_view user_id, int64_t most) {
  return {&kOrders, PgValues(user_id, most)};
}

std::vector<Order> orders_of(const PgRows& rows) {
  std::vector<Order> orders;
  for (int i = 0; i < rows.size(); ++i) {
    switch (rows.number(i, 1)) {
      case 0:
        orders.push_back({rows.text(i, 0),
                          rows.text(i, 3),
                          rows.text(i, 4),
                          rows.number(i, 6),
                          {},
                          {},
                          rows.number(i, 7),
                          rows.text(i, 5)});
        break;
      case 1:
        orders.back().lines.push_back({rows.text(i, 3), rows.number(i, 6), rows.number(i, 7)});
        break;
      default:
        orders.back().history.push_back({rows.text(i, 3), from_unix_ms(rows.number(i, 6))});
    }
  }
  return orders;
}

PgSteps read_totals(int64_t now_ms) {
  return {{&kBegin, PgValues()},  {&kTime, PgValues()},  {&kScans, PgValues()},
          {&kCounts, PgValues()}, {&kStock, PgValues()}, {&kEvents, PgValues(now_ms)},
          {&kCommit, PgValues()}};
}

Totals totals_of(const std::vector<PgRows>& rows) {
  Totals totals;
  const PgRows& counts = rows[3];
  for (int i = 0; i < counts.size(); ++i) {
    totals.orders.emplace_back(counts.text(i, 0), counts.number(i, 1));
  }
  const PgRows& stock = rows[4];
  for (int i = 0; i < stock.size(); ++i) {
    totals.stock.push_back({stock.text(i, 0), stock.number(i, 1), stock.number(i, 2),
                            stock.number(i, 3), stock.number(i, 4), stock.number(i, 5)});
  }
  const PgRows& events = rows[5];
  totals.outbox = events.number(0, 0);
  totals.outbox_oldest = std::chrono::milliseconds(std::max<int64_t>(0, events.number(0, 1)));
  totals.parked = events.number(0, 2);
  return totals;
}

}  // namespace sluice::orders
