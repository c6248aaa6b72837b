// What the tests of Kafka share: one cluster for all of them, a topic each, and events.
#pragma once

#include <string>

#include <fmt/format.h>

#include "sluice/base/log.h"
#include "sluice/orders/kafka/kafka_url.h"
#include "support.h"
#include "tests/e2e/harness/kafka.h"

namespace sluice::orders::test {

// Started at the first use. A test that troubles it makes it whole again.
inline e2e::KafkaCluster& kafka() {
  static e2e::KafkaCluster cluster;
  return cluster;
}

// A topic of its own, of one partition unless it says otherwise, and no lines in the log.
struct KafkaTopic {
  explicit KafkaTopic(int partitions = 1, e2e::KafkaCluster& its_cluster = kafka())
      : cluster(its_cluster) {
    static int topics = 0;
    name = fmt::format("topic-{}", ++topics);
    cluster.ask(fmt::format("topic {} {}", name, partitions));
    address = parse_kafka_url(cluster.url(name) + "?group=group-of-" + name).address;
    set_log_level(LogLevel::off);
  }
  ~KafkaTopic() { set_log_level(LogLevel::info); }
  KafkaTopic(const KafkaTopic&) = delete;
  KafkaTopic& operator=(const KafkaTopic&) = delete;

  void put(const std::string& key, const std::string& text) const {
    cluster.ask(fmt::format("put {} {} {}", name, key, text));
  }
  int64_t end(int partition = 0) const { return cluster.end_of(name, partition); }
  int64_t done(int partition = 0) const {
    return std::stoll(cluster.ask(fmt::format("done {} {} {}", address.group, name, partition)));
  }
  std::string read(int64_t offset, int partition = 0) const {
    return cluster.ask(fmt::format("read {} {} {}", name, partition, offset));
  }

  e2e::KafkaCluster& cluster;
  std::string name;
  KafkaAddress address;
};

// An event as far as a queue looks at it.
inline Event kafka_event(const std::string& order_id, int64_t version) {
  return {event_id(order_id, version),
          order_id,
          version,
          "order.accepted",
          fmt::format(R"({{"event_id":"{}"}})", event_id(order_id, version)),
          {},
          {},
          {}};
}

}  // namespace sluice::orders::test
