#include "sluice/orders/order_writer.h"

#include <map>
#include <utility>
#include <vector>

#include "sluice/base/strings.h"
#include "sluice/orders/order_id.h"
#include "sluice/orders/reply_json.h"

namespace sluice::orders {
namespace {

int64_t to_unix_ms(WallTime at) noexcept {
  return std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch()).count();
}

int64_t oldest_key_ms(WallTime now) noexcept {
  return to_unix_ms(now - std::chrono::duration_cast<WallTime::duration>(kKeyLife));
}

// Product ids have no spaces.
std::string joined(const std::vector<std::string>& ids) {
  std::string text;
  for (const std::string& id : ids) text += (text.empty() ? "" : " ") + id;
  return text;
}

std::vector<std::string> separated(const std::string& text) {
  std::vector<std::string> ids;
  if (text.empty()) return ids;
  for (std::string_view id : split(text, ' ')) ids.emplace_back(id);
  return ids;
}

}  // namespace

struct OrderWriter::State {
  explicit State(Database database) : db(std::move(database)) {}

  Result<std::optional<Placed>> find_key(const NewOrder& order, WallTime now);
  Result<Placed> place(const NewOrder& order, WallTime now);
  Result<bool> read_price(OrderLine& line);
  Result<Placed> take(const std::map<std::string_view, int64_t>& units);
  Result<int64_t> available(std::string_view product_id);
  Status write(const Order& order, const NewOrder& asked, const StoredReply& reply, int64_t now_ms);

  Database db;
  Statement begin{"BEGIN IMMEDIATE"};
  Statement commit{"COMMIT"};
  Statement mark{"SAVEPOINT one_order"};
  Statement release{"RELEASE one_order"};
  Statement undo{"ROLLBACK TO one_order"};
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
  Statement insert_order{
      "INSERT INTO orders (id, user_id, status, total_cents) VALUES (?, ?, ?, ?)"};
  Statement insert_item{
      "INSERT INTO order_items (order_id, line, product_id, quantity, price_cents) "
      "VALUES (?, ?, ?, ?, ?)"};
  Statement insert_state{
      "INSERT INTO order_states (order_id, step, state, at_ms) VALUES (?, ?, ?, ?)"};
};

OrderWriter::OrderWriter(Database db) : state_(std::make_unique<State>(std::move(db))) {}
OrderWriter::~OrderWriter() = default;

Database& OrderWriter::database() noexcept { return state_->db; }

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
  if (Status marked = Query(state.db, state.mark).run(); !marked) return marked.error();
  auto placed = state.place(order, now);
  const bool keep = placed && placed->verdict == Verdict::accepted;
  Status done = Ok{};
  if (!keep && state.db.is_in_transaction()) done = Query(state.db, state.undo).run();
  if (done && state.db.is_in_transaction()) done = Query(state.db, state.release).run();
  if (done) return placed;
  rollback();  // rather than to commit what was not undone
  return done.error();
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
                      separated(query.text(4))};
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
  placed.reply.status = 201;
  placed.reply.order_id = order.id;
  placed.reply.body = accepted_body(order);
  if (Status done = write(order, asked, placed.reply, to_unix_ms(now)); !done) return done.error();
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

Status OrderWriter::State::write(const Order& order, const NewOrder& asked,
                                 const StoredReply& reply, int64_t now_ms) {
  Status done =
      Query(db, insert_order, order.id, order.user_id, order.status, order.total_cents).run();
  for (size_t i = 0; done && i < order.lines.size(); ++i) {
    const OrderLine& line = order.lines[i];
    done = Query(db, insert_item, order.id, static_cast<int64_t>(i), line.product_id, line.quantity,
                 line.price_cents)
               .run();
  }
  if (done) done = Query(db, insert_state, order.id, int64_t{0}, order.status, now_ms).run();
  if (!done) return done;
  const std::string sold_out = joined(reply.sold_out);
  return Query(db, insert_key, asked.key, asked.fingerprint, reply.order_id,
               static_cast<int64_t>(reply.status), reply.body, sold_out, now_ms)
      .run();
}

Result<std::optional<Product>> OrderWriter::restock(std::string_view product_id, int64_t quantity) {
  State& state = *state_;
  Product product;
  product.id = product_id;
  {
    Query query(state.db, state.select_product, product_id);
    SL_TRY(bool is_there, query.next());
    if (!is_there) return std::optional<Product>();
    product.name = query.text(0);
    product.price_cents = query.number(1);
  }
  Query query(state.db, state.add_units, product_id, quantity);
  SL_TRY(bool is_added, query.next());
  if (is_added) product.stock = query.number(0);
  return std::optional(std::move(product));
}

Status OrderWriter::forget_old_keys(WallTime now) {
  return Query(state_->db, state_->delete_old_keys, oldest_key_ms(now)).run();
}

}  // namespace sluice::orders
