#include "sluice/orders/sqlite/event_writer.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace sluice::orders {
namespace {

// Until then a sent event can be looked at; the inbox keeps its id for good.
constexpr Duration kSentLife = std::chrono::hours(24);

WallTime before(WallTime now, Duration time) {
  return now - std::chrono::duration_cast<WallTime::duration>(time);
}

}  // namespace

struct EventWriter::State {
  explicit State(Database& database) : db(database) {}

  Result<Applied> apply(const Event& event, const Handling& handling, WallTime now);
  Result<std::optional<Order>> find(const std::string& order_id);
  Status read_lines(Order& order);
  Status move(Order& order, const std::string& status, int64_t now_ms);
  Status release(const Order& order, Applied& applied, int64_t now_ms);
  Status add(const Event& event);

  Database& db;
  Savepoint part{db};
  Statement insert_event{
      "INSERT INTO outbox (event_id, order_id, version, type, payload, request_id, traceparent, "
      "created_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"};
  Statement take{
      "UPDATE outbox SET lease_until_ms = ?2, attempts = attempts + 1 WHERE seq IN "
      "(SELECT seq FROM outbox WHERE sent_ms IS NULL AND lease_until_ms <= ?1 ORDER BY seq "
      "LIMIT ?3) RETURNING seq, event_id, order_id, version, type, payload, request_id, "
      "traceparent, created_ms, attempts"};
  Statement set_sent{"UPDATE outbox SET sent_ms = ?2 WHERE event_id = ?1 AND sent_ms IS NULL"};
  Statement set_lease{
      "UPDATE outbox SET lease_until_ms = ?2 WHERE event_id = ?1 AND sent_ms IS NULL"};
  // The oldest ones only: what is not sent yet holds back no more than that.
  Statement delete_old{
      "DELETE FROM outbox WHERE seq IN (SELECT seq FROM "
      "(SELECT seq, sent_ms FROM outbox ORDER BY seq LIMIT 500) WHERE sent_ms <= ?)"};
  Statement select_inbox{"SELECT 1 FROM inbox WHERE consumer = ? AND event_id = ?"};
  Statement insert_inbox{"INSERT INTO inbox (consumer, event_id, at_ms) VALUES (?, ?, ?)"};
  Statement insert_parked{
      "INSERT INTO parked (consumer, event_id, reason, order_id, type, payload, at_ms) "
      "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"};
  Statement select_order{
      "SELECT id, user_id, status, total_cents, version, request_id FROM orders WHERE id = ?"};
  Statement select_items{
      "SELECT product_id, quantity, price_cents FROM order_items WHERE order_id = ? "
      "ORDER BY line"};
  Statement update_order{"UPDATE orders SET status = ?2, version = ?3 WHERE id = ?1"};
  Statement insert_state{
      "INSERT INTO order_states (order_id, step, state, at_ms) VALUES (?, ?, ?, ?)"};
  Statement select_units{
      "SELECT product_id, sum(quantity) FROM order_items WHERE order_id = ? GROUP BY product_id "
      "ORDER BY product_id"};
  Statement return_units{
      "UPDATE stock SET available = available + ?2 WHERE product_id = ?1 RETURNING available"};
  Statement insert_ledger{
      "INSERT INTO stock_ledger (product_id, delta, reason, order_id, at_ms) "
      "VALUES (?, ?, 'release', ?, ?)"};
};

EventWriter::EventWriter(Database& db) : state_(std::make_unique<State>(db)) {}
EventWriter::~EventWriter() = default;

Status EventWriter::add(const Event& event) { return state_->add(event); }

Status EventWriter::State::add(const Event& event) {
  return Query(db, insert_event, event.id, event.order_id, event.version, event.type, event.payload,
               event.request_id, event.traceparent, to_unix_ms(event.created))
      .run();
}

Result<std::vector<TakenEvent>> EventWriter::take_unsent(size_t most, Duration lease,
                                                         WallTime now) {
  const int64_t until_ms =
      to_unix_ms(now) + std::chrono::duration_cast<std::chrono::milliseconds>(lease).count();
  std::vector<std::pair<int64_t, TakenEvent>> taken;
  Query query(state_->db, state_->take, to_unix_ms(now), until_ms, static_cast<int64_t>(most));
  while (true) {
    SL_TRY(bool is_there, query.next());
    if (!is_there) break;
    taken.emplace_back(query.number(0), TakenEvent{{query.text(1), query.text(2), query.number(3),
                                                    query.text(4), query.text(5), query.text(6),
                                                    query.text(7), from_unix_ms(query.number(8))},
                                                   query.number(9)});
  }
  // RETURNING promises no order.
  std::ranges::sort(taken, {}, &std::pair<int64_t, TakenEvent>::first);
  std::vector<TakenEvent> events;
  events.reserve(taken.size());
  for (auto& [seq, event] : taken) events.push_back(std::move(event));
  return events;
}

