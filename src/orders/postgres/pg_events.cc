#include "sluice/orders/postgres/pg_events.h"

#include <algorithm>
#include <utility>

#include "pg_reader.h"
#include "sluice/orders/postgres/pg_schema.h"
#include "sluice/orders/stored.h"

namespace sluice::orders {
namespace {

#define SL_NOW_MS "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"

const PgStatement kTake{
    "events_take",
    "WITH free AS MATERIALIZED (SELECT seq FROM outbox WHERE sent_ms IS NULL AND "
    "lease_until_ms <= " SL_NOW_MS
    " ORDER BY seq LIMIT $1 FOR UPDATE SKIP LOCKED) "
    "UPDATE outbox AS o SET lease_until_ms = " SL_NOW_MS
    " + $2, attempts = attempts + 1 FROM free WHERE o.seq = free.seq "
    "RETURNING o.seq, event_id, order_id, version, type, payload, request_id, traceparent, "
    "created_ms, attempts"};
const PgStatement kMarkSent{"events_sent",
                            "UPDATE outbox SET sent_ms = " SL_NOW_MS
                            " WHERE event_id = ANY ($1::text[]) AND sent_ms IS NULL"};
const PgStatement kGiveBack{"events_back",
                            "UPDATE outbox SET lease_until_ms = " SL_NOW_MS
                            " + $2 WHERE event_id = ANY ($1::text[]) AND sent_ms IS NULL"};
const PgStatement kDepth{
    "events_depth",
    "SELECT (SELECT count(*) FROM outbox WHERE sent_ms IS NULL), "
    "coalesce(" SL_NOW_MS
    " - (SELECT created_ms FROM outbox WHERE sent_ms IS NULL ORDER BY seq LIMIT 1), 0), "
    "(SELECT count(*) FROM parked)"};
#undef SL_NOW_MS

const PgStatement kInbox{"events_inbox",
                         "SELECT 1 FROM inbox WHERE consumer = $1 AND event_id = $2"};
const PgStatement kRecord{
    "events_record",
    "INSERT INTO inbox (consumer, event_id, at_ms) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING "
    "RETURNING 1"};
const PgStatement kMove{
    "events_move", "SELECT * FROM move_order($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"};
const PgStatement kPark{
    "events_park",
    "INSERT INTO parked (consumer, event_id, reason, order_id, type, payload, at_ms) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING"};

int64_t ms_of(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

PgConnection::Done say_ok(Answer<Ok> answer) {
  return [answer = std::move(answer)](const PgReply& reply) {
    if (reply.failure) return answer(reply.failure.error());
    answer(Ok{});
  };
}

// RETURNING promises no order.
std::vector<TakenEvent> taken_of(const PgRows& rows) {
  std::vector<std::pair<int64_t, int>> places;
  places.reserve(static_cast<size_t>(rows.size()));
  for (int i = 0; i < rows.size(); ++i) places.emplace_back(rows.number(i, 0), i);
  std::ranges::sort(places);
  std::vector<TakenEvent> taken;
  taken.reserve(places.size());
  for (const auto& [seq, i] : places) {
    taken.push_back(
        {{rows.text(i, 1), rows.text(i, 2), rows.number(i, 3), rows.text(i, 4), rows.text(i, 5),
          rows.text(i, 6), rows.text(i, 7), from_unix_ms(rows.number(i, 8))},
         rows.number(i, 9)});
  }
  return taken;
}

}  // namespace

void PgEventTable::take_unsent(size_t most, Duration lease,
                               Answer<std::vector<TakenEvent>> answer) {
  caller_.write({{&kTake, PgValues(static_cast<int64_t>(most), ms_of(lease))}}, deadline(),
                [answer = std::move(answer)](const PgReply& reply) {
                  if (reply.failure) return answer(reply.failure.error());
                  answer(taken_of(reply.rows[0]));
                });
}

void PgEventTable::mark_sent(const std::vector<std::string>& event_ids, Answer<Ok> answer) {
  caller_.write({{&kMarkSent, PgValues(event_ids)}}, deadline(), say_ok(std::move(answer)));
}

void PgEventTable::give_back(const std::vector<std::string>& event_ids, Duration after,
                             Answer<Ok> answer) {
  caller_.write({{&kGiveBack, PgValues(event_ids, ms_of(after))}}, deadline(),
                say_ok(std::move(answer)));
}

void PgEventTable::outbox_depth(Answer<OutboxDepth> answer) {
  caller_.read(
      {{&kDepth, PgValues()}}, deadline(), [answer = std::move(answer)](const PgReply& reply) {
        if (reply.failure) return answer(reply.failure.error());
        const PgRows& row = reply.rows[0];
        OutboxDepth depth{row.number(0, 0), Duration(0), row.number(0, 2)};
        depth.oldest_age = std::chrono::milliseconds(std::max<int64_t>(0, row.number(0, 1)));
        answer(depth);
      });
}

void PgEventTable::park(const Event& event, const std::string& consumer, const std::string& reason,
                        Answer<Ok> answer) {
  caller_.write({{&kPark, PgValues(consumer, event.id, reason, event.order_id, event.type,
                                   event.payload, to_unix_ms(wall_now()))}},
                deadline(), say_ok(std::move(answer)));
}

// One step of an order
// ------------------------------------------------------------------------------

void PgEventTable::apply(Event event, Handling handling, Answer<Applied> answer) {
  look(std::make_shared<Applying>(
      Applying{std::move(event), std::move(handling), std::move(answer), deadline()}));
}

void PgEventTable::look(const ApplyingPtr& applying) {
  const Event& event = applying->event;
  caller_.read(
      {{&kInbox, PgValues(applying->handling.consumer, event.id)}, read_order(event.order_id)},
      applying->deadline, [this, applying](const PgReply& found) { judge(applying, found); });
}

void PgEventTable::judge(const ApplyingPtr& applying, const PgReply& found) {
  if (found.failure) return applying->answer(found.failure.error());
  if (found.rows[0].size() > 0) return applying->answer(Applied{Outcome::duplicate, {}, {}});
  std::vector<Order> orders = orders_of(found.rows[1]);
  const Event& event = applying->event;
  const Applied unknown{Outcome::unknown, {}, {}};
  if (orders.empty() || orders[0].version < event.version) return applying->answer(unknown);
  if (orders[0].version > event.version) return record(applying, Outcome::old);
  if (event.type != event_type(orders[0].status)) return applying->answer(unknown);
  if (applying->handling.next_status.empty()) return record(applying, Outcome::recorded);
  move(applying, std::move(orders[0]));
}

void PgEventTable::record(const ApplyingPtr& applying, Outcome outcome) {
  caller_.write({{&kRecord, PgValues(applying->handling.consumer, applying->event.id,
                                     to_unix_ms(wall_now()))}},
                applying->deadline, [applying, outcome](const PgReply& reply) {
                  if (reply.failure) return applying->answer(reply.failure.error());
                  const bool is_first = reply.rows[0].size() > 0;
                  applying->answer(Applied{is_first ? outcome : Outcome::duplicate, {}, {}});
                });
}

void PgEventTable::move(const ApplyingPtr& applying, Order order) {
  const std::string status = order.status;
  order.status = applying->handling.next_status;
  ++order.version;
  const Event& event = applying->event;
  const WallTime now = wall_now();
  const Event next = make_event(order, event.traceparent, now);
  PgSteps steps{{&kMove, PgValues(to_unix_ms(now), applying->handling.consumer, event.id, order.id,
                                  event.version, status, order.status, next.id, next.type,
                                  next.payload, next.request_id, next.traceparent)}};
  caller_.pool().run(std::move(steps), applying->deadline,
                     [this, applying](const PgReply& reply) { on_moved(applying, reply); });
}

void PgEventTable::on_moved(const ApplyingPtr& applying, const PgReply& reply) {
  const PgFailure& failure = reply.failure;
  if (failure) {
    const Duration pause = caller_.pause(++applying->tries);
    const bool may_help = failure.is_worth_repeating() || failure.state == kPgMoved;
    if (may_help && applying->tries < PgCaller::kMostTries &&
        loop_.now() + pause < applying->deadline) {
      return caller_.later(pause, [this, applying] { look(applying); });
    }
    log_pg_failure("moving an order", failure);
    return applying->answer(failure.error());
  }
  const PgRows& rows = reply.rows[0];
  Applied applied{Outcome::duplicate, {}, {}};
  for (int i = 0; i < rows.size(); ++i) {
    if (rows.view(i, 0) == "moved") applied.outcome = Outcome::moved;
    if (rows.view(i, 0) != "released") continue;
    applied.released.push_back({rows.text(i, 1), rows.number(i, 2), 0});
    if (rows.view(i, 3) == "t") applied.back_in_stock.push_back(rows.text(i, 1));
  }
  applying->answer(std::move(applied));
}

}  // namespace sluice::orders
