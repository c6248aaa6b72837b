// Requests of one worker that wait for a place at an endpoint of one pool, first come first served.
//
// Owner: PoolShared, so that a reload keeps who waits. Thread: its worker's, except notify() and
// has_waiters(). A freed place wakes the first waiter at the end of the turn; as long as those who
// wake find places, the next are woken too, and at last those of other workers. Places that come
// without being freed (an endpoint is up or enabled again, its ejection ended, a reload raised the
// limit) are found by looking again every 50 ms while somebody waits.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>

#include "sluice/base/list.h"
#include "sluice/loop/loop.h"
#include "sluice/loop/timer.h"
#include "sluice/upstream/pool.h"

namespace sluice::upstream {

class alignas(64) WaitQueue final : public loop::Loop::TurnEnd {
 public:
  // `shared` owns this queue; `total` counts the waiters of all workers.
  void init(PoolShared& shared, std::atomic<uint32_t>& total) noexcept;

  // The worker's pools come and go with snapshots; the loop is known while there is one.
  void attach(loop::Loop& loop) noexcept;
  void detach() noexcept;

  // False when there are `most` waiters already, on all workers.
  bool add(Waiter& waiter, uint32_t most) noexcept;
  // A place is free: wakes at the end of the turn.
  void wake() noexcept;
  // The same from any thread.
  void notify();

  uint32_t waiting() const noexcept { return waiting_.load(std::memory_order_relaxed); }
  bool has_waiters() const noexcept { return waiting() > 0; }
  // Freed places are for those who wait: a request that comes now stands behind them.
  bool is_reserved() const noexcept { return is_linked() && !is_waking_; }
  // A choice found every endpoint full.
  void note_full() noexcept { found_full_ = true; }

 private:
  friend class Waiter;
  void on_turn_end() noexcept override { wake_waiters(); }
  void wake_waiters() noexcept;
  void look_again() noexcept;
  void left(Waiter& waiter) noexcept;

  PoolShared* shared_ = nullptr;
  std::atomic<uint32_t>* total_ = nullptr;
  List<Waiter> waiters_;
  std::atomic<uint32_t> waiting_{0};
  bool is_waking_ = false;
  bool found_full_ = false;
  bool wake_again_ = false;
  uint32_t attached_ = 0;
  std::mutex mutex_;  // guards loop_ against notify()
  loop::Loop* loop_ = nullptr;
  std::atomic<bool> is_notified_{false};
  std::optional<loop::Timer> again_;  // while there is a loop
};

}  // namespace sluice::upstream
