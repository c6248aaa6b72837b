#include "sluice/orders/sqlite/order_reader.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

namespace sluice::orders {
namespace {

// Several statements that shall see the same moment.
class Snapshot {
 public:
  explicit Snapshot(Database& db) noexcept : db_(db), begun_(db.run("BEGIN")) {}
  ~Snapshot() {
    if (db_.is_in_transaction()) static_cast<void>(db_.run("COMMIT").has_value());
  }
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;
  const Status& begun() const noexcept { return begun_; }

 private:
  Database& db_;
  Status begun_;
};

}  // namespace

struct OrderReader::State {
  explicit State(Database database) : db(std::move(database)) {}

  Result<std::optional<Order>> order(std::string_view id);
  Status read_lines(Order& order);
  Status read_history(Order& order);
  Status read_order_counts(Totals& totals);
  Status read_stock(Totals& totals);
  Result<OutboxDepth> outbox_depth(WallTime now);
  Result<int64_t> number(Statement& statement);

  Database db;
  Statement select_products{
      "SELECT id, name, price_cents, available FROM products JOIN stock ON product_id = id "
      "ORDER BY id"};
  Statement select_product{
      "SELECT id, name, price_cents, available FROM products JOIN stock ON product_id = id "
      "WHERE id = ?"};
  Statement select_available{"SELECT available FROM stock WHERE product_id = ?"};
  Statement select_key{"SELECT 1 FROM idempotency_keys WHERE key = ?"};
  Statement select_order{
      "SELECT id, user_id, status, total_cents, version, request_id FROM orders WHERE id = ?"};
  Statement select_items{
      "SELECT product_id, quantity, price_cents FROM order_items WHERE order_id = ? "
      "ORDER BY line"};
  Statement select_states{"SELECT state, at_ms FROM order_states WHERE order_id = ? ORDER BY step"};
  // Ids grow with time.
  Statement select_ids{"SELECT id FROM orders WHERE user_id = ? ORDER BY id DESC LIMIT ?"};
  Statement count_orders{"SELECT status, count(*) FROM orders GROUP BY status ORDER BY status"};
  Statement select_stock{
      "SELECT s.product_id, supplied, available, coalesce(held, 0), coalesce(sold, 0), "
      "coalesce(ledger, 0) FROM stock AS s LEFT JOIN "
      "(SELECT product_id AS of, sum(iif(status = 'accepted', quantity, 0)) AS held, "
      "sum(iif(status IN ('paid', 'shipped'), quantity, 0)) AS sold "
      "FROM order_items JOIN orders ON id = order_id GROUP BY product_id) AS o ON o.of = "
      "product_id "
      "LEFT JOIN (SELECT product_id AS of, sum(delta) AS ledger FROM stock_ledger "
      "GROUP BY product_id) AS l ON l.of = product_id ORDER BY product_id"};
  Statement count_unsent{"SELECT count(*) FROM outbox WHERE sent_ms IS NULL"};
  Statement select_oldest{
      "SELECT created_ms FROM outbox WHERE sent_ms IS NULL ORDER BY seq LIMIT 1"};
  Statement count_parked{"SELECT count(*) FROM parked"};
  Statement select_free{
      "SELECT 1 FROM outbox WHERE sent_ms IS NULL AND lease_until_ms <= ? LIMIT 1"};
  Statement select_keys{
      "SELECT key, at_ms FROM idempotency_keys WHERE (at_ms, key) > (?, ?) ORDER BY at_ms, key "
      "LIMIT ?"};
  Statement select_recent{
      "SELECT seq, event_id, order_id, version, type, payload, request_id, traceparent, created_ms "
      "FROM outbox WHERE seq > ? ORDER BY seq DESC LIMIT ?"};
  Statement select_version{"SELECT max(version) FROM schema_version"};
};

OrderReader::OrderReader(Database db) : state_(std::make_unique<State>(std::move(db))) {}
OrderReader::~OrderReader() = default;

Database& OrderReader::database() noexcept { return state_->db; }

Result<std::vector<Product>> OrderReader::products() {
  std::vector<Product> products;
  Query query(state_->db, state_->select_products);
  while (true) {
    SL_TRY(bool is_there, query.next());
    if (!is_there) return products;
    products.push_back({query.text(0), query.text(1), query.number(2), query.number(3)});
  }
}

Result<std::optional<Product>> OrderReader::product(std::string_view id) {
  Query query(state_->db, state_->select_product, id);
  SL_TRY(bool is_there, query.next());
  if (!is_there) return std::optional<Product>();
  return std::optional(Product{query.text(0), query.text(1), query.number(2), query.number(3)});
}

Result<std::optional<Order>> OrderReader::order(std::string_view id) {
  Snapshot snapshot(state_->db);
  if (!snapshot.begun()) return snapshot.begun().error();
  return state_->order(id);
}

Result<std::optional<Order>> OrderReader::State::order(std::string_view id) {
  Order order;
  {
    Query query(db, select_order, id);
    SL_TRY(bool is_there, query.next());
    if (!is_there) return std::optional<Order>();
    order.id = query.text(0);
    order.user_id = query.text(1);
    order.status = query.text(2);
    order.total_cents = query.number(3);
    order.version = query.number(4);
    order.request_id = query.text(5);
  }
  Status read = read_lines(order);
  if (read) read = read_history(order);
  if (!read) return read.error();
  return std::optional(std::move(order));
}

Status OrderReader::State::read_lines(Order& order) {
  Query query(db, select_items, order.id);
  while (true) {
    SL_TRY(bool is_there, query.next());
    if (!is_there) return Ok{};
    order.lines.push_back({query.text(0), query.number(1), query.number(2)});
  }
}

Status OrderReader::State::read_history(Order& order) {
  Query query(db, select_states, order.id);
  while (true) {
    SL_TRY(bool is_there, query.next());
    if (!is_there) return Ok{};
    order.history.push_back({query.text(0), from_unix_ms(query.number(1))});
  }
}

Result<std::vector<Order>> OrderReader::orders_of(std::string_view user_id, int64_t most) {
  Snapshot snapshot(state_->db);
  if (!snapshot.begun()) return snapshot.begun().error();
  std::vector<Order> orders;
  Query query(state_->db, state_->select_ids, user_id, most);
  while (true) {
    SL_TRY(bool is_there, query.next());
    if (!is_there) return orders;
    SL_TRY(auto order, state_->order(query.text(0)));
    if (order) orders.push_back(*std::move(order));
  }
}

Result<Totals> OrderReader::totals(WallTime now) {
  Snapshot snapshot(state_->db);
  Totals totals;
  Status read = snapshot.begun();
  if (read) read = state_->read_order_counts(totals);
  if (read) read = state_->read_stock(totals);
  if (!read) return read.error();
  SL_TRY(const OutboxDepth outbox, state_->outbox_depth(now));
  totals.outbox = outbox.unsent;
  totals.outbox_oldest = outbox.oldest_age;
  totals.parked = outbox.parked;
  return totals;
}

Status OrderReader::State::read_order_counts(Totals& totals) {
  Query query(db, count_orders);
  while (true) {
    SL_TRY(bool is_there, query.next());
    if (!is_there) return Ok{};
    totals.orders.emplace_back(query.text(0), query.number(1));
  }
}

Status OrderReader::State::read_stock(Totals& totals) {
  Query query(db, select_stock);
  while (true) {
    SL_TRY(bool is_there, query.next());
    if (!is_there) return Ok{};
    totals.stock.push_back({query.text(0), query.number(1), query.number(2), query.number(3),
                            query.number(4), query.number(5)});
  }
}

Result<OutboxDepth> OrderReader::outbox_depth(WallTime now) {
  Snapshot snapshot(state_->db);
  if (!snapshot.begun()) return snapshot.begun().error();
  return state_->outbox_depth(now);
}

Result<OutboxDepth> OrderReader::State::outbox_depth(WallTime now) {
  OutboxDepth depth;
  SL_TRY(depth.unsent, number(count_unsent));
  SL_TRY(depth.parked, number(count_parked));
  if (depth.unsent == 0) return depth;
  SL_TRY(const int64_t oldest_ms, number(select_oldest));
  depth.oldest_age = std::max<Duration>(Duration(0), now - from_unix_ms(oldest_ms));
  return depth;
}

Result<int64_t> OrderReader::State::number(Statement& statement) {
  Query query(db, statement);
  SL_TRY(bool is_there, query.next());
  return is_there ? query.number(0) : 0;
}

Result<bool> OrderReader::has_unsent(WallTime now) {
  return Query(state_->db, state_->select_free, to_unix_ms(now)).next();
}

// The stock before the key: an order whose key is not there yet had not taken what is missing.
Result<std::optional<Placed>> OrderReader::find_sold_out(const NewOrder& order) {
  State& state = *state_;
  std::map<std::string_view, int64_t> units;
  for (const OrderLine& line : order.lines) units[line.product_id] += line.quantity;
  std::optional<Placed> placed;
  for (const auto& [product_id, quantity] : units) {
    Query query(state.db, state.select_available, product_id);
    SL_TRY(bool is_there, query.next());
    if (!is_there) return std::optional<Placed>();
    const int64_t left = query.number(0);
    if (placed || quantity <= left) continue;
    placed = Placed{Verdict::sold_out, {}, std::string(product_id), quantity, left};
  }
  if (!placed) return placed;
  SL_TRY(bool is_known, Query(state.db, state.select_key, order.key).next());
  return is_known ? std::optional<Placed>() : std::move(placed);
}

Result<std::vector<std::string>> OrderReader::placed_keys(const std::vector<std::string>& keys) {
  Snapshot snapshot(state_->db);
  if (!snapshot.begun()) return snapshot.begun().error();
  std::vector<std::string> placed;
  for (const std::string& key : keys) {
    Query query(state_->db, state_->select_key, key);
    SL_TRY(bool is_there, query.next());
    if (is_there) placed.push_back(key);
  }
  return placed;
}

Result<std::vector<PlacedKey>> OrderReader::keys_after(const PlacedKey& last, int64_t most) {
  std::vector<PlacedKey> page;
  Query query(state_->db, state_->select_keys, last.at_ms, last.key, most);
  while (true) {
    SL_TRY(bool is_there, query.next());
    if (!is_there) return page;
    page.push_back({query.text(0), query.number(1)});
  }
}

Result<std::vector<PlacedEvent>> OrderReader::recent_events(int64_t after, size_t most) {
  std::vector<PlacedEvent> events;
  Query query(state_->db, state_->select_recent, after, static_cast<int64_t>(most));
  while (true) {
    SL_TRY(bool is_there, query.next());
    if (!is_there) break;
    events.push_back({query.number(0),
                      {query.text(1), query.text(2), query.number(3), query.text(4), query.text(5),
                       query.text(6), query.text(7), from_unix_ms(query.number(8))}});
  }
  std::ranges::reverse(events);
  return events;
}

Status OrderReader::ping() {
  Query query(state_->db, state_->select_version);
  auto row = query.next();
  if (!row) return row.error();
  return Ok{};
}

}  // namespace sluice::orders
