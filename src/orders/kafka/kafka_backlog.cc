#include "sluice/orders/kafka/kafka_backlog.h"

#include <fmt/format.h>

#include <utility>

namespace sluice::orders {

void KafkaBacklog::add(Message message) {
  if (!partitions_[message.partition].open(message.offset)) return;
  // '@' and the offset: a lane for it alone, which no key is the name of.
  LaneName name{message.partition,
                message.key ? "=" + *message.key : fmt::format("@{}", message.offset)};
  Lane& lane = lanes_[name];
  lane.push_back({message.offset, 1, std::move(message.event)});
  ++size_;
  if (lane.size() == 1) ready_.push_back(std::move(name));
}

std::optional<Delivery> KafkaBacklog::take(TimePoint now) {
  LaneName name;
  if (!resting_.empty() && resting_.begin()->first <= now) {
    name = std::move(resting_.begin()->second);
    resting_.erase(resting_.begin());
  } else if (!ready_.empty()) {
    name = std::move(ready_.front());
    ready_.pop_front();
  } else {
    return std::nullopt;
  }
  // The event stays here too: it may have to go out again.
  const Waiting& first = lanes_.at(name).front();
  Delivery delivery{first.event, next_tag_++, first.attempts};
  out_.emplace(delivery.tag, std::move(name));
  return delivery;
}

std::optional<TimePoint> KafkaBacklog::next_due() const {
  if (!ready_.empty()) return TimePoint::min();
  if (resting_.empty()) return std::nullopt;
  return resting_.begin()->first;
}

std::optional<KafkaBacklog::Progress> KafkaBacklog::settle(uint64_t tag) {
  auto found = out_.extract(tag);
  if (found.empty()) return std::nullopt;
  LaneName name = std::move(found.mapped());
  const int32_t partition = name.first;
  const auto lane = lanes_.find(name);
  const int64_t offset = lane->second.front().offset;
  lane->second.pop_front();
  --size_;
  if (lane->second.empty()) {
    lanes_.erase(lane);
  } else {
    ready_.push_back(std::move(name));
  }
  PartitionOffsets& offsets = partitions_[partition];
  if (!offsets.settle(offset)) return std::nullopt;
  return Progress{partition, offsets.next()};
}

void KafkaBacklog::retry(uint64_t tag, TimePoint due) {
  auto found = out_.extract(tag);
  if (found.empty()) return;
  ++lanes_.at(found.mapped()).front().attempts;
  resting_.emplace(due, std::move(found.mapped()));
}

void KafkaBacklog::lose(int32_t partition) {
  const auto is_lost = [partition](const LaneName& name) { return name.first == partition; };
  std::erase_if(out_, [&](const auto& each) { return is_lost(each.second); });
  std::erase_if(ready_, is_lost);
  std::erase_if(resting_, [&](const auto& each) { return is_lost(each.second); });
  std::erase_if(lanes_, [&](const auto& each) {
    if (is_lost(each.first)) size_ -= each.second.size();
    return is_lost(each.first);
  });
  partitions_.erase(partition);
}

}  // namespace sluice::orders
