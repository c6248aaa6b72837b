#include "sluice/redis/breaker.h"

#include "backoff.h"

namespace sluice::redis {

Breaker::Verdict Breaker::admit(TimePoint now) noexcept {
  switch (state_) {
    case State::kClosed:
      return Verdict::kAdmit;
    case State::kOpen:
      if (now < open_until_) return Verdict::kRefuse;
      state_ = State::kProbing;
      return Verdict::kProbe;
    case State::kProbing:
      return Verdict::kRefuse;
  }
  return Verdict::kRefuse;
}

void Breaker::on_success(bool is_probe) noexcept {
  if (state_ != State::kClosed && !is_probe) return;
  state_ = State::kClosed;
  failures_ = 0;
  times_open_ = 0;
}

void Breaker::on_failure(bool is_probe, TimePoint now, double chance) noexcept {
  switch (state_) {
    case State::kClosed:
      if (++failures_ >= limits_.failures) open(now, chance);
      return;
    case State::kOpen:
      return;
    case State::kProbing:
      if (is_probe) open(now, chance);
      return;
  }
}

void Breaker::open(TimePoint now, double chance) noexcept {
  state_ = State::kOpen;
  failures_ = 0;
  const Duration time = doubled(limits_.open, times_open_++, limits_.longest);
  open_until_ = now + less_some(time, 0.2 * chance);
}

}  // namespace sluice::redis
