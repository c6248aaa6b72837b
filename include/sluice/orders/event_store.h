// The events' side of the database: the outbox that orders write, and what a worker makes of
// events.
//
// Implemented by the same object as OrderStore, with the same rules: owner the server or the worker
// process; all calls and all answers on its loop; an answer comes once, never inside the call, and
// not after the store was destroyed; errors as order_store.h lists them. Each call is one
// transaction (which several may share). A call that failed with kSystem may have happened: all of
// them may be made again.
//
// Outbox rows are leased, not locked: who takes one has it until the lease is over; when it is
// neither marked nor given back by then, anybody may take it again. So an event is delivered at
// least once, and the inbox makes its effect happen once.
#pragma once

#include <string>
#include <vector>

#include "sluice/orders/event.h"
#include "sluice/orders/order_store.h"

namespace sluice::orders {

struct TakenEvent {
  Event event;
  int64_t attempts = 1;  // how often it was taken, this one included
};

// An event with its place in the outbox. Places are given while a transaction runs: in PostgreSQL a
// lower one may come to be seen after a higher one, and those of undone transactions stay empty.
struct PlacedEvent {
  int64_t seq = 0;
  Event event;
};

struct OutboxDepth {
  int64_t unsent = 0;      // leased ones too
  Duration oldest_age{0};  // since the oldest unsent one was written
  int64_t parked = 0;
};

// Who handles an event, and what becomes of the order. The consumer is the name of the job, not of
// a process: all workers together handle an event once.
struct Handling {
  std::string consumer;
  std::string next_status;  // as next_status() says; "": only the inbox row
};

enum class Outcome : uint8_t {
  moved,      // the order has its next status, and the next event is in the outbox
  recorded,   // nothing follows from this event
  duplicate,  // this consumer had it already; nothing was done
  old,        // the order is past this version: recorded, the order untouched
  unknown,    // there is no such order, or it is not yet there, or at this version it has another
              // status; nothing was recorded
};

struct Applied {
  Outcome outcome = Outcome::recorded;
  std::vector<OrderLine> released;         // units that went back to the stock, by product id
  std::vector<std::string> back_in_stock;  // products that were sold out before that
};

class EventStore {
 public:
  virtual ~EventStore() = default;

  // Leases up to `most` unsent events that nobody holds, in the order in which they were written.
  // Two takers never get the same one while its lease lasts (PostgreSQL: FOR UPDATE SKIP LOCKED).
  virtual void take_unsent(size_t most, Duration lease, Answer<std::vector<TakenEvent>> answer) = 0;
  // They need not be taken again. Unknown ids, and ids marked before, are no error.
  virtual void mark_sent(std::vector<std::string> event_ids, Answer<Ok> answer) = 0;
  // Ends leases early: they may be taken again `after` from now.
  virtual void give_back(std::vector<std::string> event_ids, Duration after, Answer<Ok> answer) = 0;
  virtual void outbox_depth(Answer<OutboxDepth> answer) = 0;
  // To look at: the newest events behind place `after`, at most so many, oldest first, sent or not.
  virtual void recent_events(int64_t after, size_t most,
                             Answer<std::vector<PlacedEvent>> answer) = 0;

  // One transaction: the inbox row of (consumer, event id), which makes a second time a duplicate;
  // the order's row, which must have the event's version and status; its next status, version and
  // order_states row; for "failed" the units back to the stock with their ledger rows; and the
  // event of that in the outbox, with the request id and traceparent of this one.
  virtual void apply(Event event, Handling handling, Answer<Applied> answer) = 0;
  // Puts away what cannot be handled, with the reason, for people to look at. Once for each
  // (consumer, event id); a second time changes nothing.
  virtual void park(Event event, std::string consumer, std::string reason, Answer<Ok> answer) = 0;
};

}  // namespace sluice::orders
