#include "sluice/orders/sqlite/order_writer.h"

#include <map>
#include <utility>
#include <vector>

#include "sluice/orders/order_id.h"
#include "sluice/orders/reply_json.h"
#include "sluice/orders/stored.h"

namespace sluice::orders {
struct OrderWriter::State {
  explicit State(Database database) : db(std::move(database)) {}

  Result<std::optional<Placed>> find_key(const NewOrder& order, WallTime now);
  Result<Placed> place(const NewOrder& order, WallTime now);
  Result<bool> read_price(OrderLine& line);
  Result<Placed> take(const std::map<std::string_view, int64_t>& units);
  Result<int64_t> available(std::string_view product_id);
  Result<bool> is_over_limit(const NewOrder& order);
  Status write(const Order& order, WallTime now);
  Status write_ledger(const Order& order, const std::map<std::string_view, int64_t>& units,
                      int64_t now_ms);
  Result<std::optional<Product>> restock(std::string_view product_id, int64_t quantity,
                                         int64_t now_ms);
  Status write_key(const NewOrder& asked, const StoredReply& reply, int64_t now_ms);

  Database db;
  EventWriter events{db};
  Statement begin{"BEGIN IMMEDIATE"};
  Statement commit{"COMMIT"};
  Savepoint part{db};
  Statement select_key{
      "SELECT fingerprint, order_id, status, body, sold_out, at_ms FROM idempotency_keys "
      "WHERE key = ?"};
  Statement delete_key{"DELETE FROM idempotency_keys WHERE key = ?"};
  Statement insert_key{
      "INSERT INTO idempotency_keys (key, fingerprint, order_id, status, body, sold_out, at_ms) "
      "VALUES (?, ?, ?, ?, ?, ?, ?)"};
  Statement delete_old_keys{
      "DELETE FROM idempotency_keys WHERE key IN "
      "(SELECT key FROM idempotency_keys WHERE at_ms <= ? ORDER BY at_ms LIMIT 500)"};
  Statement select_price{"SELECT price_cents FROM products WHERE id = ?"};
  Statement select_available{"SELECT available FROM stock WHERE product_id = ?"};
  Statement take_units{
      "UPDATE stock SET available = available - ?2 WHERE product_id = ?1 AND available >= ?2 "
      "RETURNING available"};
  Statement add_units{
      "UPDATE stock SET available = available + ?2, supplied = supplied + ?2 "
      "WHERE product_id = ?1 RETURNING available"};
  Statement select_product{"SELECT name, price_cents FROM products WHERE id = ?"};
  Statement count_orders{
      "SELECT count(*) FROM (SELECT 1 FROM orders WHERE user_id = ? AND status <> 'failed' "
      "LIMIT ?)"};
  Statement insert_order{
      "INSERT INTO orders (id, user_id, status, total_cents, version, request_id) "
      "VALUES (?, ?, ?, ?, ?, ?)"};
  Statement insert_ledger{
      "INSERT INTO stock_ledger (product_id, delta, reason, order_id, at_ms) "
      "VALUES (?, ?, 'order', ?, ?)"};
  Statement insert_restock{
      "INSERT INTO stock_ledger (product_id, delta, reason, at_ms) VALUES (?, ?, 'restock', ?)"};
  Statement insert_item{
      "INSERT INTO order_items (order_id, line, product_id, quantity, price_cents) "
      "VALUES (?, ?, ?, ?, ?)"};
  Statement insert_state{
      "INSERT INTO order_states (order_id, step, state, at_ms) VALUES (?, ?, ?, ?)"};
};

OrderWriter::OrderWriter(Database db) : state_(std::make_unique<State>(std::move(db))) {}
OrderWriter::~OrderWriter() = default;

Database& OrderWriter::database() noexcept { return state_->db; }
EventWriter& OrderWriter::events() noexcept { return state_->events; }

Status OrderWriter::begin() { return Query(state_->db, state_->begin).run(); }

Status OrderWriter::commit() { return Query(state_->db, state_->commit).run(); }

void OrderWriter::rollback() {
  if (!state_->db.is_in_transaction()) return;
  // If even this fails the connection stays in a transaction, and the next begin() says so.
  static_cast<void>(state_->db.run("ROLLBACK").has_value());
}

Result<Placed> OrderWriter::place(const NewOrder& order, WallTime now) {
  State& state = *state_;
  SL_TRY(auto known, state.find_key(order, now));
  if (known) return *std::move(known);
  if (Status begun = state.part.begin(); !begun) return begun.error();
  auto placed = state.place(order, now);
  const Status done = state.part.end(placed && placed->verdict == Verdict::accepted);
  if (!done) return done.error();
  return placed;
}

Result<std::optional<Placed>> OrderWriter::State::find_key(const NewOrder& order, WallTime now) {
  Placed placed;
  {
    Query query(db, select_key, order.key);
    SL_TRY(bool is_there, query.next());
    if (!is_there) return std::optional<Placed>();
    if (query.number(5) > oldest_key_ms(now)) {
      placed.verdict = query.text(0) == order.fingerprint ? Verdict::replayed : Verdict::key_reused;
      placed.reply = {static_cast<int>(query.number(2)), query.text(1), query.text(3),
                      ids_in(query.text(4))};
      return std::optional(std::move(placed));
    }
  }
  if (Status gone = Query(db, delete_key, order.key).run(); !gone) return gone.error();
  return std::optional<Placed>();
}

Result<Placed> OrderWriter::State::place(const NewOrder& asked, WallTime now) {
  Order order{make_order_id(now),
              asked.user_id,
              std::string(kAccepted),
              0,
              asked.lines,
              {{std::string(kAccepted), now}},
              1,
              asked.request_id};
  SL_TRY(bool has_too_many, is_over_limit(asked));
  if (has_too_many) return Placed{Verdict::user_limit, {}, {}};
  // By product id: two orders take their rows in one order, whatever the database.
  std::map<std::string_view, int64_t> units;
  for (OrderLine& line : order.lines) {
    SL_TRY(bool is_known, read_price(line));
    if (!is_known) return Placed{Verdict::unknown_product, {}, line.product_id};
    order.total_cents += line.price_cents * line.quantity;
    units[line.product_id] += line.quantity;
  }
  SL_TRY(Placed placed, take(units));
  if (placed.verdict != Verdict::accepted) return placed;
  placed.reply.status = asked.reply_status;
  placed.reply.order_id = order.id;
  placed.reply.body = accepted_body(order);
  Status done = write(order, now);
  if (done) done = write_ledger(order, units, to_unix_ms(now));
  if (done) done = write_key(asked, placed.reply, to_unix_ms(now));
  if (done) done = events.add(make_event(order, asked.traceparent, now));
  if (!done) return done.error();
  return placed;
}

Result<bool> OrderWriter::State::read_price(OrderLine& line) {
  Query query(db, select_price, line.product_id);
  SL_TRY(bool is_there, query.next());
  if (is_there) line.price_cents = query.number(0);
  return is_there;
}

Result<Placed> OrderWriter::State::take(const std::map<std::string_view, int64_t>& units) {
  Placed placed;
  for (const auto& [product_id, quantity] : units) {
    Query query(db, take_units, product_id, quantity);
    SL_TRY(bool is_taken, query.next());
    if (!is_taken) {
      SL_TRY(int64_t left, available(product_id));
      return Placed{Verdict::sold_out, {}, std::string(product_id), quantity, left};
    }
    if (query.number(0) == 0) placed.reply.sold_out.emplace_back(product_id);
  }
  return placed;
}

Result<int64_t> OrderWriter::State::available(std::string_view product_id) {
  Query query(db, select_available, product_id);
  SL_TRY(bool is_there, query.next());
  return is_there ? query.number(0) : 0;
}

// Exact, since only one transaction writes at a time.
Result<bool> OrderWriter::State::is_over_limit(const NewOrder& order) {
  if (order.user_limit == 0) return false;
  Query query(db, count_orders, order.user_id, order.user_limit);
  SL_TRY(bool is_there, query.next());
  return is_there && query.number(0) >= order.user_limit;
}

Status OrderWriter::State::write(const Order& order, WallTime now) {
  Status done = Query(db, insert_order, order.id, order.user_id, order.status, order.total_cents,
                      order.version, order.request_id)
                    .run();
  for (size_t i = 0; done && i < order.lines.size(); ++i) {
    const OrderLine& line = order.lines[i];
    done = Query(db, insert_item, order.id, static_cast<int64_t>(i), line.product_id, line.quantity,
                 line.price_cents)
               .run();
  }
  if (!done) return done;
  return Query(db, insert_state, order.id, order.version, order.status, to_unix_ms(now)).run();
}

Status OrderWriter::State::write_ledger(const Order& order,
                                        const std::map<std::string_view, int64_t>& units,
                                        int64_t now_ms) {
  for (const auto& [product_id, quantity] : units) {
    Status done = Query(db, insert_ledger, product_id, -quantity, order.id, now_ms).run();
    if (!done) return done;
  }
  return Ok{};
}

Status OrderWriter::State::write_key(const NewOrder& asked, const StoredReply& reply,
                                     int64_t now_ms) {
  const std::string sold_out = joined_ids(reply.sold_out);
  return Query(db, insert_key, asked.key, asked.fingerprint, reply.order_id,
               static_cast<int64_t>(reply.status), reply.body, sold_out, now_ms)
      .run();
}

Result<std::optional<Product>> OrderWriter::restock(std::string_view product_id, int64_t quantity,
                                                    WallTime now) {
  State& state = *state_;
  if (Status begun = state.part.begin(); !begun) return begun.error();
  auto product = state.restock(product_id, quantity, to_unix_ms(now));
  const Status done = state.part.end(product.has_value());
  if (!done) return done.error();
  return product;
}

Result<std::optional<Product>> OrderWriter::State::restock(std::string_view product_id,
                                                           int64_t quantity, int64_t now_ms) {
  Product product;
  product.id = product_id;
  {
    Query query(db, select_product, product_id);
    SL_TRY(bool is_there, query.next());
    if (!is_there) return std::optional<Product>();
    product.name = query.text(0);
    product.price_cents = query.number(1);
  }
  {
    Query query(db, add_units, product_id, quantity);
    SL_TRY(bool is_added, query.next());
    if (is_added) product.stock = query.number(0);
  }
  if (Status noted = Query(db, insert_restock, product_id, quantity, now_ms).run(); !noted) {
    return noted.error();
  }
  return std::optional(std::move(product));
}

Status OrderWriter::forget_old_keys(WallTime now) {
  return Query(state_->db, state_->delete_old_keys, oldest_key_ms(now)).run();
}

}  // namespace sluice::orders
