#include "sluice/orders/kafka/kafka_publisher.h"

#include <algorithm>
#include <map>

#include "kafka_support.h"

using namespace sluice;
using namespace sluice::orders;
using std::chrono::milliseconds;
using std::chrono::seconds;
using test::kafka_event;
using test::KafkaTopic;
using test::run_until;

namespace {

// Kafka's numbers, as the cluster program wants them.
constexpr const char* kProduceRefused = "fail 0 1 10";      // MSG_SIZE_TOO_LARGE
constexpr const char* kProduceRetried = "fail 0 3 6";       // NOT_LEADER_FOR_PARTITION
constexpr const char* kProducerIdRefused = "fail 22 1 31";  // CLUSTER_AUTHORIZATION_FAILED

struct Publisher {
  explicit Publisher(const KafkaTopic& topic, KafkaPublisherOptions options = {}) {
    publisher = make_kafka_publisher(loop, topic.address, options);
    publisher->on_change([this] { ++changes; });
    publisher->start();
  }
  bool comes_up() {
    return run_until(loop, [&] { return publisher->is_up(); });
  }
  void publish(std::vector<Event> events) {
    given += events.size();
    bool is_inside = true;
    publisher->publish(std::move(events), [&](const std::string& id, Status status) {
      CHECK_FALSE(is_inside);
      CHECK(answers.emplace(id, status.error()).second);  // once
      (status ? confirmed : failed)++;
    });
    is_inside = false;
  }
  bool answers_all() {
    return run_until(loop, [&] { return answers.size() == given; });
  }
  void stop(Duration patience = seconds(10)) {
    bool is_stopped = false;
    publisher->stop(patience, [&] {
      CHECK(answers.size() == given);  // after the last of them
      is_stopped = true;
    });
    CHECK_FALSE(is_stopped);
    CHECK(run_until(loop, [&] { return is_stopped; }));
  }

  loop::Loop loop;
  std::unique_ptr<EventPublisher> publisher;
  std::map<std::string, Error> answers;
  size_t given = 0;
  int confirmed = 0, failed = 0, changes = 0;
};

}  // namespace

TEST_CASE("orders/kafka_publisher: a confirmed event is in its topic, with key and traceparent") {
  const KafkaTopic topic;
  Publisher publisher(topic);
  CHECK_FALSE(publisher.publisher->is_up());
  CHECK(publisher.publisher->room() == 0);
  REQUIRE(publisher.comes_up());
  CHECK(publisher.changes == 1);
  CHECK(publisher.publisher->room() == KafkaPublisherOptions{}.in_flight);
  CHECK(publisher.publisher->text() == topic.address.text);
  Event traced = kafka_event("o1", 1);
  traced.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  publisher.publish({traced, kafka_event("o2", 1)});
  REQUIRE(publisher.answers_all());
  CHECK(publisher.confirmed == 2);
  CHECK(topic.end() == 2);
  CHECK(topic.read(0) == "o1 " + traced.traceparent + " " + traced.payload);
  CHECK(topic.read(1) == R"(o2 - {"event_id":"o2-1"})");
  publisher.stop();
}

TEST_CASE("orders/kafka_publisher: more than there is room for is refused, later it is taken") {
  const KafkaTopic topic;
  KafkaPublisherOptions options;
  options.in_flight = 3;
  Publisher publisher(topic, options);
  REQUIRE(publisher.comes_up());
  std::vector<Event> events;
  for (int i = 1; i <= 5; ++i) events.push_back(kafka_event("o1", i));
  publisher.publish(events);
  CHECK(publisher.publisher->room() == 0);
  REQUIRE(publisher.answers_all());
  CHECK(publisher.confirmed == 3);
  CHECK(publisher.answers["o1-4"].code() == Errc::kQueueFull);
  CHECK(publisher.answers["o1-5"].code() == Errc::kQueueFull);
  CHECK(run_until(publisher.loop, [&] { return publisher.changes == 2; }));
  CHECK(publisher.publisher->room() == 3);
  publisher.stop();
}

TEST_CASE("orders/kafka_publisher: brokers that refuse for a while do not change the order") {
  const KafkaTopic topic;
  Publisher publisher(topic);
  REQUIRE(publisher.comes_up());
  std::vector<Event> events;
  for (int i = 1; i <= 30; ++i) events.push_back(kafka_event("o1", i));
  topic.cluster.ask(kProduceRetried);
  for (size_t at = 0; at < events.size(); at += 10) {
    publisher.publish({events.begin() + at, events.begin() + at + 10});
    publisher.loop.run_once(false);
  }
  REQUIRE(publisher.answers_all());
  CHECK(publisher.confirmed == 30);
  REQUIRE(topic.end() == 30);
  for (int i = 0; i < 30; i += 7) CHECK(topic.read(i).ends_with(events[i].payload));
  publisher.stop();
}

TEST_CASE("orders/kafka_publisher: an event that the brokers refuse for good is given back") {
  const KafkaTopic topic;
  Publisher publisher(topic);
  REQUIRE(publisher.comes_up());
  topic.cluster.ask(kProduceRefused);
  publisher.publish({kafka_event("o1", 1)});
  REQUIRE(publisher.answers_all());
  CHECK(publisher.answers["o1-1"].code() == Errc::kSystem);
  publisher.publish({kafka_event("o1", 2)});
  REQUIRE(publisher.answers_all());
  CHECK(publisher.confirmed == 1);
  publisher.stop();
}

