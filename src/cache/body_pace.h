// How fast long bodies come from one server of the shared tier: who has 20 ms for a look need not
// ask for what takes 50, nor write what nobody would get in time.
//
// Owner: the SharedLink. Thread: the worker's loop. Pure arithmetic; times are given. What was
// measured fades: a server that was slow is believed to be twice as fast every few seconds, until
// it is tried again.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "sluice/base/clock.h"

namespace sluice::cache {

class BodyPace {
 public:
  // Of what is shorter the round trip counts, not the length.
  static constexpr uint64_t kShort = 1024 * 1024;

  bool is_in_time(uint64_t length, Duration time, TimePoint now) const noexcept {
    return length <= kShort ||
           static_cast<double>(length) <= bytes_per_second(now) * to_seconds(time);
  }
  // A body has come in that time, or so much of a long one when its time was over.
  void note_whole(uint64_t bytes, Duration took, TimePoint now) noexcept {
    if (bytes > kShort) note(bytes, took, now);
  }
  void note_late(uint64_t length, uint64_t bytes, Duration took, TimePoint now) noexcept {
    if (length > kShort) note(bytes, took, now);
  }

 private:
  static constexpr double kFastest = 1e9;  // and until something is known
  static constexpr double kWeight = 0.25;
  static constexpr double kDoubles = 5;  // seconds

  double bytes_per_second(TimePoint now) const noexcept {
    return std::min(kFastest, measured_ * std::exp2(to_seconds(now - noted_at_) / kDoubles));
  }
  void note(uint64_t bytes, Duration took, TimePoint now) noexcept {
    const double fresh = static_cast<double>(bytes) / std::max(to_seconds(took), 1e-6);
    const double before = bytes_per_second(now);
    measured_ = std::max(before + kWeight * (fresh - before), 1.0);
    noted_at_ = now;
  }

  double measured_ = kFastest;
  TimePoint noted_at_{};
};

}  // namespace sluice::cache
