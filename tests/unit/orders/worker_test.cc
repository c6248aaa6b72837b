#include "sluice/orders/worker.h"

#include <deque>
#include <map>

#include <fmt/format.h>

#include "sluice/base/log.h"
#include "sluice/orders/queue_embedded.h"
#include "sluice/orders/sqlite/store_sqlite.h"
#include "support.h"

using namespace sluice;
using namespace sluice::orders;
using std::chrono::milliseconds;
using std::chrono::seconds;
using test::new_order;
using test::Quiet;
using test::run_until;

namespace {

// The lines of the worker are not what these tests are about.
// A real database behind a door that a test can shut.
class Shop {
 public:
  explicit Shop(int64_t stock = 100) : path(folder.file("orders.db")) {
    OpenedStore opened = open_sqlite_store(loop, path, test::products(stock));
    REQUIRE(opened.problem == "");
    store = std::move(opened.store);
  }

  std::vector<std::string> place(int count, int64_t quantity = 1) {
    std::vector<std::string> ids;
    int answers = 0;
    for (int i = 0; i < count; ++i) {
      NewOrder order = new_order(fmt::format("k{}", ++orders), {{"p1", quantity, 0}});
      order.request_id = fmt::format("r{}", orders);
      store->place(std::move(order), [&](Result<Placed> placed) {
        ++answers;
        if (placed && placed->verdict == Verdict::accepted) ids.push_back(placed->reply.order_id);
      });
    }
    REQUIRE(run_until(loop, [&] { return answers == count; }));
    return ids;
  }
  Totals totals() {
    auto totals = test::reader_on(path).totals();
    REQUIRE(totals);
    for (const StockTotals& stock : totals->stock) {
      CHECK(stock.drift() == 0);
      CHECK(stock.ledger_drift() == 0);
    }
    return *std::move(totals);
  }
  int64_t count(std::string_view state) {
    for (const auto& [name, orders_in] : totals().orders) {
      if (name == state) return orders_in;
    }
    return 0;
  }
  std::vector<std::string> texts(const char* sql) {
    auto db = Database::open(path, Database::Mode::read);
    REQUIRE(db);
    Statement statement(sql);
    Query query(*db, statement);
    std::vector<std::string> found;
    while (query.next().value()) found.push_back(query.text(0));
    return found;
  }
  void run_sql(const std::string& sql) {
    auto db = Database::open(path, Database::Mode::create);
    REQUIRE(db);
    const Status done = db->run(sql.c_str());
    REQUIRE_MESSAGE(done, db->last_error());
  }

  Quiet quiet;
  test::TemporaryFolder folder;
  std::string path;
  loop::Loop loop;
  std::unique_ptr<ShopStore> store;
  int orders = 0;
};

WorkerOptions fast(double fail_payments = 0) {
  WorkerOptions options;
  options.fail_payments = fail_payments;
  options.first_pause = milliseconds(1);
  options.longest_pause = milliseconds(5);
  return options;
}

EmbeddedQueueOptions lease_of(Duration lease) {
  EmbeddedQueueOptions options;
  options.lease = lease;
  options.longest_nap = milliseconds(10);
  return options;
}

void stop(loop::Loop& loop, Worker& worker) {
  bool is_stopped = false;
  worker.stop(seconds(20), [&] { is_stopped = true; });
  CHECK_FALSE(is_stopped);
  CHECK(run_until(loop, [&] { return is_stopped; }));
}

// Delivers what a test says, and keeps what becomes of it.
class FakeSource final : public EventSource {
 public:
  void start(std::function<void(Delivery)> on_delivery) override {
    on_delivery_ = std::move(on_delivery);
  }
  void ack(uint64_t tag) override { acked.push_back(tag); }
  void retry(uint64_t tag, Duration after) override { retried.emplace_back(tag, after); }
  bool is_up() const noexcept override { return true; }
  void stop(Duration, std::function<void()> done) override { done(); }
  std::string_view text() const noexcept override { return "fake:"; }

  uint64_t deliver(Event event, int64_t attempts = 1) {
    on_delivery_({std::move(event), ++last_tag, attempts});
    return last_tag;
  }
  size_t settled() const { return acked.size() + retried.size(); }

  std::vector<uint64_t> acked;
  std::vector<std::pair<uint64_t, Duration>> retried;
  uint64_t last_tag = 0;

 private:
  std::function<void(Delivery)> on_delivery_;
};

// A database that answers when and what a test likes.
class FakeStore final : public EventStore {
 public:
  void take_unsent(size_t, Duration, Answer<std::vector<TakenEvent>>) override { FAIL("take"); }
  void mark_sent(std::vector<std::string>, Answer<Ok>) override { FAIL("mark"); }
  void give_back(std::vector<std::string>, Duration, Answer<Ok>) override { FAIL("give_back"); }
  void outbox_depth(Answer<OutboxDepth>) override { FAIL("depth"); }
  void apply(Event, Handling handling, Answer<Applied> answer) override {
    handlings.push_back(std::move(handling));
    applies.push_back(std::move(answer));
  }
  void park(Event, std::string, std::string reason, Answer<Ok> answer) override {
    reasons.push_back(std::move(reason));
    parks.push_back(std::move(answer));
  }
  void answer(Result<Applied> applied) {
    REQUIRE_FALSE(applies.empty());
    auto first = std::move(applies.front());
    applies.pop_front();
    first(std::move(applied));
  }

