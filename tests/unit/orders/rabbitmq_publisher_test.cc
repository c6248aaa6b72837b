#include "rabbitmq_support.h"

using namespace sluice;
using namespace sluice::orders;
using std::chrono::milliseconds;
using std::chrono::seconds;
using test::event_of;
using test::Rabbit;

TEST_CASE("orders/rabbitmq: many events at once are confirmed, each once, and stand in queues") {
  Rabbit rabbit;
  rabbit.start_publisher();
  CHECK(rabbit.publisher->text() ==
        "amqp://shop@127.0.0.1:" + std::to_string(rabbit.broker.port()) + "/v%2F" +
            rabbit.vhost.substr(2));
  std::vector<Event> events;
  for (int i = 0; i < 500; ++i) events.push_back(event_of("o" + std::to_string(i)));
  rabbit.publish(events);
  CHECK(rabbit.publisher->room() == 524);
  REQUIRE(rabbit.await([&] { return rabbit.answers.size() == 500; }));
  for (const auto& [id, errors] : rabbit.answers) {
    CAPTURE(id);
    CHECK(errors.size() == 1);
    CHECK_FALSE(errors[0]);
  }
  CHECK(rabbit.publisher->room() == 1024);
  int64_t depth = 0;
  for (int shard = 0; shard < 4; ++shard) {
    depth += rabbit.broker.depth(rabbit.vhost, "sluice.orders." + std::to_string(shard));
  }
  CHECK(depth == 500);
}

TEST_CASE("orders/rabbitmq: what no queue takes is an error, and its queue is declared again") {
  Rabbit rabbit;
  rabbit.start_publisher();
  CHECK_FALSE(rabbit.publish_one(event_of("o1")));
  rabbit.broker.delete_queue(rabbit.vhost, Rabbit::queue_of("o1"));
  const Error error = rabbit.publish_one(event_of("o1"));
  CHECK(error.code() == Errc::kSystem);
  CHECK(std::string(error.text()).find("basic.return") != std::string::npos);
  CHECK_FALSE(rabbit.publish_one(event_of("o1")));
  CHECK(rabbit.becomes_deep(Rabbit::queue_of("o1"), 1));
}

TEST_CASE("orders/rabbitmq: what a full queue refuses (basic.nack) is an error") {
  Rabbit rabbit("shards=1&heartbeat=1");
  rabbit.broker.ctl({"set_policy", "-p", rabbit.vhost, "full", "^sluice.orders.0$",
                     "{\"max-length\":2}", "--apply-to", "queues"});
  rabbit.start_publisher();
  Error error;
  // Some more than the limit may get in (RabbitMQ, quorum queues, length limits).
  for (int i = 0; i < 100 && !error; ++i) {
    error = rabbit.publish_one(event_of("o" + std::to_string(i)));
  }
  CHECK(error.code() == Errc::kSystem);
  CHECK(std::string(error.text()).find("basic.nack") != std::string::npos);
  CHECK(rabbit.publisher->is_up());
  // A worker makes room.
  const auto source = rabbit.start_source("shards=1&heartbeat=1");
  CHECK(e2e::eventually([&] {
    for (const Delivery& each : std::exchange(rabbit.got, {})) source->ack(each.tag);
    return !rabbit.publish_one(event_of("later"));
  }));
}

TEST_CASE("orders/rabbitmq: more events than there is room for are refused, the others are sent") {
  RabbitOptions options = test::quick();
  options.room = 3;
  Rabbit rabbit("heartbeat=1", options);
  rabbit.start_publisher();
  rabbit.publish({event_of("o1"), event_of("o2"), event_of("o3"), event_of("o4")});
  CHECK(rabbit.publisher->room() == 0);
  const int changes = rabbit.changes;
  REQUIRE(rabbit.await([&] { return rabbit.answers.size() == 4; }));
  CHECK_FALSE(rabbit.answers["o1-1"].at(0));
  CHECK(rabbit.answers["o4-1"].at(0).code() == Errc::kQueueFull);
  CHECK(rabbit.changes > changes);
}

TEST_CASE("orders/rabbitmq: a broker that is killed keeps what it confirmed, and is found again") {
  Rabbit rabbit;
  rabbit.start_publisher();
  CHECK_FALSE(rabbit.publish_one(event_of("o1")));
  rabbit.broker.kill();
  REQUIRE(rabbit.await([&] { return !rabbit.publisher->is_up(); }));
  CHECK(rabbit.publisher->room() == 0);
  rabbit.broker.start();
  REQUIRE(rabbit.await([&] { return rabbit.publisher->is_up(); }));
  CHECK_FALSE(rabbit.publish_one(event_of("o1", 2)));
  CHECK(rabbit.becomes_deep(Rabbit::queue_of("o1"), 2));
}