TEST_CASE(
    "orders/kafka_publisher: brokers away: no room, what was given fails, and all comes back") {
  const KafkaTopic topic;
  KafkaPublisherOptions options;
  options.message_timeout = seconds(2);
  Publisher publisher(topic, options);
  REQUIRE(publisher.comes_up());
  topic.cluster.down();
  publisher.publish({kafka_event("o1", 1)});
  CHECK(run_until(publisher.loop, [&] { return !publisher.publisher->is_up(); }));
  CHECK(publisher.publisher->room() == 0);
  REQUIRE(publisher.answers_all());
  CHECK(publisher.answers["o1-1"].code() == Errc::kQueueTimeout);
  const int changes = publisher.changes;
  topic.cluster.up();
  REQUIRE(publisher.comes_up());
  CHECK(publisher.changes > changes);
  publisher.publish({kafka_event("o1", 2)});
  REQUIRE(publisher.answers_all());
  CHECK(publisher.confirmed == 1);
  publisher.stop();
}

TEST_CASE("orders/kafka_publisher: one broker of three away holds up only its own partitions") {
  e2e::KafkaCluster cluster(3);
  const KafkaTopic topic(3, cluster);
  KafkaPublisherOptions options;
  options.message_timeout = seconds(2);
  Publisher publisher(topic, options);
  REQUIRE(publisher.comes_up());
  cluster.ask("down 2");
  std::vector<Event> events;
  for (int i = 1; i <= 30; ++i) events.push_back(kafka_event(fmt::format("o{}", i), 1));
  publisher.publish(events);
  REQUIRE(publisher.answers_all());
  CHECK(publisher.publisher->is_up());
  CHECK(publisher.confirmed > 0);
  CHECK(publisher.failed > 0);
  cluster.ask("up 2");
  std::erase_if(events, [&](const Event& event) { return !publisher.answers[event.id]; });
  publisher.answers.clear();
  publisher.given = 0;
  const int confirmed = publisher.confirmed;
  publisher.publish(events);
  REQUIRE(publisher.answers_all());
  CHECK(publisher.confirmed == 30);
  CHECK(publisher.confirmed > confirmed);
  publisher.stop();
}

TEST_CASE("orders/kafka_publisher: a frozen cluster fails events in time, and they go out later") {
  const KafkaTopic topic;
  KafkaPublisherOptions options;
  options.message_timeout = seconds(2);
  Publisher publisher(topic, options);
  REQUIRE(publisher.comes_up());
  topic.cluster.freeze();
  publisher.publish({kafka_event("o1", 1)});
  const TimePoint before = monotonic_now();
  CHECK(publisher.answers_all());
  CHECK(monotonic_now() - before < seconds(10));
  CHECK(publisher.failed == 1);
  topic.cluster.thaw();
  REQUIRE(publisher.comes_up());
  publisher.publish({kafka_event("o1", 2)});
  REQUIRE(publisher.answers_all());
  CHECK(publisher.confirmed == 1);
  publisher.stop();
}

TEST_CASE("orders/kafka_publisher: a producer that broke for good is replaced") {
  const KafkaTopic topic;
  topic.cluster.ask(kProducerIdRefused);
  Publisher publisher(topic);
  REQUIRE(publisher.comes_up());
  publisher.publish({kafka_event("o1", 1)});
  REQUIRE(publisher.answers_all());
  if (publisher.failed == 1) {  // it broke after it was given the event
    REQUIRE(publisher.comes_up());
    publisher.publish({kafka_event("o1", 2)});
    REQUIRE(publisher.answers_all());
  }
  CHECK(publisher.confirmed == 1);
  CHECK(topic.end() == 1);
  publisher.stop();
}

TEST_CASE("orders/kafka_publisher: stopping waits for what is due, and not for brokers away") {
  e2e::KafkaCluster cluster;
  const KafkaTopic topic(1, cluster);
  Publisher slow(topic), away(topic);
  REQUIRE(slow.comes_up());
  REQUIRE(away.comes_up());
  cluster.ask("rtt 300");
  slow.publish({kafka_event("o1", 1)});
  slow.stop();
  CHECK(slow.confirmed == 1);
  CHECK(slow.publisher->room() == 0);
  cluster.kill();
  away.publish({kafka_event("o1", 2)});
  const TimePoint before = monotonic_now();
  away.stop(seconds(20));
  away.publisher.reset();
  CHECK(away.failed == 1);
  CHECK(monotonic_now() - before < seconds(5));
}

TEST_CASE("orders/kafka_publisher: destroyed with events under way, nobody is answered") {
  const KafkaTopic topic;
  Publisher publisher(topic);
  REQUIRE(publisher.comes_up());
  publisher.publish({kafka_event("o1", 1)});
  publisher.publisher.reset();
  for (int i = 0; i < 10; ++i) publisher.loop.run_once(false);
  CHECK(publisher.answers.empty());
}
