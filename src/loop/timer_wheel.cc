#include "timer_wheel.h"

#include <algorithm>
#include <bit>

namespace sluice::loop {

void Timer::hang() noexcept { loop_.wheel().hang(*this, loop_.now()); }

Timer::~Timer() {
  if (is_linked()) wheel_->drop(*this);
}

int64_t TimerWheel::tick_after(TimePoint time) const noexcept {
  return (time.time_since_epoch() + tick_ - Duration(1)) / tick_;
}

void TimerWheel::hang(Timer& timer, TimePoint now) noexcept {
  if (finer_ != nullptr && timer.deadline_ < now + kNear) return finer_->hang(timer, now);
  if (timer.is_linked()) timer.wheel_->drop(timer);
  if (!advancing_) {
    // Nothing hangs before armed_, so those slots count as done; else the revolution would begin in
    // the past and end too soon.
    int64_t passed = tick_before(now);
    done_ = std::max(done_, armed_ == 0 ? passed : std::min(passed, armed_ - 1));
  }
  int64_t tick = std::clamp(tick_after(timer.deadline_), done_ + 1, done_ + kSlots - 1);
  int64_t slot = tick % kSlots;
  timer.hung_at_ = time_of(tick);
  timer.wheel_ = this;
  slots_[slot].push_back(timer);
  occupied_[slot / 64] |= uint64_t{1} << (slot % 64);
  ++size_;
  if (!advancing_ && (armed_ == 0 || tick < armed_)) arm(tick);
}

void TimerWheel::drop(Timer& timer) noexcept {
  SL_CHECK(timer.wheel_ == this && size_ > 0);
  timer.unlink();
  if (--size_ == 0 && !advancing_) arm_next();
}

void TimerWheel::advance(TimePoint now) noexcept {
  int64_t first = done_ + 1;
  int64_t current = tick_before(now);
  done_ = std::max(done_, current);  // what callbacks set is hung behind the slots run now
  advancing_ = true;
  // Each slot at most once, however late we are.
  for (int64_t tick = first; tick <= std::min(current, first + kSlots - 1); ++tick) {
    run_slot(tick, now);
  }
  advancing_ = false;
  arm_next();
}

void TimerWheel::run_slot(int64_t tick, TimePoint now) noexcept {
  int64_t slot = tick % kSlots;
  uint64_t bit = uint64_t{1} << (slot % 64);
  if ((occupied_[slot / 64] & bit) == 0) return;
  occupied_[slot / 64] &= ~bit;
  List<Timer> due;
  due.splice_back(slots_[slot]);
  while (Timer* timer = due.front()) {
    if (timer->deadline_ > now) {
      (coarser_ != nullptr ? *coarser_ : *this).hang(*timer, now);
      continue;
    }
    drop(*timer);
    if (!timer->is_set()) continue;  // cancelled
    timer->deadline_ = TimePoint{};
    timer->callback_(timer->owner_);
  }
}

void TimerWheel::arm(int64_t tick) noexcept {
  armed_ = tick;
  driver_.arm(time_of(tick));
}

// Arms for the next occupied slot. Bits of slots that were emptied by drop() are cleared on the
// way.
void TimerWheel::arm_next() noexcept {
  if (size_ == 0) {
    std::fill(std::begin(occupied_), std::end(occupied_), 0);
    if (armed_ != 0) driver_.disarm();
    armed_ = 0;
    return;
  }
  for (int64_t tick = done_ + 1; tick < done_ + kSlots;) {
    int64_t slot = tick % kSlots;
    uint64_t ahead = occupied_[slot / 64] >> (slot % 64);
    if (ahead == 0) {
      tick += 64 - slot % 64;
      continue;
    }
    int skip = std::countr_zero(ahead);
    if (skip == 0) {
      if (!slots_[slot].is_empty()) return arm(tick);
      occupied_[slot / 64] &= ~(uint64_t{1} << (slot % 64));
      skip = 1;
    }
    tick += skip;
  }
  SL_CHECK(!"a timer hangs in no slot ahead");
}

}  // namespace sluice::loop
