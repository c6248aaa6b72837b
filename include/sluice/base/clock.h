// Time: one duration type, a monotonic clock in nanoseconds, and the wall clock for logs.
#pragma once

#include <time.h>

#include <chrono>
#include <cstdint>

namespace sluice {

using Duration = std::chrono::nanoseconds;

struct MonotonicClock {
  using rep = int64_t;
  using period = std::nano;
  using duration = Duration;
  using time_point = std::chrono::time_point<MonotonicClock>;
  static constexpr bool is_steady = true;
  static time_point now() noexcept {
    timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return time_point(Duration(int64_t{ts.tv_sec} * 1'000'000'000 + ts.tv_nsec));
  }
};

// A point of monotonic time. TimePoint{} (zero) means "not set" wherever a deadline is optional.
using TimePoint = MonotonicClock::time_point;
using WallTime = std::chrono::system_clock::time_point;

inline TimePoint monotonic_now() noexcept { return MonotonicClock::now(); }
inline WallTime wall_now() noexcept { return std::chrono::system_clock::now(); }

// As the kernel noted it at its last tick: some milliseconds behind, and an order of magnitude
// cheaper. For what counts in seconds.
inline WallTime wall_at_last_tick() noexcept {
  timespec ts;
  clock_gettime(CLOCK_REALTIME_COARSE, &ts);
  return WallTime(std::chrono::duration_cast<WallTime::duration>(
      Duration(int64_t{ts.tv_sec} * 1'000'000'000 + ts.tv_nsec)));
}

inline double to_ms(Duration d) noexcept { return static_cast<double>(d.count()) / 1e6; }
inline double to_seconds(Duration d) noexcept { return static_cast<double>(d.count()) / 1e9; }

}  // namespace sluice
