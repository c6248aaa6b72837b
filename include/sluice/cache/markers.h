// Keys whose responses cannot be stored, remembered for a while, so that requests for them are not
// made to wait for each other (hit-for-miss). A table of fixed size; a newer marker takes the place
// of an older one, and two keys of one hash share it: both cost collapsing at most.
//
// Owner: cache::Cache. Thread: any, no lock.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "sluice/base/clock.h"
#include "sluice/base/hash.h"

namespace sluice::cache {

class Markers {
 public:
  void set(const Hash128& key, TimePoint until) noexcept {
    Row& row = rows_[key.low % kRows];
    row.until.store(0, std::memory_order_relaxed);
    row.key.store(key.high, std::memory_order_release);
    row.until.store(until.time_since_epoch().count(), std::memory_order_release);
  }
  bool has(const Hash128& key, TimePoint now) const noexcept {
    const Row& row = rows_[key.low % kRows];
    return row.until.load(std::memory_order_acquire) > now.time_since_epoch().count() &&
           row.key.load(std::memory_order_acquire) == key.high;
  }
  // Something was stored under the key after all.
  void clear(const Hash128& key) noexcept {
    Row& row = rows_[key.low % kRows];
    if (row.key.load(std::memory_order_relaxed) == key.high) {
      row.until.store(0, std::memory_order_relaxed);
    }
  }

 private:
  static constexpr size_t kRows = 8192;
  struct Row {
    std::atomic<uint64_t> key{0};
    std::atomic<int64_t> until{0};
  };
  std::array<Row, kRows> rows_;
};

}  // namespace sluice::cache
