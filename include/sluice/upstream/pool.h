// A named group of endpoints as one worker sees it, for one snapshot: who gets the next request.
//
// Owner: the worker's proxy::Site of that snapshot. Thread: the worker's. Cursors are per worker
// (0 in worker 0, staggered in others); health, weights and in-flight counts are in the Endpoints,
// which all workers share; PoolShared holds what the workers of one pool share (retry budget,
// outlier accounting, waiters) and survives reloads.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/base/error.h"
#include "sluice/base/list.h"
#include "sluice/base/random.h"
#include "sluice/config/config.h"
#include "sluice/loop/loop.h"
#include "sluice/stats/counters.h"
#include "sluice/upstream/endpoint.h"

namespace sluice::upstream {

class PoolShared;  // pool_shared.h
class WaitQueue;   // wait_queue.h

// Everything a choice may depend on, as values.
struct PickInput {
  uint64_t hash = 0;                      // for consistent_hash: of what Balance::hash_by names
  std::string_view sticky;                // value of the sticky cookie, "" when none came
  std::span<Endpoint* const> tried = {};  // endpoints this request was already sent to
  TimePoint now{};
};

struct PickOutcome {
  Endpoint* endpoint = nullptr;  // claimed: settle() is owed
  // kNoHealthyEndpoint, kBreakerOpen (all are taken out), kDnsFailed (no name has an address);
  // kQueueFull: all at max_in_flight, which the caller may turn into waiting
  Errc error = Errc::kNone;
  bool is_waiting = false;  // of pick_or_wait(): the waiter stands in the queue
  bool set_sticky = false;  // a sticky cookie for this endpoint should be set
};

// What one try at an endpoint came to, for passive health and latency.
struct TryOutcome {
  bool failed = false;     // connect error, reset, timeout, bad response, or a 5xx gateway status
  Duration first_byte{0};  // 0: no answer
};

// A request that waits for a place at any endpoint of a pool. Intrusive; leaves the queue when it
// is destroyed or by unlink().
class Waiter : public ListNode<Waiter> {
 public:
  // Called once, from the loop, when the waiter has already left the queue: pick again, at best in
  // the call. Who finds no place may wait() again and stays the first.
  virtual void on_place_free() noexcept = 0;
  void unlink() noexcept;

 protected:
  Waiter() noexcept = default;
  ~Waiter() { unlink(); }

 private:
  friend class WaitQueue;
  WaitQueue* queue_ = nullptr;
};

class Pool {
 public:
  Pool(const config::Pool& configured, std::vector<std::shared_ptr<Endpoint>> endpoints,
       std::shared_ptr<PoolShared> shared, uint32_t worker, loop::Loop& loop,
       stats::Counters& counters);
  ~Pool();

  const std::string& name() const noexcept;
  uint16_t id() const noexcept;  // for stats::RequestTable
  const config::Pool& config() const noexcept;
  std::span<const std::shared_ptr<Endpoint>> endpoints() const noexcept;
  std::shared_ptr<Endpoint> share(Endpoint& endpoint) const;  // the owner pointer of one of ours

  // Chooses and claims (in-flight count, max_in_flight place). Never an endpoint in `tried` while
  // another is usable. No allocation.
  PickOutcome pick(const PickInput& input) noexcept;
  // Ends a claim; wakes one waiter. The outcome feeds outlier detection and ewma.
  void settle(Endpoint& endpoint, const TryOutcome& outcome) noexcept;

  // The same, and when all are full a seat in the queue, if there is one left.
  PickOutcome pick_or_wait(const PickInput& input, Waiter& waiter) noexcept;
  // Queue for a place: false when the queue is full or off.
  bool wait(Waiter& waiter) noexcept;
  size_t waiting() const noexcept;

  // Retry budget of the contract: share of the last 10 s' requests, at least 3 a second.
  void count_request(TimePoint now) noexcept;
  bool take_retry(TimePoint now) noexcept;

  // Value of the sticky cookie for an endpoint (opaque, stable over restarts): 16 hex digits into
  // out.
  static void write_sticky(const Endpoint& endpoint, char out[16]) noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sluice::upstream
