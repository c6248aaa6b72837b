// Deadlines: an intrusive timer on a wheel, with cheap moves of the deadline.
//
// Setting a timer that is linked to a later time only stores the number; the entry is hung anew
// when its slot comes up. So a deadline per read costs no list operation.
// Owner: any object of the loop's thread; the destructor unlinks. The callback may destroy nothing
// that holds the timer except through Loop::bury().
#pragma once

#include "sluice/base/clock.h"
#include "sluice/base/list.h"
#include "sluice/loop/loop.h"

namespace sluice::loop {

class Timer : public ListNode<Timer> {
 public:
  using Callback = void (*)(void* owner) noexcept;

  Timer(Loop& loop, Callback callback, void* owner) noexcept
      : loop_(loop), callback_(callback), owner_(owner) {}
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  // Timer t = Timer::make<&Connection::on_deadline>(loop, this);
  template <auto Method, typename Owner>
  static Timer make(Loop& loop, Owner* owner) noexcept {
    return Timer(
        loop, [](void* p) noexcept { (static_cast<Owner*>(p)->*Method)(); }, owner);
  }

  // Fires once, not before `deadline`, at most a tick (10 ms, or 1 ms when under 100 ms away) later
  // than that; never inside set(). May be called from the callback.
  void set(TimePoint deadline) noexcept {
    deadline_ = deadline;
    if (!is_linked() || hung_at_ > deadline) hang();
  }
  void set_after(Duration duration) noexcept { set(loop_.now() + duration); }
  void cancel() noexcept { deadline_ = TimePoint{}; }
  bool is_set() const noexcept { return deadline_ != TimePoint{}; }
  TimePoint deadline() const noexcept { return deadline_; }
  Loop& loop() noexcept { return loop_; }

 private:
  friend class TimerWheel;
  void hang() noexcept;

  Loop& loop_;
  TimerWheel* wheel_ = nullptr;  // where it hangs, while linked
  Callback callback_;
  void* owner_;
  TimePoint deadline_{};
  TimePoint hung_at_{};  // the time of the slot it hangs in, while linked
};

}  // namespace sluice::loop
