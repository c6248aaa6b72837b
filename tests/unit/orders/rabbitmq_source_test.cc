#include "rabbitmq_support.h"

using namespace sluice;
using namespace sluice::orders;
using std::chrono::milliseconds;
using std::chrono::seconds;
using test::event_of;
using test::Rabbit;

TEST_CASE("orders/rabbitmq: an event arrives as it was published, and is gone when acknowledged") {
  Rabbit rabbit;
  rabbit.start_publisher();
  const auto source = rabbit.start_source();
  const Event event = event_of("o1");
  CHECK_FALSE(rabbit.publish_one(event));
  REQUIRE(rabbit.await([&] { return rabbit.got.size() == 1; }));
  Event arrived = rabbit.got[0].event;
  arrived.created = event.created;  // stands in the payload
  CHECK(arrived == event);
  CHECK(event_problem(arrived) == "");
  CHECK(rabbit.got[0].attempts == 1);
  source->ack(rabbit.got[0].tag);
  source->ack(rabbit.got[0].tag);  // settled already
  source->ack(4711);
  REQUIRE(rabbit.stop(*source));
  CHECK(rabbit.becomes_deep(Rabbit::queue_of("o1"), 0));
}

TEST_CASE("orders/rabbitmq: a retry comes not before its time, is counted, and holds up no other") {
  Rabbit rabbit("shards=1&heartbeat=1");
  rabbit.start_publisher();
  const auto source = rabbit.start_source("shards=1&prefetch=4&heartbeat=1");
  CHECK_FALSE(rabbit.publish_one(event_of("late")));
  REQUIRE(rabbit.await([&] { return rabbit.got.size() == 1; }));
  const TimePoint begin = monotonic_now();
  source->retry(rabbit.got[0].tag, milliseconds(400));
  for (int i = 0; i < 5; ++i) {
    CHECK_FALSE(rabbit.publish_one(event_of("o" + std::to_string(i))));
    REQUIRE(rabbit.await([&] { return rabbit.got.size() == 2; }));
    source->ack(rabbit.got[1].tag);
    rabbit.got.pop_back();
  }
  rabbit.got.clear();
  REQUIRE(rabbit.await([&] { return rabbit.got.size() == 1; }));
  CHECK(monotonic_now() - begin >= milliseconds(400));
  CHECK(rabbit.got[0].event.id == "late-1");
  CHECK(rabbit.got[0].attempts == 2);
  source->retry(rabbit.got[0].tag, Duration(0));
  REQUIRE(rabbit.await([&] { return rabbit.got.size() == 2; }));
  CHECK(rabbit.got[1].attempts == 3);
  CHECK(rabbit.got[1].tag != rabbit.got[0].tag);
}

TEST_CASE("orders/rabbitmq: no more is held than the prefetch") {
  Rabbit rabbit("shards=1&heartbeat=1");
  rabbit.start_publisher();
  for (int i = 0; i < 8; ++i) CHECK_FALSE(rabbit.publish_one(event_of("o" + std::to_string(i))));
  const auto source = rabbit.start_source("shards=1&prefetch=3&heartbeat=1");
  REQUIRE(rabbit.await([&] { return rabbit.got.size() == 3; }));
  source->ack(rabbit.got[0].tag);
  source->ack(rabbit.got[1].tag);
  REQUIRE(rabbit.await([&] { return rabbit.got.size() == 5; }));
  REQUIRE(rabbit.stop(*source));
  CHECK(rabbit.got.size() == 5);
  // Acknowledged is gone, the rest is back.
  CHECK(rabbit.becomes_deep("sluice.orders.0", 6));
}

TEST_CASE(
    "orders/rabbitmq: one source at a time has a queue, and the next goes on where it ended") {
  Rabbit rabbit;
  rabbit.start_publisher();
  auto first = rabbit.start_source();
  std::vector<Delivery> others;
  auto second = make_rabbitmq_source(rabbit.loop, rabbit.address("heartbeat=1"), test::quick());
  second->start([&](Delivery delivery) { others.push_back(std::move(delivery)); });
  REQUIRE(rabbit.await([&] { return second->is_up(); }));
  std::vector<Event> events;
  for (int64_t version = 1; version <= 3; ++version) events.push_back(event_of("o1", version));
  rabbit.publish(events);
  REQUIRE(rabbit.await([&] { return rabbit.got.size() == 3; }));
  CHECK(others.empty());
  first->ack(rabbit.got[0].tag);
  REQUIRE(rabbit.stop(*first));
  REQUIRE(rabbit.await([&] { return others.size() == 2; }));
  for (size_t i = 0; i < 3; ++i) CHECK(rabbit.got[i].event.id == events[i].id);
  for (size_t i = 0; i < 2; ++i) {
    CHECK(others[i].event.id == events[i + 1].id);
    CHECK(others[i].attempts == 2);
  }
}

