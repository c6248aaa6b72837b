// One event loop of one thread: time, timers, chunks, the graveyard, the mailbox.
//
// libuv is visible in this module only; others see Loop, Stream, Timer, Mailbox, Resolver, Work,
// Poll. Owner: a worker, the control thread, or a test. Thread: run() binds the loop to the calling
// thread; everything else is called on that thread, except post() and stop().
// Lifetime: every handle closes before the Loop dies; ~Loop runs the loop until libuv let go of
// all of them and checks uv_loop_close() == 0. Streams, timers, polls, look-ups and works are
// destroyed before their Loop (a stream that outlives it fails a check).
// The first Loop makes the process ignore SIGPIPE: a write to a closed socket is an error, no
// signal.
#pragma once

#include <functional>
#include <memory>

#include "sluice/base/chunk_pool.h"
#include "sluice/base/clock.h"
#include "sluice/base/error.h"
#include "sluice/base/list.h"

struct uv_loop_s;

namespace sluice::loop {

class TimerWheel;

// What may be destroyed only when no frame of it is on the stack: hand it to Loop::bury().
class Buried : public ListNode<Buried> {
 public:
  virtual ~Buried() = default;
  // Called by the graveyard; the default is `delete this`. Objects in arenas or pools override it.
  virtual void dispose() noexcept { delete this; }
};

class Loop {
 public:
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Runs until stop(), or until nothing is left to wait for. A stop() before run() counts.
  void run();
  // A resident loop waits for posted tasks also when nothing else is left: only stop() ends run().
  void set_resident(bool resident) noexcept;
  // From any thread; run() returns soon after.
  void stop() noexcept;
  // Runs callbacks that are ready without waiting; true when work is left. For tests and ~Loop.
  bool run_once(bool may_wait);

  // Monotonic time as of this turn of the loop; refreshed at most once a turn. For deadlines.
  TimePoint now() noexcept;
  // Reads the clock, for measuring.
  TimePoint read_clock() noexcept;
  // The youngest moment that is known in this turn: now(), or what read_clock() said since. Where
  // one thing ends another begins, and a look at the clock is saved.
  TimePoint latest() noexcept;

  // Runs `task` on the loop's thread, in order of posting. From any thread; wakes the loop.
  // Tasks posted to a loop that never runs again are destroyed with the loop, unrun.
  void post(std::function<void()> task);

  // Disposes of `object` when this turn's callbacks have returned. No allocation. Once an object.
  void bury(Buried* object) noexcept;
  // Calls `object.on_turn_end()` once at the end of this turn (for writes put together), before
  // the graveyard is emptied. Asked again before that: still once. Destroying the object forgets
  // it.
  class TurnEnd : public ListNode<TurnEnd> {
   public:
    virtual void on_turn_end() noexcept = 0;

   protected:
    ~TurnEnd() = default;
  };
  void at_turn_end(TurnEnd& object) noexcept;

  ChunkPool& chunks() noexcept { return chunks_; }
  TimerWheel& wheel() noexcept;        // 10 ms ticks
  TimerWheel& short_wheel() noexcept;  // 1 ms ticks, for deadlines under 100 ms

  // For src/loop only.
  struct State;
  State& state() noexcept { return *state_; }
  uv_loop_s* uv() noexcept;

  // Longest time between two turns since the last call (a busy callback shows here).
  Duration take_lag() noexcept;

 private:
  ChunkPool chunks_;
  std::unique_ptr<State> state_;
};

}  // namespace sluice::loop
