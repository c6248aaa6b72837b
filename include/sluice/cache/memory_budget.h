// The bytes that the memory tier may take: entries, bodies, fills in flight, indexes.
//
// Owner: the MemoryStore. Thread: any. A hard limit: who wants memory reserves it first, and goes
// without when it is refused. When it is full the Reclaimer is asked to free some. It must outlive
// everything that was reserved from it.
#pragma once

#include <atomic>
#include <cstddef>

#include "sluice/base/check.h"

namespace sluice::cache {

// What an allocation of `size` bytes takes from the system (glibc: a word of its own, units of 16;
// whole pages from 128 KiB on).
constexpr size_t heap_cost(size_t size) noexcept {
  if (size >= 128 * 1024) return (size + 16 + 4095) & ~size_t{4095};
  const size_t block = (size + 8 + 15) & ~size_t{15};
  return block < 32 ? 32 : block;
}

class Reclaimer {
 public:
  // Frees memory until `bytes` fit below the limit, or as much as it can. Comes on the thread that
  // reserves and inside its call.
  virtual void reclaim(size_t bytes) noexcept = 0;

 protected:
  ~Reclaimer() = default;
};

class MemoryBudget {
 public:
  explicit MemoryBudget(size_t limit, Reclaimer* reclaimer = nullptr) noexcept
      : limit_(limit), reclaimer_(reclaimer) {}
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;
  ~MemoryBudget() { SL_CHECK(used() == 0); }

  // False: there is no room, go without.
  [[nodiscard]] bool reserve(size_t bytes) noexcept {
    if (try_reserve(bytes)) return true;
    if (reclaimer_ == nullptr || bytes > limit()) return false;
    reclaimer_->reclaim(bytes);
    return try_reserve(bytes);
  }
  // The same, but frees nothing; for the reclaimer itself.
  [[nodiscard]] bool try_reserve(size_t bytes) noexcept {
    size_t used = used_.load(std::memory_order_relaxed);
    do {
      if (!fits(used, bytes)) return false;
    } while (!used_.compare_exchange_weak(used, used + bytes, std::memory_order_relaxed));
    return true;
  }
  // What is there in any case.
  void charge(size_t bytes) noexcept { used_.fetch_add(bytes, std::memory_order_relaxed); }
  void release(size_t bytes) noexcept {
    const size_t before = used_.fetch_sub(bytes, std::memory_order_relaxed);
    SL_CHECK(before >= bytes);
  }

  bool has_room(size_t bytes) const noexcept { return fits(used(), bytes); }
  size_t used() const noexcept { return used_.load(std::memory_order_relaxed); }
  size_t limit() const noexcept { return limit_.load(std::memory_order_relaxed); }
  // What is over a lower limit stays until it is reclaimed.
  void set_limit(size_t limit) noexcept { limit_.store(limit, std::memory_order_relaxed); }

 private:
  bool fits(size_t used, size_t bytes) const noexcept {
    const size_t limit = this->limit();
    return used <= limit && bytes <= limit - used;
  }

  alignas(64) std::atomic<size_t> used_{0};
  std::atomic<size_t> limit_;
  Reclaimer* const reclaimer_;
};

}  // namespace sluice::cache
