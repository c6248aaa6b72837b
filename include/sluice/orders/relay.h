// Carries events from the outbox to a broker: takes with leases, publishes, marks what was
// confirmed.
//
// Owner: the server, when its queue is not the embedded one; thread: its loop. Several processes
// may relay from one outbox. Nothing is lost: an event that was published but not marked is
// published again. While the broker is down the outbox grows and orders go on.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sluice/base/clock.h"
#include "sluice/loop/loop.h"
#include "sluice/loop/timer.h"
#include "sluice/orders/event_queue.h"
#include "sluice/orders/event_store.h"

namespace sluice::orders {

struct RelayOptions {
  size_t batch = 256;
  Duration lease = std::chrono::seconds(30);    // longer than a publisher waits for confirms
  Duration nap = std::chrono::milliseconds(5);  // after an empty outbox; doubled
  Duration longest_nap = std::chrono::milliseconds(200);
  Duration first_pause = std::chrono::milliseconds(200);  // after a failed publish; doubled
  Duration longest_pause = std::chrono::seconds(5);
};

class Relay {
 public:
  struct Counts {
    uint64_t sent = 0, failed = 0;
  };

  // Store and publisher must outlive the relay.
  Relay(loop::Loop& loop, EventStore& store, EventPublisher& publisher, RelayOptions options = {});
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  void start();
  // An order was written just now: do not nap.
  void poke() noexcept;
  // Stops the publisher too, and marks what it confirmed; `done` comes once.
  void stop(Duration patience, std::function<void()> done);
  const Counts& counts() const noexcept { return counts_; }

 private:
  void take() noexcept;
  void on_taken(Result<std::vector<TakenEvent>> taken);
  void on_confirm(const std::string& event_id, const Status& status);
  void mark();
  void give_back(std::vector<std::string> ids, Duration after);
  void finish_when_idle();

  EventStore& store_;
  EventPublisher& publisher_;
  RelayOptions options_;
  Duration nap_;
  Duration pause_{0};  // grows while publishing fails
  loop::Timer timer_;
  std::vector<std::string> confirmed_;  // not yet marked
  std::vector<std::string> refused_;    // not yet given back
  size_t in_flight_ = 0;                // at the publisher
  size_t writing_ = 0;                  // calls to the store that mark or give back
  Counts counts_;
  std::function<void()> on_stopped_;
  bool is_taking_ = false, is_stopping_ = false, is_poked_ = false;
  std::shared_ptr<Ok> alive_ = std::make_shared<Ok>();
};

}  // namespace sluice::orders
