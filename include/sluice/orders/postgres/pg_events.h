// The events' side of the order database in PostgreSQL: outbox, inbox, and an order's way.
//
// Owner: the store; thread: its loop's. Leases are timed by the clock of the database, which all
// hosts share.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sluice/orders/event_store.h"
#include "sluice/orders/postgres/pg_caller.h"

namespace sluice::orders {

class PgEventTable {
 public:
  PgEventTable(loop::Loop& loop, PgCaller& caller) noexcept : loop_(loop), caller_(caller) {}

  void take_unsent(size_t most, Duration lease, Answer<std::vector<TakenEvent>> answer);
  void mark_sent(const std::vector<std::string>& event_ids, Answer<Ok> answer);
  void give_back(const std::vector<std::string>& event_ids, Duration after, Answer<Ok> answer);
  void outbox_depth(Answer<OutboxDepth> answer);
  void recent_events(int64_t after, size_t most, Answer<std::vector<PlacedEvent>> answer);
  // Reads the order, then moves it in one transaction if it is still what it was, else reads again.
  void apply(Event event, Handling handling, Answer<Applied> answer);
  void park(const Event& event, const std::string& consumer, const std::string& reason,
            Answer<Ok> answer);

 private:
  struct Applying {
    Event event;
    Handling handling;
    Answer<Applied> answer;
    TimePoint deadline;
    int tries = 0;
  };
  using ApplyingPtr = std::shared_ptr<Applying>;

  TimePoint deadline() const noexcept { return loop_.now() + OrderStore::kPatience; }
  void look(const ApplyingPtr& applying);
  void judge(const ApplyingPtr& applying, const PgReply& found);
  void record(const ApplyingPtr& applying, Outcome outcome);
  void move(const ApplyingPtr& applying, Order order);
  void on_moved(const ApplyingPtr& applying, const PgReply& reply);

  loop::Loop& loop_;
  PgCaller& caller_;
};

}  // namespace sluice::orders
