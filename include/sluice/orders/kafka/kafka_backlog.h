// What a Kafka source has read and not settled, and what of it may be delivered now. Pure.
//
// Messages of one key (an order's events) form a lane. Only the first of a lane is out; the next
// follows when it is settled, so that nothing overtakes an event that has to be tried again. Lanes
// do not wait for each other. Owner: the source; thread: its loop.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>

#include "sluice/base/clock.h"
#include "sluice/orders/event_queue.h"
#include "sluice/orders/kafka/partition_offsets.h"

namespace sluice::orders {

class KafkaBacklog {
 public:
  struct Message {
    int32_t partition = 0;
    int64_t offset = 0;
    std::optional<std::string> key;  // without one it waits for no other
    Event event;
  };

  // A message that was read before is dropped: after a pause some may come again.
  void add(Message message);
  // The next that may go out, with a new tag.
  std::optional<Delivery> take(TimePoint now);
  // When take() has something again, as far as that is a matter of time.
  std::optional<TimePoint> next_due() const;

  // Where to read on in a partition that just got further.
  struct Progress {
    int32_t partition = 0;
    int64_t next = 0;
  };
  // Unknown tags change nothing: their partition was lost.
  std::optional<Progress> settle(uint64_t tag);
  void retry(uint64_t tag, TimePoint due);

  // The partition belongs to somebody else now, who reads on where we came to.
  void lose(int32_t partition);
  size_t size() const noexcept { return size_; }

 private:
  using LaneName = std::pair<int32_t, std::string>;
  struct Waiting {
    int64_t offset;
    int64_t attempts;
    Event event;
  };
  using Lane = std::deque<Waiting>;  // the first is out, ready or resting
  using Lanes = std::map<LaneName, Lane>;

  Lanes lanes_;
  std::map<int32_t, PartitionOffsets> partitions_;
  std::unordered_map<uint64_t, LaneName> out_;  // by tag
  std::deque<LaneName> ready_;                  // in the order in which they were read
  std::multimap<TimePoint, LaneName> resting_;  // by when they may go out again
  uint64_t next_tag_ = 1;
  size_t size_ = 0;
};

}  // namespace sluice::orders
