#include "sluice/orders/sqlite/event_writer.h"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

#include "support.h"

using namespace sluice;
using namespace sluice::orders;
using test::new_order;

namespace {

using std::chrono::seconds;

const Handling kPay{"c", "paid"};
const Handling kShip{"c", "shipped"};
const Handling kFail{"c", "failed"};
const Handling kEnd{"c", ""};

// A database with one connection that writes, each call in a transaction of its own.
struct Store {
  explicit Store(int64_t stock = 10)
      : path(folder.file("orders.db")),
        made(test::prepare(path, test::products(stock))),
        writer(test::writer_on(path)) {
    REQUIRE(made.problem == "");
  }

  std::string place(std::vector<OrderLine> lines = {{"p1", 1, 0}}) {
    NewOrder order = new_order(fmt::format("k{}", ++orders), std::move(lines));
    order.request_id = fmt::format("r{}", orders);
    order.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    auto placed = test::place(writer, order);
    REQUIRE(placed);
    REQUIRE(placed->verdict == Verdict::accepted);
    return placed->reply.order_id;
  }
  std::vector<TakenEvent> take(size_t most = 100, Duration lease = seconds(30),
                               WallTime now = wall_now()) {
    REQUIRE(writer.begin());
    auto taken = writer.events().take_unsent(most, lease, now);
    REQUIRE(taken);
    REQUIRE(writer.commit());
    return *std::move(taken);
  }
  // The one event that waits.
  Event next() {
    const std::vector<TakenEvent> taken = take();
    REQUIRE(taken.size() == 1);
    mark(taken[0].event.id);
    return taken[0].event;
  }
  void mark(const std::string& id) {
    REQUIRE(writer.begin());
    CHECK(writer.events().mark_sent({id}, wall_now()));
    REQUIRE(writer.commit());
  }
  Applied apply(const Event& event, const Handling& handling) {
    REQUIRE(writer.begin());
    auto applied = writer.events().apply(event, handling, wall_now());
    REQUIRE(applied);
    REQUIRE(writer.commit());
    return *std::move(applied);
  }
  Order order(const std::string& id) {
    auto order = test::reader_on(path).order(id);
    REQUIRE(order);
    REQUIRE(*order);
    return **order;
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
  int64_t rows(const char* sql) {
    auto db = Database::open(path, Database::Mode::read);
    REQUIRE(db);
    Statement statement(sql);
    Query query(*db, statement);
    REQUIRE(query.next());
    return query.number(0);
  }

  test::TemporaryFolder folder;
  std::string path;
  SchemaResult made;
  OrderWriter writer;
  int orders = 0;
};

}  // namespace

TEST_CASE("orders/event_writer: an order's event is committed with it, or not at all") {
  Store store;
  const std::string id = store.place({{"p2", 2, 0}, {"p1", 1, 0}});
  // Before the commit: the process dies with the order and the event.
  REQUIRE(store.writer.begin());
  CHECK(store.writer.place(new_order("lost", {{"p1", 1, 0}}), wall_now()));
  store.writer.rollback();
  REQUIRE(test::place(store.writer, new_order("refused", {{"p1", 99, 0}})));

  const std::vector<TakenEvent> taken = store.take();
  REQUIRE(taken.size() == 1);
  const Event& event = taken[0].event;
  CHECK(event.id == id + "-1");
  CHECK(event.type == "order.accepted");
  CHECK(event.request_id == "r1");
  CHECK(event.traceparent == "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  CHECK(event_problem(event) == "");
  CHECK(store.rows("SELECT count(*) FROM stock_ledger WHERE reason = 'order'") == 2);
  CHECK(store.totals().outbox == 1);
}

TEST_CASE(
    "orders/event_writer: accepted, paid, shipped: status, version and history move together") {
  Store store;
  const std::string id = store.place({{"p1", 3, 0}});
  CHECK(store.totals().stock[0].held == 3);
  CHECK(store.apply(store.next(), kPay).outcome == Outcome::moved);
  CHECK(store.totals().stock[0].held == 0);
  CHECK(store.totals().stock[0].sold == 3);
  const Event paid = store.next();
  CHECK(paid.id == id + "-2");
  CHECK(paid.type == "order.paid");
  CHECK(paid.request_id == "r1");
  CHECK(paid.traceparent != "");
  CHECK(event_problem(paid) == "");
  CHECK(store.apply(paid, kShip).outcome == Outcome::moved);
  CHECK(store.apply(store.next(), kEnd).outcome == Outcome::recorded);
  CHECK(store.take().empty());

  const Order order = store.order(id);
  CHECK(order.status == "shipped");
  CHECK(order.version == 3);
  REQUIRE(order.history.size() == 3);
  CHECK(order.history[1].state == "paid");
  CHECK(order.history[2].state == "shipped");
  CHECK(store.totals().stock[0].sold == 3);
  CHECK(store.rows("SELECT count(*) FROM inbox") == 3);
}

TEST_CASE("orders/event_writer: a failed order gives its units back, once") {
  Store store(4);
  const std::string id = store.place({{"p1", 3, 0}, {"p2", 1, 0}, {"p1", 1, 0}});
  const Event accepted = store.next();
  for (int i = 0; i < 3; ++i) {
    const Applied applied = store.apply(accepted, kFail);
    CHECK(applied.outcome == (i == 0 ? Outcome::moved : Outcome::duplicate));
    if (i > 0) continue;
    CHECK(applied.released == std::vector<OrderLine>{{"p1", 4, 0}, {"p2", 1, 0}});
    CHECK(applied.back_in_stock == std::vector<std::string>{"p1"});
  }
  CHECK(store.order(id).status == "failed");
  CHECK(store.order(id).version == 2);
  const Totals totals = store.totals();
  CHECK(totals.stock[0].available == 4);
  CHECK(totals.stock[1].available == 4);
  CHECK(store.rows("SELECT sum(delta) FROM stock_ledger WHERE reason = 'release'") == 5);
  CHECK(store.apply(store.next(), kEnd).outcome == Outcome::recorded);
}

TEST_CASE("orders/event_writer: each event three times in every order has its effect once") {
  // Versions 1, 2, 3 three times each, shuffled; what is too early comes again at the end.
  Random random(7);
  for (int round = 0; round < 30; ++round) {
    Store store;
    const std::string id = store.place();
    std::vector<Event> known = {store.next()};
    std::vector<int> plan = {1, 1, 1, 2, 2, 2, 3, 3, 3};
    for (size_t i = plan.size() - 1; i > 0; --i) std::swap(plan[i], plan[random.below(i + 1)]);
    int moved = 0, recorded = 0;
    for (size_t i = 0; i < plan.size() && plan.size() < 1000; ++i) {
      const auto index = static_cast<size_t>(plan[i]) - 1;
      if (index >= known.size()) {  // not written yet, so nobody can have it
        plan.push_back(plan[i]);
        continue;
      }
      const Handling handling{"c", std::string(next_status(known[index], 0))};
      const Outcome outcome = store.apply(known[index], handling).outcome;
      moved += outcome == Outcome::moved ? 1 : 0;
      recorded += outcome == Outcome::recorded ? 1 : 0;
      if (outcome == Outcome::moved) known.push_back(store.next());
    }
    CHECK(moved == 2);
    CHECK(recorded == 1);
    CHECK(store.order(id).status == "shipped");
    CHECK(store.order(id).history.size() == 3);
    CHECK(store.take().empty());
    CHECK(store.totals().stock[0].available == 9);
  }
}

TEST_CASE("orders/event_writer: a version older than the order's is refused, and stays so") {
  Store store;
  const std::string id = store.place();
  const Event accepted = store.next();
  CHECK(store.apply(accepted, kPay).outcome == Outcome::moved);
  CHECK(store.apply(store.next(), kShip).outcome == Outcome::moved);
  // Another job sees them for the first time: too late for the first two.
  CHECK(store.apply(accepted, {"other", "failed"}).outcome == Outcome::old);
  CHECK(store.apply(accepted, {"other", "failed"}).outcome == Outcome::duplicate);
  CHECK(store.order(id).status == "shipped");
  CHECK(store.totals().stock[0].available == 9);
}

TEST_CASE("orders/event_writer: an event without its order, or ahead of it, leaves no trace") {
  Store store;
  const std::string id = store.place();
  const Event accepted = store.next();
  Order order = store.order(id);
  order.version = 2;
  order.status = "paid";
  const Event ahead = make_event(order, {}, wall_now());
  CHECK(store.apply(ahead, kShip).outcome == Outcome::unknown);
  order.id = "no-such-order";
  CHECK(store.apply(make_event(order, {}, wall_now()), kShip).outcome == Outcome::unknown);
  CHECK(store.rows("SELECT count(*) FROM inbox") == 0);
  // When its time has come it is taken.
  CHECK(store.apply(accepted, kFail).outcome == Outcome::moved);
  CHECK(store.apply(ahead, kShip).outcome == Outcome::unknown);  // the order failed instead
  CHECK(store.order(id).status == "failed");
}

TEST_CASE("orders/event_writer: one of a group that fails leaves the others") {
  Store store;
  const std::string first = store.place(), second = store.place();
  const std::vector<TakenEvent> taken = store.take();
  REQUIRE(taken.size() == 2);
  Event unknown = taken[0].event;
  unknown.order_id = "none";
  REQUIRE(store.writer.begin());
  EventWriter& events = store.writer.events();
  CHECK(events.apply(taken[0].event, kPay, wall_now())->outcome == Outcome::moved);
  CHECK(events.apply(unknown, kPay, wall_now())->outcome == Outcome::duplicate);
  unknown.id = "none-1";
  CHECK(events.apply(unknown, kPay, wall_now())->outcome == Outcome::unknown);
  CHECK(events.apply(taken[1].event, kPay, wall_now())->outcome == Outcome::moved);
  REQUIRE(store.writer.commit());
  CHECK(store.order(first).status == "paid");
  CHECK(store.order(second).status == "paid");
  CHECK(store.rows("SELECT count(*) FROM inbox") == 2);
}

TEST_CASE("orders/event_writer: a leased event is nobody else's until the lease is over") {
  Store store;
  for (int i = 0; i < 3; ++i) store.place();
  const WallTime now = wall_now();
  const auto first = store.take(2, seconds(30), now);
  REQUIRE(first.size() == 2);
  CHECK(first[0].attempts == 1);
  CHECK(first[0].event.request_id == "r1");  // as they were written
  CHECK(first[1].event.request_id == "r2");
  const auto second = store.take(2, seconds(30), now + seconds(29));
  REQUIRE(second.size() == 1);
  CHECK(second[0].event.request_id == "r3");
  // The first taker died; one that had got as far as marking is not lost, but done.
  store.mark(first[0].event.id);
  const auto third = store.take(2, seconds(30), now + seconds(31));
  REQUIRE(third.size() == 1);
  CHECK(third[0].event.id == first[1].event.id);
  CHECK(third[0].attempts == 2);
  REQUIRE(store.writer.begin());
  CHECK(store.writer.events().give_back({third[0].event.id, "unknown"}, now + seconds(33)));
  REQUIRE(store.writer.commit());
  CHECK(store.take(1, seconds(30), now + seconds(32)).empty());
  CHECK(store.take(1, seconds(30), now + seconds(33)).size() == 1);
  CHECK(test::reader_on(store.path).has_unsent(now + seconds(62)).value());
  CHECK_FALSE(test::reader_on(store.path).has_unsent(now + seconds(40)).value());
}

TEST_CASE("orders/event_writer: the depth of the outbox and the age of its oldest event") {
  Store store;
  const WallTime now = wall_now();
  CHECK(test::reader_on(store.path).outbox_depth(now)->unsent == 0);
  store.place();
  store.place();
  const auto depth = test::reader_on(store.path).outbox_depth(now + seconds(60));
  REQUIRE(depth);
  CHECK(depth->unsent == 2);
  CHECK(depth->oldest_age > seconds(55));
  CHECK(depth->oldest_age < seconds(61));
  store.take();
  CHECK(test::reader_on(store.path).outbox_depth(now)->unsent == 2);  // leased is not sent
}

TEST_CASE("orders/event_writer: a parked event is kept with its reason, once") {
  Store store;
  const Event event = read_event("rubbish", {});
  for (const char* reason : {"first", "second"}) {
    REQUIRE(store.writer.begin());
    CHECK(store.writer.events().park(event, "c", reason, wall_now()));
    REQUIRE(store.writer.commit());
  }
  CHECK(store.totals().parked == 1);
  CHECK(store.rows("SELECT count(*) FROM parked WHERE reason = 'first' AND payload = 'rubbish'") ==
        1);
}

TEST_CASE("orders/event_writer: events that were sent a day ago are forgotten, others never") {
  Store store;
  store.place();
  store.place();
  const auto taken = store.take();
  store.mark(taken[0].event.id);
  const WallTime later = wall_now() + std::chrono::hours(25);
  CHECK(store.writer.events().forget_old_events(wall_now()));
  CHECK(store.rows("SELECT count(*) FROM outbox") == 2);
  CHECK(store.writer.events().forget_old_events(later));
  CHECK(store.rows("SELECT count(*) FROM outbox") == 1);
  CHECK(store.take(10, seconds(1), later).size() == 1);
}

TEST_CASE("orders/order_writer: a user has at most so many orders that did not fail") {
  Store store;
  const auto buy = [&](const char* key, const char* user) {
    NewOrder order = new_order(key, {{"p1", 1, 0}});
    order.user_id = user;
    order.user_limit = 2;
    const auto placed = test::place(store.writer, order);
    REQUIRE(placed);
    return placed->verdict;
  };
  CHECK(buy("a", "u1") == Verdict::accepted);
  CHECK(buy("b", "u1") == Verdict::accepted);
  CHECK(buy("c", "u1") == Verdict::user_limit);
  CHECK(buy("b", "u1") == Verdict::replayed);
  CHECK(buy("d", "u2") == Verdict::accepted);
  CHECK(store.totals().stock[0].available == 7);
  CHECK(store.apply(store.take()[0].event, kFail).outcome == Outcome::moved);
  CHECK(buy("c", "u1") == Verdict::accepted);
}

TEST_CASE("orders/order_writer: what was answered is stored with its status, 202 too") {
  Store store;
  NewOrder order = new_order("k", {{"p1", 1, 0}});
  order.reply_status = 202;
  CHECK(test::place(store.writer, order)->reply.status == 202);
  order.reply_status = 201;
  CHECK(test::place(store.writer, order)->reply.status == 202);
}
