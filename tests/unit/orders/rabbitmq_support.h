// What the tests of RabbitMQ share: one broker for all of them, a virtual host each, and both ends
// of the queue on a loop.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "sluice/base/hash.h"
#include "sluice/base/log.h"
#include "sluice/orders/rabbitmq/queue_rabbitmq.h"
#include "support.h"
#include "tests/e2e/harness/rabbitmq.h"

namespace sluice::orders::test {

// Started at the first use. A test that stops, freezes or kills it starts or thaws it again.
inline e2e::RabbitMq& rabbitmq() {
  static e2e::RabbitMq broker;
  return broker;
}

inline RabbitOptions quick() {
  RabbitOptions options;
  options.connect = std::chrono::seconds(2 * e2e::kSlow);
  options.longest_pause = std::chrono::milliseconds(200);
  return options;
}

inline Event event_of(const std::string& order_id, int64_t version = 1) {
  static constexpr const char* kStates[] = {"accepted", "paid", "shipped"};
  Order order;
  order.id = order_id;
  order.user_id = "u1";
  order.status = kStates[version - 1];
  order.version = version;
  order.lines = {{"p1", 1, 100}};
  order.total_cents = 100;
  order.request_id = "request-1";
  return make_event(order, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", wall_now());
}

// A virtual host with a publisher and sources at it.
struct Rabbit {
  explicit Rabbit(const std::string& options = "heartbeat=1", RabbitOptions how = quick())
      : broker(rabbitmq()), vhost(broker.make_vhost()), how_(how) {
    set_log_level(LogLevel::off);
    publisher = make_rabbitmq_publisher(loop, address(options), how);
  }
  ~Rabbit() {
    publisher.reset();
    set_log_level(LogLevel::info);
  }

  AmqpAddress address(const std::string& options) const {
    AmqpUrl parsed = parse_amqp_url(broker.url(vhost, options));
    REQUIRE(parsed.problem == "");
    return parsed.address;
  }
  void start_publisher() {
    publisher->on_change([this] { ++changes; });
    publisher->start();
    REQUIRE(await([&] { return publisher->is_up(); }));
  }
  void publish(std::vector<Event> events) {
    publisher->publish(std::move(events), [this](const std::string& id, Status status) {
      answers[id].push_back(status.error());
    });
  }
  // Confirmed, or that error.
  Error publish_one(const Event& event) {
    answers.erase(event.id);
    publish({event});
    CHECK(answers.count(event.id) == 0);  // never inside the call
    REQUIRE(await([&] { return answers.count(event.id) > 0; }));
    const Error error = answers[event.id].at(0);
    answers.erase(event.id);
    return error;
  }
  std::unique_ptr<EventSource> start_source(const std::string& options = "heartbeat=1") {
    auto source = make_rabbitmq_source(loop, address(options), how_);
    source->start([this](Delivery delivery) { got.push_back(std::move(delivery)); });
    REQUIRE(await([&] { return source->is_up(); }));
    return source;
  }
  bool await(const std::function<bool()>& is_done) { return run_until(loop, is_done); }
  // A publisher or a source.
  template <typename End>
  bool stop(End& end, Duration patience = std::chrono::seconds(20)) {
    bool is_stopped = false;
    end.stop(patience, [&] { is_stopped = true; });
    CHECK_FALSE(is_stopped);
    return await([&] { return is_stopped; });
  }
  static std::string queue_of(const std::string& order_id, size_t shards = 4) {
    return "sluice.orders." + std::to_string(hash64(order_id) % shards);
  }
  bool becomes_deep(const std::string& queue, int64_t depth) const {
    return e2e::eventually([&] { return broker.depth(vhost, queue) == depth; });
  }

  e2e::RabbitMq& broker;
  std::string vhost;
  loop::Loop loop;
  std::unique_ptr<EventPublisher> publisher;
  std::map<std::string, std::vector<Error>> answers;  // by event id
  std::vector<Delivery> got;
  int changes = 0;

 private:
  RabbitOptions how_;
};

}  // namespace sluice::orders::test
