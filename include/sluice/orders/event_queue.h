// What carries events from the orders to the workers: RabbitMQ, Kafka, or the outbox itself.
//
// serve: Relay (relay.h) takes from the outbox and hands to an EventPublisher. work: Worker
// (worker.h) gets deliveries from an EventSource. With the embedded queue serve has no relay, and
// the source of work takes from the outbox. Owner of both: the process; thread: all calls and
// callbacks on its loop; what a client library blocks on is done in a thread of the implementation.
// Nothing here blocks the loop, and no callback comes inside a call, or after the object was
// destroyed. They die before the loop. An implementation logs its troubles itself, once, with
// log_limited.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/base/clock.h"
#include "sluice/base/error.h"
#include "sluice/orders/event.h"

namespace sluice::orders {

class EventPublisher {
 public:
  // Once for each event, in any order. Ok: the broker has it for good, and in a queue (mandatory,
  // not returned; acks=all). An Error: it may be there or not; it has to be published again.
  //   kQueueFull     more than room() was given
  //   kQueueTimeout  no confirmation came in time
  //   kSystem        refused, returned, or the connection broke
  using Confirm = std::function<void(const std::string& event_id, Status status)>;

  virtual ~EventPublisher() = default;

  // Connects, and again whenever the connection is lost, with a growing pause. Once.
  virtual void start() = 0;
  // Events of one order leave in the order in which they were given.
  virtual void publish(std::vector<Event> events, Confirm confirm) = 0;
  // How many more events it takes now: 0 when down, blocked by the broker, or full.
  virtual size_t room() const noexcept = 0;
  // Whether the broker takes events.
  virtual bool is_up() const noexcept = 0;
  // Called when is_up() changed or room() came back from 0. Set once, before start().
  virtual void on_change(std::function<void()> changed) = 0;
  // Waits for confirmations that are due, up to `patience`, then fails the rest; `done` comes once,
  // after the last Confirm.
  virtual void stop(Duration patience, std::function<void()> done) = 0;
  // For people, without a password: "amqp://127.0.0.1:5672/".
  virtual std::string_view text() const noexcept = 0;
};

// One event, handed to this process. It counts as unhandled until ack(): when the process dies it
// is delivered again, here or elsewhere.
struct Delivery {
  Event event;           // of a broker: what read_event() made of the message
  uint64_t tag = 0;      // names this delivery in ack() and retry(); never reused by one source
  int64_t attempts = 1;  // how often it was delivered, as far as is known, this one included
};

class EventSource {
 public:
  virtual ~EventSource() = default;

  // Connects, and again whenever the connection is lost. Deliveries that are not yet settled are
  // bounded by the prefetch the source was made with. Once.
  virtual void start(std::function<void(Delivery)> on_delivery) = 0;
  // Each delivery is settled once, by one of these two. Nothing is answered: what was lost with the
  // connection comes again, and the inbox knows it. A tag of a lost connection is ignored.
  virtual void ack(uint64_t tag) = 0;
  // Not now: deliver it again, not before `after` from now, and count it.
  virtual void retry(uint64_t tag, Duration after) = 0;
  virtual bool is_up() const noexcept = 0;
  // Delivers no more. Settled deliveries are written off, at most for `patience`; unsettled ones go
  // back to the queue. `done` comes once.
  virtual void stop(Duration patience, std::function<void()> done) = 0;
  // For people, without a password.
  virtual std::string_view text() const noexcept = 0;
};

}  // namespace sluice::orders
