// How fast long bodies come from one server of the shared tier: who has 20 ms for a look need not
// ask for what takes 50, nor write what nobody would get in time.
//
// Owner: the SharedLink. Thread: the worker's loop. Pure arithmetic; times are given.
#pragma once

#include <algorithm>
#include <cstdint>

#include "sluice/base/clock.h"

namespace sluice::cache {

class BodyPace {
 public:
  // Of what is shorter the round trip counts, not the length.
  static constexpr uint64_t kShort = 1024 * 1024;

  bool is_in_time(uint64_t length, Duration time) const noexcept {
    return length <= kShort || static_cast<double>(length) <= bytes_per_second_ * to_seconds(time);
  }
  // The same, but for one of many that are expected to be late: the server may be faster by now.
  bool may_try(uint64_t length, Duration time) noexcept {
    return is_in_time(length, time) || ++late_ % kTryEvery == 0;
  }
  // A body has come, or so much of it when its time was over.
  void note_whole(uint64_t bytes, Duration took) noexcept {
    if (bytes >= kShort) note(bytes, took);
  }
  void note_late(uint64_t bytes, Duration took) noexcept { note(bytes, took); }

 private:
  void note(uint64_t bytes, Duration took) noexcept {
    const double seconds = std::max(to_seconds(took), 1e-6);
    bytes_per_second_ += kWeight * (static_cast<double>(bytes) / seconds - bytes_per_second_);
  }

  static constexpr uint32_t kTryEvery = 64;
  static constexpr double kWeight = 0.25;

  double bytes_per_second_ = 1e9;  // until something is known
  uint32_t late_ = 0;
};

}  // namespace sluice::cache
