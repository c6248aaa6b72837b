#include "sluice/orders/kafka/kafka_url.h"

#include <doctest/doctest.h>

using namespace sluice::orders;

TEST_CASE("orders/kafka_url: brokers, topic and what we make of them") {
  const KafkaUrl plain = parse_kafka_url("kafka://kafka.local:9092/orders");
  CHECK(plain.problem == "");
  CHECK(plain.address.brokers == "kafka.local:9092");
  CHECK(plain.address.topic == "orders");
  CHECK(plain.address.group == "sluice-orders");
  CHECK(plain.address.partitions == 4);
  CHECK(plain.address.replicas == 0);
  CHECK(plain.address.text == "kafka://kafka.local:9092/orders");
  const KafkaUrl full = parse_kafka_url(
      "kafka://10.0.0.1:9092,[::1]:9093,c_d-e:1/a.b_c-D9?group=g-1.x&replicas=3&partitions=12");
  CHECK(full.problem == "");
  CHECK(full.address.brokers == "10.0.0.1:9092,[::1]:9093,c_d-e:1");
  CHECK(full.address.topic == "a.b_c-D9");
  CHECK(full.address.group == "g-1.x");
  CHECK(full.address.replicas == 3);
  CHECK(full.address.partitions == 12);
  CHECK(full.address.text == "kafka://10.0.0.1:9092,[::1]:9093,c_d-e:1/a.b_c-D9");
}

TEST_CASE("orders/kafka_url: what is wrong is said in words, never with the URL") {
  struct Case {
    const char* url;
    const char* what;
  };
  constexpr Case kCases[] = {
      {"amqp://s3cret:1/t", "not kafka://"},
      {"kafka:", "not kafka://"},
      {"kafka://", "needs a port"},
      {"kafka:///s3cret", "needs a port"},
      {"kafka://s3cret/t", "needs a port"},
      {"kafka://[::1]/t", "needs a port"},
      {"kafka://a:1,s3cret/t", "needs a port"},
      {"kafka://a:1,,b:2/t", "needs a port"},
      {"kafka://s3cret:0/t", "needs a port"},
      {"kafka://s3cret:65536/t", "needs a port"},
      {"kafka://s3cret:9o92/t", "needs a port"},
      {"kafka://:9092/t", "not HOST:PORT"},
      {"kafka://s3cret!:9092/t", "not HOST:PORT"},
      {"kafka://::1:9092/t", "not HOST:PORT"},
      {"kafka://[s3cret]:9092/t", "not HOST:PORT"},
      {"kafka://u:s3cret@a:9092/t", "user and password are not supported"},
      {"kafka://a:9092/u:s3cret@t", "user and password are not supported"},
      {"kafka://a:9092", "topic is missing"},
      {"kafka://a:9092/", "topic is missing"},
      {"kafka://a:9092/?group=g", "topic is missing"},
      {"kafka://a:9092/s3cret/x", "topic is not"},
      {"kafka://a:9092/..", "topic is not"},
      {"kafka://a:9092/%74", "topic is not"},
      {"kafka://a:9092/t#s3cret", "topic is not"},
      {"kafka://a:9092/t?", "only partitions, replicas and group"},
      {"kafka://a:9092/t?password=s3cret", "only partitions, replicas and group"},
      {"kafka://a:9092/t?group=g&", "only partitions, replicas and group"},
      {"kafka://a:9092/t?partitions", "partitions is not 1..1000"},
      {"kafka://a:9092/t?partitions=0", "partitions is not 1..1000"},
      {"kafka://a:9092/t?partitions=1001", "partitions is not 1..1000"},
      {"kafka://a:9092/t?replicas=s3cret", "replicas is not 1..100"},
      {"kafka://a:9092/t?group=", "group is not"},
      {"kafka://a:9092/t?group=s3cret!", "group is not"},
      {"kafka://a:9092/t?group=a&group=b", "group stands twice"},
  };
  for (const Case& each : kCases) {
    CAPTURE(each.url);
    const std::string problem = parse_kafka_url(each.url).problem;
    CHECK(problem.find(each.what) != std::string::npos);
    CHECK(problem.find("s3cret") == std::string::npos);
  }
  CHECK(parse_kafka_url("kafka://a:1/" + std::string(249, 't')).problem == "");
  CHECK(parse_kafka_url("kafka://a:1/" + std::string(250, 't')).problem != "");
}
