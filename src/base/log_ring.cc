#include "sluice/base/log_ring.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "sluice/base/check.h"

namespace sluice {

LogRing::LogRing(size_t capacity)
    : capacity_(std::bit_ceil(std::max(capacity, size_t{64}))), bytes_(new char[capacity_]) {}

char* LogRing::reserve(size_t size) noexcept {
  if (size > capacity_ / 2) {
    count_drop();
    return nullptr;
  }
  uint64_t start = head_.load(std::memory_order_relaxed);
  const uint64_t next_lap = lap_start(start) + capacity_;
  if (size > next_lap - start) start = next_lap;
  if (start + size - cached_tail_ > capacity_) {
    cached_tail_ = tail_.load(std::memory_order_acquire);
    if (start + size - cached_tail_ > capacity_) {
      count_drop();
      return nullptr;
    }
  }
  reserved_at_ = start;
  reserved_ = size;
  return at(start);
}

void LogRing::commit(size_t used) noexcept {
  SL_CHECK(used <= reserved_);
  reserved_ = 0;
  if (used == 0) return;
  const uint64_t before = head_.load(std::memory_order_relaxed);
  const uint64_t after = reserved_at_ + used;
  if (reserved_at_ != before) wrap_at_.store(before, std::memory_order_relaxed);
  if (lap_start(after) == after) wrap_at_.store(after, std::memory_order_relaxed);
  head_.store(after, std::memory_order_release);
}

bool LogRing::push(std::string_view record) noexcept {
  char* room = reserve(record.size());
  if (room == nullptr) return false;
  std::copy(record.begin(), record.end(), room);
  commit(record.size());
  return true;
}

bool LogRing::is_half_full() const noexcept {
  const uint64_t tail = tail_.load(std::memory_order_relaxed);
  return head_.load(std::memory_order_relaxed) - tail >= capacity_ / 2;
}

void LogRing::count_drop() noexcept {
  dropped_.store(dropped_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

LogRing::Spans LogRing::peek() const noexcept {
  const uint64_t head = head_.load(std::memory_order_acquire);
  const uint64_t tail = tail_.load(std::memory_order_relaxed);
  if (lap_start(head) == lap_start(tail)) return {{at(tail), head - tail}, {}, head};
  const uint64_t wrap_at = wrap_at_.load(std::memory_order_relaxed);
  const std::string_view first(at(tail), wrap_at - tail);
  const std::string_view second(at(lap_start(head)), head - lap_start(head));
  if (first.empty()) return {second, {}, head};
  return {first, second, head};
}

void LogRing::release(const Spans& spans, size_t bytes) noexcept {
  SL_CHECK(bytes <= spans.size());
  // Behind the first span some bytes may have been skipped, so count back from the end.
  const uint64_t position = bytes < spans.first.size() && !spans.second.empty()
                                ? tail_.load(std::memory_order_relaxed) + bytes
                                : spans.end - (spans.size() - bytes);
  tail_.store(position, std::memory_order_release);
}

}  // namespace sluice
