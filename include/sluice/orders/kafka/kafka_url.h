// Where a Kafka cluster is and what we use of it, read from a URL. Pure.
#pragma once

#include <string>
#include <string_view>

namespace sluice::orders {

struct KafkaAddress {
  std::string brokers;  // as librdkafka wants them: "a:9092,[::1]:9093"
  std::string topic;
  std::string group = "sluice-orders";  // of the workers
  int partitions = 4;                   // of a topic that we create
  int replicas = 0;                     // of the same; 0: what the brokers have as their default
  std::string text;                     // for people: kafka://a:9092,[::1]:9093/topic
};

struct KafkaUrl {
  KafkaAddress address;
  std::string problem;  // "": it is one. Never shows the URL, somebody may put a password there
};

//   kafka://host:port[,host:port...]/topic[?partitions=1..1000&replicas=1..100&group=NAME]
// Nothing in it is percent-encoded. There is no default port: what listens where is never guessed.
KafkaUrl parse_kafka_url(std::string_view url);

bool is_kafka_url(std::string_view url) noexcept;

}  // namespace sluice::orders
