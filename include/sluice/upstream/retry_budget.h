// How many retries a pool may make: a share of its requests, both of the last ten seconds.
//
// Requests are counted by each worker in its own window, without a lock; they are summed only when
// a retry is asked for. Pure apart from the counts.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "sluice/base/clock.h"

namespace sluice::upstream {

inline constexpr int kBudgetSeconds = 10;
inline constexpr uint32_t kFreeRetriesASecond = 3;

// Counts of the last ten seconds, by whole seconds. One writer, readers anywhere.
class alignas(64) SecondsWindow {
 public:
  void count(TimePoint now) noexcept;
  uint64_t sum(TimePoint now) const noexcept;  // of the last ten seconds, this one included
  uint32_t this_second(TimePoint now) const noexcept;

 private:
  static uint32_t second_of(TimePoint now) noexcept;

  // The second in the upper half, the count in the lower: one store keeps them together.
  static constexpr size_t kBuckets = 16;
  std::array<std::atomic<uint64_t>, kBuckets> buckets_{};
};

class RetryBudget {
 public:
  explicit RetryBudget(uint32_t workers) : requests_(workers) {}

  void count_request(uint32_t worker, TimePoint now) noexcept { requests_[worker].count(now); }
  // Counts a retry if it is allowed: kFreeRetriesASecond always, more up to `share` of the
  // requests.
  bool take_retry(double share, TimePoint now) noexcept;

 private:
  std::vector<SecondsWindow> requests_;
  std::mutex mutex_;
  SecondsWindow retries_;  // written under the mutex
};

}  // namespace sluice::upstream