TEST_CASE(
    "orders/rabbitmq: what is no event is delivered nonetheless, and cut when it is too large") {
  Rabbit rabbit;
  const auto source = rabbit.start_source();
  rabbit.broker.publish(rabbit.vhost, "sluice.orders", "1", "no event\n\xFF");
  REQUIRE(rabbit.await([&] { return rabbit.got.size() == 1; }));
  CHECK(rabbit.got[0].event.payload == "no event\n\xEF\xBF\xBD");
  CHECK(event_problem(rabbit.got[0].event) != "");
  rabbit.broker.eval(
      "rabbit_basic:publish(rabbit_misc:r(<<\"" + rabbit.vhost +
      "\">>, exchange, <<\"sluice.orders\">>), <<\"0\">>, [], binary:copy(<<\"x\">>, 5000000)).");
  REQUIRE(rabbit.await([&] { return rabbit.got.size() == 2; }));
  CHECK(rabbit.got[1].event.payload.size() == 256 * 1024);
  CHECK(event_problem(rabbit.got[1].event) != "");
  for (const Delivery& each : rabbit.got) source->ack(each.tag);
}

TEST_CASE("orders/rabbitmq: a queue that is deleted under a source is declared again") {
  Rabbit rabbit;
  rabbit.start_publisher();
  const auto source = rabbit.start_source();
  rabbit.broker.delete_queue(rabbit.vhost, Rabbit::queue_of("o1"));
  REQUIRE(rabbit.await([&] { return !source->is_up(); }));
  REQUIRE(rabbit.await([&] { return source->is_up(); }));
  CHECK_FALSE(rabbit.publish_one(event_of("o1")));
  CHECK(rabbit.await([&] { return rabbit.got.size() == 1; }));
}

TEST_CASE("orders/rabbitmq: a source takes from queues beyond its own number too") {
  Rabbit rabbit("shards=6&heartbeat=1");
  rabbit.start_publisher();
  std::vector<Event> events;
  for (int i = 0; i < 60; ++i) events.push_back(event_of("o" + std::to_string(i)));
  rabbit.publish(events);
  REQUIRE(rabbit.await([&] { return rabbit.answers.size() == 60; }));
  const auto source = rabbit.start_source("shards=2&prefetch=1000&heartbeat=1");
  CHECK(rabbit.await([&] { return rabbit.got.size() == 60; }));
}

TEST_CASE("orders/rabbitmq: an event that nobody lives to settle ends among the dead letters") {
  Rabbit rabbit;
  rabbit.start_publisher();
  const auto source = rabbit.start_source();
  CHECK_FALSE(rabbit.publish_one(event_of("o1")));
  size_t given_back = 0;
  REQUIRE(rabbit.await([&] {
    for (; given_back < rabbit.got.size(); ++given_back) {
      CHECK(rabbit.got[given_back].attempts == static_cast<int64_t>(given_back + 1));
      source->retry(rabbit.got[given_back].tag, Duration(0));
    }
    return given_back >= 101;
  }));
  CHECK(rabbit.becomes_deep("sluice.orders.dead", 1));
  CHECK(rabbit.becomes_deep(Rabbit::queue_of("o1"), 0));
  CHECK(given_back == 101);
}

TEST_CASE("orders/rabbitmq: a broker that is killed delivers what was unsettled again") {
  Rabbit rabbit;
  rabbit.start_publisher();
  const auto source = rabbit.start_source();
  CHECK_FALSE(rabbit.publish_one(event_of("o1")));
  CHECK_FALSE(rabbit.publish_one(event_of("o2")));
  REQUIRE(rabbit.await([&] { return rabbit.got.size() == 2; }));
  source->retry(rabbit.got[1].tag, seconds(600));
  rabbit.broker.kill();
  REQUIRE(rabbit.await([&] { return !source->is_up(); }));
  source->ack(rabbit.got[0].tag);  // came by the lost connection
  rabbit.broker.start();
  REQUIRE(rabbit.await([&] { return rabbit.got.size() == 4; }));
  CHECK(rabbit.got[2].attempts == 2);
  CHECK(rabbit.got[3].attempts == 2);
  source->ack(rabbit.got[2].tag);
  source->ack(rabbit.got[3].tag);
  CHECK(rabbit.becomes_deep(Rabbit::queue_of("o1"), 0));
}

TEST_CASE("orders/rabbitmq: a source at a frozen broker goes on when it thaws, or ends in time") {
  Rabbit rabbit;
  rabbit.start_publisher();
  auto source = rabbit.start_source();
  rabbit.broker.freeze();
  REQUIRE(rabbit.await([&] { return !source->is_up(); }));
  rabbit.broker.thaw();
  REQUIRE(rabbit.await([&] { return source->is_up() && rabbit.publisher->is_up(); }));
  CHECK_FALSE(rabbit.publish_one(event_of("o1")));
  REQUIRE(rabbit.await([&] { return rabbit.got.size() == 1; }));
  rabbit.broker.freeze();
  const TimePoint begin = monotonic_now();
  REQUIRE(rabbit.stop(*source, milliseconds(100)));
  source.reset();
  CHECK(monotonic_now() - begin < seconds(2 * e2e::kSlow));
  rabbit.broker.thaw();
}
