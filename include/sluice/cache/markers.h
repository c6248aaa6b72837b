// Keys whose responses could not be stored, and why. Where the next ones will not be stored either,
// requests are for a while not made to wait for each other (hit-for-miss). A table of fixed size; a
// newer marker takes the place of an older one, and two keys of one hash share it: both cost
// collapsing at most.
//
// Owner: cache::Cache. Thread: any, no lock.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>

#include "sluice/base/clock.h"
#include "sluice/base/hash.h"
#include "sluice/cache/policy_store.h"

namespace sluice::cache {

class Markers {
 public:
  // The response at `now` was not stored, and nobody waits for another one during `ttl`. With 0 it
  // is only remembered for people, and puts no running marker aside.
  void set(const Hash128& key, NoStoreReason reason, TimePoint now, Duration ttl) noexcept {
    Row& row = rows_[key.low % kRows];
    if (ttl == Duration{0} && is_running(row.state.load(std::memory_order_relaxed), now)) return;
    row.state.store(0, std::memory_order_relaxed);
    row.key.store(key.high, std::memory_order_release);
    row.state.store(ticks(now + ttl) << kReasonBits | static_cast<uint64_t>(reason),
                    std::memory_order_release);
  }
  bool has(const Hash128& key, TimePoint now) const noexcept {
    const Row& row = rows_[key.low % kRows];
    return is_running(row.state.load(std::memory_order_acquire), now) &&
           row.key.load(std::memory_order_acquire) == key.high;
  }

  struct Mark {
    NoStoreReason reason = NoStoreReason::kNone;
    Duration left{};  // how long nobody waits; 0: it is over
  };
  // The last that is known of the key, also when its time is over.
  std::optional<Mark> find(const Hash128& key, TimePoint now) const noexcept {
    const Row& row = rows_[key.low % kRows];
    const uint64_t state = row.state.load(std::memory_order_acquire);
    if (state == 0 || row.key.load(std::memory_order_acquire) != key.high) return std::nullopt;
    const uint64_t until = state >> kReasonBits, at = ticks(now);
    const uint64_t left = until > at ? until - at : 0;
    return Mark{static_cast<NoStoreReason>(state & kReasonMask), Tick(left)};
  }
  // Something was stored under the key after all.
  void clear(const Hash128& key) noexcept {
    Row& row = rows_[key.low % kRows];
    if (row.key.load(std::memory_order_relaxed) == key.high) {
      row.state.store(0, std::memory_order_relaxed);
    }
  }

 private:
  using Tick = std::chrono::microseconds;
  static constexpr size_t kRows = 8192;
  static constexpr unsigned kReasonBits = 8;
  static constexpr uint64_t kReasonMask = (1u << kReasonBits) - 1;
  static_assert(static_cast<uint64_t>(NoStoreReason::kCount) <= kReasonMask);

  struct Row {
    std::atomic<uint64_t> key{0};
    std::atomic<uint64_t> state{0};  // until when, in ticks, and the reason; 0: nothing is known
  };
  static uint64_t ticks(TimePoint time) noexcept {
    return static_cast<uint64_t>(std::chrono::duration_cast<Tick>(time.time_since_epoch()).count());
  }
  static bool is_running(uint64_t state, TimePoint now) noexcept {
    return state >> kReasonBits > ticks(now);
  }

  std::array<Row, kRows> rows_;
};

}  // namespace sluice::cache