  std::deque<Answer<Applied>> applies;
  std::deque<Answer<Ok>> parks;
  std::vector<Handling> handlings;
  std::vector<std::string> reasons;
};

Event accepted(const std::string& order_id = "o-1") {
  return make_event({order_id, "u", "accepted", 1, {{"p1", 1, 1}}, {}, 1, "r"}, {}, wall_now());
}

}  // namespace

TEST_CASE("orders/worker: orders go all their way through the embedded queue") {
  Shop shop;
  shop.place(60);
  auto source = make_embedded_source(shop.loop, *shop.store, lease_of(seconds(30)));
  Worker worker(shop.loop, *shop.store, *source, fast());
  worker.start();
  REQUIRE(run_until(shop.loop, [&] { return worker.counts().recorded == 60; }));
  shop.place(40);  // while it naps
  REQUIRE(run_until(shop.loop, [&] { return worker.counts().recorded == 100; }));
  stop(shop.loop, worker);
  CHECK(shop.count("shipped") == 100);
  const Totals totals = shop.totals();
  CHECK(totals.outbox == 0);
  CHECK(totals.stock[0].sold == 100);
  CHECK(worker.counts().moved == 200);
  CHECK(worker.counts().duplicates == 0);
  CHECK(shop.texts("SELECT event_id FROM inbox").size() == 300);
}

TEST_CASE("orders/worker: payments that fail give the units back, which can be sold again") {
  Shop shop(100);
  shop.place(100);
  CHECK(shop.place(1).empty());
  auto source = make_embedded_source(shop.loop, *shop.store, lease_of(seconds(30)));
  Worker worker(shop.loop, *shop.store, *source, fast(0.5));
  worker.start();
  REQUIRE(run_until(shop.loop, [&] { return worker.counts().recorded == 100; }));
  stop(shop.loop, worker);
  const int64_t failed = shop.count("failed");
  CHECK(failed > 20);
  CHECK(failed < 80);
  CHECK(shop.count("shipped") == 100 - failed);
  CHECK(shop.totals().stock[0].available == failed);
  CHECK(shop.place(static_cast<int>(failed)).size() == static_cast<size_t>(failed));
}

TEST_CASE("orders/worker: one that dies with events has them handled by the next, once each") {
  Shop shop;
  shop.place(40);
  for (int round = 0; round < 3; ++round) {
    // Gone in the middle, without a word: some are applied and not marked, some only taken.
    auto source = make_embedded_source(shop.loop, *shop.store, lease_of(milliseconds(50)));
    Worker worker(shop.loop, *shop.store, *source, fast());
    worker.start();
    const uint64_t enough = 10;
    REQUIRE(run_until(shop.loop, [&] {
      const Worker::Counts& counts = worker.counts();
      return counts.moved + counts.recorded + counts.duplicates >= enough;
    }));
  }
  auto source = make_embedded_source(shop.loop, *shop.store, lease_of(milliseconds(50)));
  Worker worker(shop.loop, *shop.store, *source, fast());
  worker.start();
  REQUIRE(run_until(shop.loop, [&] { return shop.totals().outbox == 0; }));
  stop(shop.loop, worker);
  CHECK(shop.count("shipped") == 40);
  CHECK(shop.texts("SELECT event_id FROM inbox").size() == 120);
  CHECK(shop.texts("SELECT step FROM order_states").size() == 120);
  CHECK(shop.totals().parked == 0);
}

TEST_CASE("orders/worker: two workers share the events, and none is handled twice") {
  Shop shop;
  auto first_source = make_embedded_source(shop.loop, *shop.store, lease_of(seconds(30)));
  auto second_source = make_embedded_source(shop.loop, *shop.store, lease_of(seconds(30)));
  Worker first(shop.loop, *shop.store, *first_source, fast());
  Worker second(shop.loop, *shop.store, *second_source, fast());
  first.start();
  second.start();
  shop.place(100);
  REQUIRE(run_until(shop.loop,
                    [&] { return first.counts().recorded + second.counts().recorded == 100; }));
  CHECK(first.counts().duplicates + second.counts().duplicates == 0);
  CHECK(first.counts().moved + second.counts().moved == 200);
  stop(shop.loop, first);
  stop(shop.loop, second);
  CHECK(shop.count("shipped") == 100);
}

