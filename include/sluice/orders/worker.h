// Works off events: each delivery of a source becomes one transaction of the store, and is then
// acknowledged.
//
// Owner: the worker process (work.h), or a test; thread: its loop. What becomes of a delivery:
//   moved, recorded, duplicate, old    acknowledged
//   the store is busy or broken        kept, and tried again until it works; nothing is lost by
//   that no such order (yet)                given back, to come again; parked at the last attempt
//   no event at all                    parked at once
//   it came too often                  parked: handling it seems to end workers
// Parked events are acknowledged: they wait in the table for people, and hold up nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>

#include "sluice/base/clock.h"
#include "sluice/loop/loop.h"
#include "sluice/loop/timer.h"
#include "sluice/orders/event_queue.h"
#include "sluice/orders/event_store.h"

namespace sluice::orders {

// The job that all workers do together; its name is in inbox and parked.
inline constexpr const char* kConsumer = "fulfilment";

struct WorkerOptions {
  double fail_payments = 0;  // share of orders
  int64_t most_attempts = 5;
  Duration first_pause = std::chrono::milliseconds(100);  // doubled with each attempt
  Duration longest_pause = std::chrono::seconds(5);
};

class Worker {
 public:
  struct Counts {
    uint64_t moved = 0, recorded = 0, duplicates = 0, old = 0, retried = 0, parked = 0;
  };

  // Store and source must outlive the worker.
  Worker(loop::Loop& loop, EventStore& store, EventSource& source, WorkerOptions options);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void start();
  // What is at the store is finished and acknowledged, as far as `patience` goes; `done` comes
  // once.
  void stop(Duration patience, std::function<void()> done);
  const Counts& counts() const noexcept { return counts_; }

 private:
  // A delivery on its way.
  struct Work {
    Delivery delivery;
    std::string park_reason;  // not "": it is being parked
    Duration pause{0};        // the last one after an error of the store
    TimePoint due{};          // waits until then to be tried again
  };
  using Works = std::list<Work>;

  void on_delivery(Delivery delivery);
  void run(Works::iterator work);
  void apply(Works::iterator work);
  void park(Works::iterator work);
  void on_applied(Works::iterator work, const Result<Applied>& applied);
  void on_unknown(Works::iterator work);
  void on_store_error(Works::iterator work, Error error);
  void on_due() noexcept;
  void settle(Works::iterator work, bool is_done, Duration after = {});
  void tell(const Delivery& delivery, std::string_view what) const;
  void stop_source();
  void on_patience_over() noexcept;

  EventStore& store_;
  EventSource& source_;
  WorkerOptions options_;
  Works works_;
  Counts counts_;
  loop::Timer retry_timer_;
  loop::Timer stop_timer_;
  std::function<void()> on_stopped_;
  bool is_stopping_ = false;
  std::shared_ptr<Ok> alive_ = std::make_shared<Ok>();  // answers of the store may outlive it
};

}  // namespace sluice::orders
