#include "sluice/orders/kafka/kafka_backlog.h"

#include <doctest/doctest.h>

#include <vector>

using namespace sluice;
using namespace sluice::orders;
using std::chrono::seconds;

namespace {

constexpr TimePoint kNow{std::chrono::hours(1)};

Event event(const std::string& id) {
  Event event;
  event.id = id;
  return event;
}

// What may go out now, by event id; the tags are kept.
struct Backlog : KafkaBacklog {
  void read(int32_t partition, int64_t offset, const std::string& key, const std::string& id) {
    add({partition, offset, key, event(id)});
  }
  std::vector<std::string> take_all(TimePoint now = kNow) {
    std::vector<std::string> ids;
    while (auto delivery = take(now)) {
      tags[delivery->event.id] = delivery->tag;
      attempts[delivery->event.id] = delivery->attempts;
      ids.push_back(delivery->event.id);
    }
    return ids;
  }
  // Where to read on, or -1.
  int64_t done(const std::string& id) {
    const auto progress = settle(tags.at(id));
    return progress ? progress->next : -1;
  }
  std::map<std::string, uint64_t> tags;
  std::map<std::string, int64_t> attempts;
};

using Ids = std::vector<std::string>;

}  // namespace

TEST_CASE("orders/partition_offsets: the offset goes up only over what is settled without a gap") {
  PartitionOffsets offsets;
  for (int64_t offset : {5, 6, 9, 10}) CHECK(offsets.open(offset));  // 7 and 8 are no messages
  CHECK_FALSE(offsets.open(6));
  CHECK(offsets.next() == 5);
  CHECK_FALSE(offsets.settle(9));
  CHECK_FALSE(offsets.settle(6));
  CHECK(offsets.next() == 5);
  CHECK(offsets.settle(5));
  CHECK(offsets.next() == 10);
  CHECK_FALSE(offsets.settle(5));
  CHECK_FALSE(offsets.open(9));
  CHECK(offsets.settle(10));
  CHECK(offsets.next() == 11);
}

TEST_CASE("orders/kafka_backlog: events of one order go out one after the other") {
  Backlog backlog;
  backlog.read(0, 0, "a", "a1");
  backlog.read(0, 1, "a", "a2");
  backlog.read(0, 2, "b", "b1");
  backlog.read(1, 0, "a", "other partition");
  CHECK(backlog.take_all() == Ids{"a1", "b1", "other partition"});
  CHECK_FALSE(backlog.next_due());
  CHECK(backlog.done("b1") == -1);  // 0 and 1 are open
  CHECK(backlog.take_all().empty());
  CHECK(backlog.done("a1") == 1);
  CHECK(backlog.next_due());
  CHECK(backlog.take_all() == Ids{"a2"});
  CHECK(backlog.done("a2") == 3);
  CHECK(backlog.done("other partition") == 1);
  CHECK(backlog.size() == 0);
}

TEST_CASE("orders/kafka_backlog: what is tried again waits, is counted, and is not overtaken") {
  Backlog backlog;
  backlog.read(0, 0, "a", "a1");
  backlog.read(0, 1, "a", "a2");
  backlog.read(0, 2, "b", "b1");
  CHECK(backlog.take_all() == Ids{"a1", "b1"});
  const uint64_t first = backlog.tags["a1"];
  backlog.retry(first, kNow + seconds(5));
  CHECK(backlog.next_due() == kNow + seconds(5));
  CHECK(backlog.done("b1") == -1);
  CHECK(backlog.take_all(kNow + seconds(4)).empty());
  CHECK(backlog.take_all(kNow + seconds(5)) == Ids{"a1"});
  CHECK(backlog.attempts["a1"] == 2);
  CHECK(backlog.tags["a1"] != first);
  CHECK_FALSE(backlog.settle(first));  // that delivery is over
  backlog.retry(first, kNow);
  CHECK(backlog.take_all(kNow + seconds(9)).empty());
  CHECK(backlog.done("a1") == 1);
  CHECK(backlog.take_all() == Ids{"a2"});
  CHECK(backlog.attempts["a2"] == 1);
  CHECK(backlog.done("a2") == 3);
}

TEST_CASE("orders/kafka_backlog: messages without a key wait for no other") {
  KafkaBacklog backlog;
  for (int64_t offset = 0; offset < 3; ++offset) backlog.add({0, offset, std::nullopt, event("e")});
  backlog.add({0, 3, "", event("empty key")});
  backlog.add({0, 4, "", event("empty key")});
  backlog.add({0, 5, "@1", event("a key that looks like it")});
  int taken = 0;
  while (backlog.take(kNow)) ++taken;
  CHECK(taken == 5);
}

TEST_CASE("orders/kafka_backlog: a lost partition takes its deliveries along, and may come back") {
  Backlog backlog;
  backlog.read(0, 0, "out", "out");
  backlog.read(0, 1, "out", "behind");
  backlog.read(0, 2, "resting", "resting");
  backlog.read(1, 0, "other", "other");
  CHECK(backlog.take_all() == Ids{"out", "resting", "other"});
  backlog.retry(backlog.tags["resting"], kNow + seconds(1));
  backlog.read(0, 3, "ready", "ready");
  backlog.lose(0);
  CHECK(backlog.size() == 1);
  CHECK_FALSE(backlog.next_due());
  CHECK(backlog.done("out") == -1);
  backlog.retry(backlog.tags["out"], kNow);
  CHECK(backlog.take_all(kNow + seconds(9)).empty());
  // Somebody may have got further, or nobody.
  backlog.read(0, 0, "out", "out");
  CHECK(backlog.take_all() == Ids{"out"});
  CHECK(backlog.attempts["out"] == 1);
  CHECK(backlog.done("out") == 1);
  CHECK(backlog.done("other") == 1);
}

TEST_CASE("orders/kafka_backlog: a message that is read a second time is dropped") {
  Backlog backlog;
  backlog.read(0, 0, "a", "a1");
  backlog.read(0, 0, "a", "a1");
  CHECK(backlog.take_all() == Ids{"a1"});
  CHECK(backlog.size() == 1);
  CHECK(backlog.done("a1") == 1);
  backlog.read(0, 0, "a", "a1");
  CHECK(backlog.take_all().empty());
}
