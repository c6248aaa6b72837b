// How far one partition is settled. Pure.
//
// Kafka keeps one number a partition and group: where to read on. Events are settled in any order,
// so the number may only go up to the first that is still open: everything before it is done.
#pragma once

#include <cstdint>
#include <set>

namespace sluice::orders {

class PartitionOffsets {
 public:
  // A message was read. False: this one was read before.
  bool open(int64_t offset) {
    if (offset < end_) return false;
    end_ = offset + 1;
    open_.insert(open_.end(), offset);
    return true;
  }
  // True when next() went up.
  bool settle(int64_t offset) {
    const bool was_first = !open_.empty() && *open_.begin() == offset;
    return open_.erase(offset) > 0 && was_first;
  }
  // Where a successor has to read on. Offsets may have gaps; what was never read is not ours.
  int64_t next() const noexcept { return open_.empty() ? end_ : *open_.begin(); }

 private:
  std::set<int64_t> open_;
  int64_t end_ = 0;  // after the last one read
};

}  // namespace sluice::orders
