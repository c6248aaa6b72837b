#include "sluice/upstream/retry_budget.h"

namespace sluice::upstream {

uint32_t SecondsWindow::second_of(TimePoint now) noexcept {
  return static_cast<uint32_t>(now.time_since_epoch() / std::chrono::seconds(1));
}

void SecondsWindow::count(TimePoint now) noexcept {
  const uint32_t second = second_of(now);
  auto& bucket = buckets_[second % kBuckets];
  const uint64_t held = bucket.load(std::memory_order_relaxed);
  const uint64_t count = held >> 32 == second ? held + 1 : uint64_t{second} << 32 | 1;
  bucket.store(count, std::memory_order_relaxed);
}

uint64_t SecondsWindow::sum(TimePoint now) const noexcept {
  const uint32_t second = second_of(now);
  uint64_t sum = 0;
  for (const auto& bucket : buckets_) {
    const uint64_t held = bucket.load(std::memory_order_relaxed);
    const uint32_t age = second - static_cast<uint32_t>(held >> 32);
    if (age < kBudgetSeconds) sum += held & UINT32_MAX;
  }
  return sum;
}

uint32_t SecondsWindow::this_second(TimePoint now) const noexcept {
  const uint32_t second = second_of(now);
  const uint64_t held = buckets_[second % kBuckets].load(std::memory_order_relaxed);
  return held >> 32 == second ? static_cast<uint32_t>(held) : 0;
}

bool RetryBudget::take_retry(double share, TimePoint now) noexcept {
  std::lock_guard lock(mutex_);
  bool allowed = retries_.this_second(now) < kFreeRetriesASecond;
  if (!allowed) {
    uint64_t requests = 0;
    for (const SecondsWindow& window : requests_) requests += window.sum(now);
    allowed = static_cast<double>(retries_.sum(now) + 1) <= share * static_cast<double>(requests);
  }
  if (allowed) retries_.count(now);
  return allowed;
}

}  // namespace sluice::upstream