TEST_CASE("orders/worker: what nobody can handle is parked, and holds up nothing") {
  Shop shop;
  shop.run_sql(
      "INSERT INTO outbox (event_id, order_id, version, type, payload, request_id, traceparent, "
      "created_ms) VALUES ('x-1', 'x', 1, 'order.accepted', 'rubbish', '', '', 0)");
  const Event lost = accepted("gone");
  shop.run_sql(fmt::format(
      "INSERT INTO outbox (event_id, order_id, version, type, payload, request_id, traceparent, "
      "created_ms) VALUES ('{}', '{}', 1, '{}', '{}', '', '', 0)",
      lost.id, lost.order_id, lost.type, lost.payload));
  shop.place(5);
  auto source = make_embedded_source(shop.loop, *shop.store, lease_of(seconds(30)));
  Worker worker(shop.loop, *shop.store, *source, fast());
  worker.start();
  REQUIRE(run_until(shop.loop, [&] { return worker.counts().parked == 2; }));
  REQUIRE(run_until(shop.loop, [&] { return worker.counts().recorded == 5; }));
  CHECK(worker.counts().retried == 4);
  stop(shop.loop, worker);
  CHECK(shop.totals().outbox == 0);
  CHECK(shop.totals().parked == 2);
  CHECK(shop.texts("SELECT reason FROM parked ORDER BY event_id") ==
        std::vector<std::string>{"no such order at this version (attempt 5)",
                                 "the payload is no JSON object"});
}

TEST_CASE("orders/worker: stopping gives back what it holds, so that others need not wait") {
  Shop shop;
  shop.place(5);
  FakeStore busy;  // never answers
  auto source = make_embedded_source(shop.loop, *shop.store, lease_of(std::chrono::hours(1)));
  Worker worker(shop.loop, busy, *source, fast());
  worker.start();
  REQUIRE(run_until(shop.loop, [&] { return busy.applies.size() == 5; }));
  bool is_stopped = false;
  worker.stop(milliseconds(20), [&] { is_stopped = true; });
  REQUIRE(run_until(shop.loop, [&] { return is_stopped; }));
  auto next_source = make_embedded_source(shop.loop, *shop.store, lease_of(seconds(30)));
  Worker next(shop.loop, *shop.store, *next_source, fast());
  next.start();
  REQUIRE(run_until(shop.loop, [&] { return next.counts().recorded == 5; }));
  stop(shop.loop, next);
  busy.applies.clear();
}

TEST_CASE("orders/worker: a database that fails is no fault of the event: it is kept and tried") {
  Quiet quiet;
  loop::Loop loop;
  FakeStore store;
  FakeSource source;
  Worker worker(loop, store, source, fast());
  worker.start();
  source.deliver(accepted());
  for (const Errc code : {Errc::kQueueFull, Errc::kQueueTimeout, Errc::kSystem, Errc::kSystem,
                          Errc::kSystem, Errc::kSystem, Errc::kSystem, Errc::kSystem}) {
    REQUIRE(run_until(loop, [&] { return !store.applies.empty(); }));
    store.answer(Error(code, "no"));
    CHECK(source.settled() == 0);
  }
  REQUIRE(run_until(loop, [&] { return !store.applies.empty(); }));
  store.answer(Applied{Outcome::moved, {}, {}});
  CHECK(source.acked == std::vector<uint64_t>{1});
  CHECK(store.parks.empty());
}

TEST_CASE("orders/worker: parking that fails is tried again; only then is it acknowledged") {
  Quiet quiet;
  loop::Loop loop;
  FakeStore store;
  FakeSource source;
  Worker worker(loop, store, source, fast());
  worker.start();
  source.deliver(read_event("rubbish", {}));
  REQUIRE(store.parks.size() == 1);
  store.parks[0](Error(Errc::kSystem, "no"));
  CHECK(source.settled() == 0);
  REQUIRE(run_until(loop, [&] { return store.parks.size() == 2; }));
  store.parks[1](Ok{});
  CHECK(source.acked == std::vector<uint64_t>{1});
  CHECK(store.applies.empty());
}

TEST_CASE("orders/worker: an event that seems to end workers is parked unhandled") {
  Quiet quiet;
  loop::Loop loop;
  FakeStore store;
  FakeSource source;
  Worker worker(loop, store, source, fast());
  worker.start();
  source.deliver(accepted(), 20);
  CHECK(store.applies.size() == 1);
  source.deliver(accepted("o-2"), 21);
  CHECK(store.applies.size() == 1);
  REQUIRE(store.reasons.size() == 1);
  CHECK(store.reasons[0] == "delivered 21 times without an end");
}

TEST_CASE("orders/worker: each retry waits longer, up to a bound") {
  Quiet quiet;
  loop::Loop loop;
  FakeStore store;
  FakeSource source;
  WorkerOptions options;
  options.most_attempts = 100;
  Worker worker(loop, store, source, options);
  worker.start();
  for (int64_t attempts = 1; attempts <= 9; ++attempts) {
    source.deliver(accepted(), attempts);
    store.answer(Applied{Outcome::unknown, {}, {}});
  }
  REQUIRE(source.retried.size() == 9);
  CHECK(source.retried[0].second == milliseconds(100));
  CHECK(source.retried[3].second == milliseconds(800));
  CHECK(source.retried[8].second == seconds(5));
}