Status EventWriter::mark_sent(const std::vector<std::string>& event_ids, WallTime now) {
  for (const std::string& id : event_ids) {
    Status done = Query(state_->db, state_->set_sent, id, to_unix_ms(now)).run();
    if (!done) return done;
  }
  return Ok{};
}

Status EventWriter::give_back(const std::vector<std::string>& event_ids, WallTime until) {
  for (const std::string& id : event_ids) {
    Status done = Query(state_->db, state_->set_lease, id, to_unix_ms(until)).run();
    if (!done) return done;
  }
  return Ok{};
}

Result<Applied> EventWriter::apply(const Event& event, const Handling& handling, WallTime now) {
  State& state = *state_;
  if (Status begun = state.part.begin(); !begun) return begun.error();
  auto applied = state.apply(event, handling, now);
  const Status done = state.part.end(applied && applied->outcome != Outcome::unknown);
  if (!done) return done.error();
  return applied;
}

Result<Applied> EventWriter::State::apply(const Event& event, const Handling& handling,
                                          WallTime now) {
  const int64_t now_ms = to_unix_ms(now);
  Applied applied;
  // What changes nothing is found out before anything is written.
  SL_TRY(bool is_known, Query(db, select_inbox, handling.consumer, event.id).next());
  if (is_known) return Applied{Outcome::duplicate, {}, {}};
  SL_TRY(std::optional<Order> order, find(event.order_id));
  if (!order || order->version < event.version) return Applied{Outcome::unknown, {}, {}};
  const bool is_old = order->version > event.version;
  if (!is_old && event.type != event_type(order->status)) return Applied{Outcome::unknown, {}, {}};
  SL_TRY([[maybe_unused]] Ok noted,
         Query(db, insert_inbox, handling.consumer, event.id, now_ms).run());
  if (is_old) return Applied{Outcome::old, {}, {}};
  if (handling.next_status.empty()) return applied;

  Status done = read_lines(*order);
  if (done) done = move(*order, handling.next_status, now_ms);
  if (done && order->status == kFailed) done = release(*order, applied, now_ms);
  if (done) done = add(make_event(*order, event.traceparent, now));
  if (!done) return done.error();
  applied.outcome = Outcome::moved;
  return applied;
}

Result<std::optional<Order>> EventWriter::State::find(const std::string& order_id) {
  Query query(db, select_order, order_id);
  SL_TRY(bool is_there, query.next());
  if (!is_there) return std::optional<Order>();
  Order order;
  order.id = query.text(0);
  order.user_id = query.text(1);
  order.status = query.text(2);
  order.total_cents = query.number(3);
  order.version = query.number(4);
  order.request_id = query.text(5);
  return std::optional(std::move(order));
}

Status EventWriter::State::read_lines(Order& order) {
  Query query(db, select_items, order.id);
  while (true) {
    SL_TRY(bool is_there, query.next());
    if (!is_there) return Ok{};
    order.lines.push_back({query.text(0), query.number(1), query.number(2)});
  }
}

Status EventWriter::State::move(Order& order, const std::string& status, int64_t now_ms) {
  order.status = status;
  ++order.version;
  Status done = Query(db, update_order, order.id, order.status, order.version).run();
  if (done) done = Query(db, insert_state, order.id, order.version, order.status, now_ms).run();
  return done;
}

Status EventWriter::State::release(const Order& order, Applied& applied, int64_t now_ms) {
  Query rows(db, select_units, order.id);
  while (true) {
    SL_TRY(bool is_there, rows.next());
    if (!is_there) return Ok{};
    OrderLine line{rows.text(0), rows.number(1), 0};
    {
      Query query(db, return_units, line.product_id, line.quantity);
      SL_TRY(bool is_returned, query.next());
      if (is_returned && query.number(0) == line.quantity) {
        applied.back_in_stock.push_back(line.product_id);
      }
    }
    Status noted = Query(db, insert_ledger, line.product_id, line.quantity, order.id, now_ms).run();
    if (!noted) return noted;
    applied.released.push_back(std::move(line));
  }
}

Status EventWriter::park(const Event& event, const std::string& consumer, const std::string& reason,
                         WallTime now) {
  return Query(state_->db, state_->insert_parked, consumer, event.id, reason, event.order_id,
               event.type, event.payload, to_unix_ms(now))
      .run();
}

Status EventWriter::forget_old_events(WallTime now) {
  return Query(state_->db, state_->delete_old, to_unix_ms(before(now, kSentLife))).run();
}

}  // namespace sluice::orders
