// A hashed timing wheel (Varghese and Lauck 1987): 512 slots of one tick each.
//
// Pure: time is passed in, and the Driver is told when to call advance() next. An entry further
// away than one revolution, or whose deadline was moved later, is hung anew when its slot comes up.
// Owner: a Loop, two of them: 10 ms ticks, and 1 ms ticks for what is less than kNear away.
#pragma once

#include <cstdint>

#include "sluice/base/list.h"
#include "sluice/loop/timer.h"

namespace sluice::loop {

class TimerWheel {
 public:
  static constexpr int64_t kSlots = 512;
  static constexpr Duration kNear = std::chrono::milliseconds(100);

  class Driver {
   public:
    // advance() is wanted at `at`; replaces what was asked for before.
    virtual void arm(TimePoint at) noexcept = 0;
    virtual void disarm() noexcept = 0;

   protected:
    ~Driver() = default;
  };

  // Entries less than kNear away go to `finer`, if there is one, and come back when they are moved.
  TimerWheel(Duration tick, Driver& driver, TimerWheel* finer = nullptr) noexcept
      : tick_(tick), driver_(driver), finer_(finer) {
    if (finer != nullptr) finer->coarser_ = this;
  }
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  // Hangs `timer` by its deadline, from wherever it hung before.
  void hang(Timer& timer, TimePoint now) noexcept;
  // Unlinks `timer`, which hangs in this wheel.
  void drop(Timer& timer) noexcept;
  // Fires what is due at `now`.
  void advance(TimePoint now) noexcept;

  // Entries hung, cancelled ones included.
  size_t size() const noexcept { return size_; }

 private:
  int64_t tick_before(TimePoint time) const noexcept { return time.time_since_epoch() / tick_; }
  int64_t tick_after(TimePoint time) const noexcept;
  TimePoint time_of(int64_t tick) const noexcept { return TimePoint(tick * tick_); }
  void run_slot(int64_t tick, TimePoint now) noexcept;
  void arm(int64_t tick) noexcept;
  void arm_next() noexcept;

  Duration tick_;
  Driver& driver_;
  TimerWheel* finer_;
  TimerWheel* coarser_ = nullptr;
  int64_t done_ = 0;        // slots up to this tick have been emptied
  int64_t armed_ = 0;       // the earliest tick at which a slot may be occupied; 0 when not armed
  bool advancing_ = false;  // arming waits until all due slots were run
  size_t size_ = 0;
  uint64_t occupied_[kSlots / 64] = {};  // a slot with its bit clear is empty
  List<Timer> slots_[kSlots];
};

}  // namespace sluice::loop