TEST_CASE("orders/rabbitmq: events in flight fail when the broker dies, each once") {
  Rabbit rabbit;
  rabbit.start_publisher();
  rabbit.broker.settle();
  rabbit.broker.freeze();
  rabbit.publish({event_of("o1"), event_of("o2")});
  rabbit.broker.kill();
  REQUIRE(rabbit.await([&] { return rabbit.answers.size() == 2; }));
  CHECK(rabbit.answers["o1-1"].at(0).code() == Errc::kSystem);
  CHECK_FALSE(rabbit.publisher->is_up());
  rabbit.broker.start();
  REQUIRE(rabbit.await([&] { return rabbit.publisher->is_up(); }));
  CHECK(rabbit.answers["o2-1"].size() == 1);
  CHECK(rabbit.answers["o1-1"].size() == 1);
  rabbit.answers.clear();
  CHECK_FALSE(rabbit.publish_one(event_of("o1")));
}

TEST_CASE("orders/rabbitmq: a frozen broker is noticed by its heartbeats, and used when it thaws") {
  Rabbit rabbit;
  rabbit.start_publisher();
  rabbit.broker.freeze();
  const TimePoint begin = monotonic_now();
  CHECK(rabbit.publish_one(event_of("o1")).code() == Errc::kSystem);
  CHECK(monotonic_now() - begin < seconds(4 * e2e::kSlow));  // two heartbeats, and some
  CHECK_FALSE(rabbit.publisher->is_up());
  rabbit.broker.thaw();
  REQUIRE(rabbit.await([&] { return rabbit.publisher->is_up(); }));
  CHECK_FALSE(rabbit.publish_one(event_of("o1")));
}

TEST_CASE("orders/rabbitmq: without heartbeats the time for a confirmation ends the connection") {
  RabbitOptions options = test::quick();
  options.confirm = milliseconds(300);
  Rabbit rabbit("heartbeat=60", options);
  rabbit.start_publisher();
  rabbit.broker.freeze();
  CHECK(rabbit.publish_one(event_of("o1")).code() == Errc::kQueueTimeout);
  REQUIRE(rabbit.await([&] { return !rabbit.publisher->is_up(); }));
  rabbit.broker.thaw();
  REQUIRE(rabbit.await([&] { return rabbit.publisher->is_up(); }));
  CHECK_FALSE(rabbit.publish_one(event_of("o1")));
}

TEST_CASE("orders/rabbitmq: a broker that blocks publishers is not up, until it unblocks them") {
  RabbitOptions options = test::quick();
  options.confirm = milliseconds(500);
  Rabbit rabbit("heartbeat=1", options);
  rabbit.start_publisher();
  rabbit.broker.set_alarm(true);
  // The first message after the alarm makes RabbitMQ say so.
  CHECK(rabbit.publish_one(event_of("o1")).code() == Errc::kQueueTimeout);
  REQUIRE(rabbit.await([&] { return !rabbit.publisher->is_up(); }));
  CHECK(rabbit.publisher->room() == 0);
  rabbit.broker.set_alarm(false);
  REQUIRE(rabbit.await([&] { return rabbit.publisher->is_up(); }));
  CHECK_FALSE(rabbit.publish_one(event_of("o1")));
}

TEST_CASE("orders/rabbitmq: stopping waits for confirmations, but not for a broker that is gone") {
  Rabbit rabbit;
  rabbit.start_publisher();
  rabbit.publish({event_of("o1"), event_of("o2")});
  REQUIRE(rabbit.stop(*rabbit.publisher));
  CHECK(rabbit.answers.size() == 2);
  CHECK_FALSE(rabbit.answers["o1-1"].at(0));
  rabbit.publisher = make_rabbitmq_publisher(rabbit.loop, rabbit.address("heartbeat=60"));
  rabbit.start_publisher();
  rabbit.broker.freeze();
  rabbit.publish({event_of("o3")});
  const TimePoint begin = monotonic_now();
  REQUIRE(rabbit.stop(*rabbit.publisher, milliseconds(200)));
  CHECK(rabbit.answers["o3-1"].at(0).code() == Errc::kQueueTimeout);
  rabbit.publisher.reset();  // its thread is cut short
  CHECK(monotonic_now() - begin < seconds(2 * e2e::kSlow));
  rabbit.broker.thaw();
}

TEST_CASE("orders/rabbitmq: who cannot log in stays down, and ends at once when told to") {
  Rabbit rabbit;
  std::vector<AmqpAddress> addresses(4, rabbit.address("heartbeat=1"));
  addresses[0].password = "wrong";
  addresses[1].vhost = "nowhere";
  addresses[2].port = 1;
  addresses[3].host = "name.invalid";
  for (const AmqpAddress& address : addresses) {
    rabbit.publisher = make_rabbitmq_publisher(rabbit.loop, address, test::quick());
    rabbit.publisher->start();
    rabbit.publish({event_of("o1")});
    REQUIRE(rabbit.stop(*rabbit.publisher, milliseconds(50)));
    CHECK_FALSE(rabbit.publisher->is_up());
    CHECK(rabbit.publisher->room() == 0);
  }
  CHECK(rabbit.answers["o1-1"].size() == 4);
  for (const Error& error : rabbit.answers["o1-1"]) CHECK(error);
}
