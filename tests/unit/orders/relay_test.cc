#include "sluice/orders/relay.h"

#include <deque>

#include <fmt/format.h>

#include "sluice/base/log.h"
#include "sluice/orders/sqlite/store_sqlite.h"
#include "support.h"

using namespace sluice;
using namespace sluice::orders;
using std::chrono::milliseconds;
using std::chrono::seconds;
using test::run_until;

namespace {

// A broker in memory, which answers when a test says.
class FakePublisher final : public EventPublisher {
 public:
  void start() override { is_started = true; }
  void publish(std::vector<Event> events, Confirm confirm) override {
    for (Event& event : events) waiting.emplace_back(std::move(event), confirm);
  }
  size_t room() const noexcept override { return is_up_ ? 100 - waiting.size() : 0; }
  bool is_up() const noexcept override { return is_up_; }
  void on_change(std::function<void()> changed) override { changed_ = std::move(changed); }
  void stop(Duration, std::function<void()> done) override {
    while (!waiting.empty()) answer(Error(Errc::kQueueTimeout, "stopping"));
    done();
  }
  std::string_view text() const noexcept override { return "fake:"; }

  void set_up(bool up) {
    is_up_ = up;
    changed_();
  }
  void answer(Status status) {
    auto [event, confirm] = std::move(waiting.front());
    waiting.pop_front();
    if (status) sent.push_back(event.id);
    confirm(event.id, status);
  }

  std::deque<std::pair<Event, Confirm>> waiting;
  std::vector<std::string> sent;
  bool is_started = false;

 private:
  std::function<void()> changed_;
  bool is_up_ = true;
};

RelayOptions fast() {
  RelayOptions options;
  options.longest_nap = milliseconds(10);
  options.first_pause = milliseconds(1);
  options.longest_pause = milliseconds(5);
  return options;
}

struct Shop {
  Shop() : path(folder.file("orders.db")) {
    OpenedStore opened = open_sqlite_store(loop, path, test::products(1000));
    REQUIRE(opened.problem == "");
    store = std::move(opened.store);
    set_log_level(LogLevel::off);
  }
  ~Shop() { set_log_level(LogLevel::info); }
  void place(int count) {
    int answers = 0;
    for (int i = 0; i < count; ++i) {
      store->place(test::new_order(fmt::format("k{}", ++orders), {{"p1", 1, 0}}),
                   [&](Result<Placed> result) {
                     ++answers;
                     if (result) events.push_back(result->reply.order_id + "-1");
                   });
    }
    REQUIRE(run_until(loop, [&] { return answers == count; }));
  }
  int64_t unsent() { return test::reader_on(path).outbox_depth(wall_now())->unsent; }

  test::TemporaryFolder folder;
  std::string path;
  loop::Loop loop;
  std::unique_ptr<ShopStore> store;
  FakePublisher publisher;
  int orders = 0;
  std::vector<std::string> events;  // of the orders, in the order in which they were placed
};

}  // namespace

TEST_CASE("orders/relay: events are published in their order and marked when confirmed") {
  Shop shop;
  shop.place(3);
  Relay relay(shop.loop, *shop.store, shop.publisher, fast());
  relay.start();
  REQUIRE(run_until(shop.loop, [&] { return shop.publisher.waiting.size() == 3; }));
  CHECK(shop.unsent() == 3);
  while (!shop.publisher.waiting.empty()) shop.publisher.answer(Ok{});
  CHECK(run_until(shop.loop, [&] { return shop.unsent() == 0; }));
  CHECK(shop.publisher.sent == shop.events);
  shop.place(1);
  relay.poke();
  CHECK(run_until(shop.loop, [&] { return shop.publisher.waiting.size() == 1; }));
  bool is_stopped = false;
  relay.stop(seconds(1), [&] { is_stopped = true; });
  CHECK(run_until(shop.loop, [&] { return is_stopped; }));
  CHECK(shop.unsent() == 1);
  CHECK(relay.counts().sent == 3);
}

TEST_CASE("orders/relay: what is returned or refused is published again, until it is confirmed") {
  Shop shop;
  shop.place(2);
  Relay relay(shop.loop, *shop.store, shop.publisher, fast());
  relay.start();
  for (int i = 0; i < 3; ++i) {
    REQUIRE(run_until(shop.loop, [&] { return !shop.publisher.waiting.empty(); }));
    shop.publisher.answer(Error(Errc::kSystem, "returned"));
  }
  while (shop.publisher.sent.size() < 2) {
    REQUIRE(run_until(shop.loop, [&] { return !shop.publisher.waiting.empty(); }));
    shop.publisher.answer(Ok{});
  }
  CHECK(run_until(shop.loop, [&] { return shop.unsent() == 0; }));
  CHECK(relay.counts().failed == 3);
}

TEST_CASE("orders/relay: a broker that is down costs no order, and gets all when it is back") {
  Shop shop;
  Relay relay(shop.loop, *shop.store, shop.publisher, fast());
  relay.start();
  shop.publisher.set_up(false);
  shop.place(250);
  CHECK(shop.publisher.waiting.empty());
  CHECK(shop.unsent() == 250);
  shop.publisher.set_up(true);
  REQUIRE(run_until(shop.loop, [&] {
    while (!shop.publisher.waiting.empty()) shop.publisher.answer(Ok{});
    return shop.publisher.sent.size() == 250;
  }));
  CHECK(run_until(shop.loop, [&] { return shop.unsent() == 0; }));
}

TEST_CASE("orders/relay: killed between publish and mark, the next relay publishes it again") {
  Shop shop;
  shop.place(1);
  RelayOptions options = fast();
  options.lease = milliseconds(30);
  {
    Relay relay(shop.loop, *shop.store, shop.publisher, options);
    relay.start();
    REQUIRE(run_until(shop.loop, [&] { return shop.publisher.waiting.size() == 1; }));
  }
  shop.publisher.answer(Ok{});  // nobody hears it
  Relay relay(shop.loop, *shop.store, shop.publisher, options);
  relay.start();
  REQUIRE(run_until(shop.loop, [&] { return shop.publisher.waiting.size() == 1; }));
  shop.publisher.answer(Ok{});
  CHECK(run_until(shop.loop, [&] { return shop.unsent() == 0; }));
  CHECK(shop.publisher.sent.size() == 2);
  CHECK(shop.publisher.sent[0] == shop.publisher.sent[1]);
}
