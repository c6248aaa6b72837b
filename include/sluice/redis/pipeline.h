// The commands whose replies are owed, in the order in which they will come: a ring that grows and
// is then reused, each slot known by a number that never changes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "sluice/base/check.h"
#include "sluice/base/clock.h"

namespace sluice::redis {

class Call;

struct Slot {
  Call* call;  // nullptr: nobody waits for it any more
  TimePoint sent_at;
  TimePoint deadline;
  bool is_write;
  bool is_probe;    // the breaker waits for it
  bool is_overdue;  // its deadline has passed; that was counted
};

class Pipeline {
 public:
  bool is_empty() const noexcept { return first_ == end_; }
  size_t size() const noexcept { return end_ - first_; }
  // Numbers of the oldest slot and behind the newest one.
  uint64_t first() const noexcept { return first_; }
  uint64_t end() const noexcept { return end_; }

  uint64_t push(const Slot& slot) {
    if (size() == slots_.size()) grow();
    slots_[index(end_)] = slot;
    return end_++;
  }
  Slot pop() noexcept {
    SL_CHECK(!is_empty());
    return slots_[index(first_++)];
  }
  Slot& at(uint64_t number) noexcept {
    SL_CHECK(number >= first_ && number < end_);
    return slots_[index(number)];
  }

 private:
  size_t index(uint64_t number) const noexcept { return number & (slots_.size() - 1); }
  void grow() {
    std::vector<Slot> larger(slots_.empty() ? 16 : slots_.size() * 2);
    for (uint64_t n = first_; n != end_; ++n) larger[n & (larger.size() - 1)] = slots_[index(n)];
    slots_.swap(larger);
  }

  std::vector<Slot> slots_;  // a power of two
  uint64_t first_ = 0;
  uint64_t end_ = 0;
};

}  // namespace sluice::redis
