// So many a second, and no more: a bucket that fills evenly and holds what one second brings.
//
// Owner: the API; thread: its loop.
#pragma once

#include <algorithm>
#include <cstdint>

#include "sluice/base/clock.h"

namespace sluice::orders {

class RateLimit {
 public:
  // 0: no limit.
  explicit RateLimit(int64_t per_second) noexcept
      : rate_(static_cast<double>(per_second)), tokens_(rate_) {}

  bool admit(TimePoint now) noexcept {
    if (rate_ == 0) return true;
    if (last_ != TimePoint{}) {
      tokens_ = std::min(rate_, tokens_ + rate_ * std::max(0.0, to_seconds(now - last_)));
    }
    last_ = now;
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }

 private:
  double rate_;
  double tokens_;
  TimePoint last_{};
};

}  // namespace sluice::orders
