#include "sluice/orders/sqlite/order_writer.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <thread>

#include "sluice/orders/order_id.h"
#include "support.h"

using namespace sluice;
using namespace sluice::orders;
using test::new_order;

namespace {

struct Store {
  explicit Store(int64_t stock = 10) : path(folder.file("orders.db")) {
    const SchemaResult made = test::prepare(path, test::products(stock));
    REQUIRE(made.problem == "");
    REQUIRE(made.is_new);
  }
  Totals totals() {
    auto totals = test::reader_on(path).totals();
    REQUIRE(totals);
    return *std::move(totals);
  }
  int64_t order_count() {
    int64_t count = 0;
    for (const auto& [state, orders] : totals().orders) count += orders;
    return count;
  }

  test::TemporaryFolder folder;
  std::string path;
};

// What one buyer of the tests below got.
struct Tally {
  int sold = 0, sold_out = 0, other = 0;
};

Tally buy(const std::string& path, int tries) {
  Tally tally;
  OrderWriter writer = test::writer_on(path);
  for (int i = 0; i < tries; ++i) {
    auto placed = test::place(writer, new_order(make_order_id(wall_now()), {{"p1", 1, 0}}));
    if (!placed) {
      ++tally.other;
    } else if (placed->verdict == Verdict::accepted) {
      ++tally.sold;
    } else if (placed->verdict == Verdict::sold_out) {
      ++tally.sold_out;
    } else {
      ++tally.other;
    }
  }
  return tally;
}

// Runs `body` in a child process; the result of wait_all() is whether all exited with 0.
class Children {
 public:
  template <typename Body>
  void start(Body&& body) {
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      body();
      _exit(0);
    }
    children_.push_back(child);
  }
  bool wait_all() {
    bool good = true;
    for (pid_t child : children_) {
      int status = 0;
      good &= waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }
    children_.clear();
    return good;
  }

 private:
  std::vector<pid_t> children_;
};

}  // namespace

TEST_CASE("orders/order_writer: an order takes its stock and can be read") {
  Store store;
  OrderWriter writer = test::writer_on(store.path);
  const WallTime now{std::chrono::milliseconds(1'769'860'800'123)};
  auto placed =
      test::place(writer, new_order("k1", {{"p2", 3, 0}, {"p1", 1, 0}, {"p2", 1, 0}}), now);
  REQUIRE(placed);
  CHECK(placed->verdict == Verdict::accepted);
  CHECK(placed->reply.status == 201);
  CHECK(placed->reply.sold_out.empty());

  OrderReader reader = test::reader_on(store.path);
  auto order = reader.order(placed->reply.order_id);
  REQUIRE(order);
  REQUIRE(*order);
  CHECK((*order)->user_id == "u1");
  CHECK((*order)->status == "accepted");
  CHECK((*order)->total_cents == 4 * 799 + 1299);
  CHECK((*order)->lines == std::vector<OrderLine>{{"p2", 3, 799}, {"p1", 1, 1299}, {"p2", 1, 799}});
  REQUIRE((*order)->history.size() == 1);
  CHECK((*order)->history[0].at == now);
  auto product = reader.product("p2");
  REQUIRE(product);
  CHECK((*product)->stock == 6);
  CHECK(reader.orders_of("u1", 10)->size() == 1);
  CHECK(reader.orders_of("u2", 10)->empty());
  CHECK_FALSE(*reader.order("none"));
  CHECK_FALSE(*reader.product("none"));
}

TEST_CASE("orders/order_writer: an order is met whole or changes nothing") {
  Store store;
  OrderWriter writer = test::writer_on(store.path);
  // p1 comes first and is there; p2 is not.
  auto placed = test::place(writer, new_order("k1", {{"p2", 11, 0}, {"p1", 5, 0}}));
  REQUIRE(placed);
  CHECK(placed->verdict == Verdict::sold_out);
  CHECK(placed->product_id == "p2");
  CHECK(placed->requested == 11);
  CHECK(placed->available == 10);
  // Two lines that fit alone but not together.
  placed = test::place(writer, new_order("k2", {{"p1", 6, 0}, {"p1", 5, 0}}));
  CHECK(placed->verdict == Verdict::sold_out);
  placed = test::place(writer, new_order("k3", {{"p1", 1, 0}, {"p9", 1, 0}}));
  CHECK(placed->verdict == Verdict::unknown_product);
  CHECK(placed->product_id == "p9");
  CHECK(store.order_count() == 0);
  for (const StockTotals& stock : store.totals().stock) {
    CHECK(stock.available == 10);
    CHECK(stock.held == 0);
  }
  // A refusal does not use up its key.
  placed = test::place(writer, new_order("k1", {{"p1", 1, 0}}));
  CHECK(placed->verdict == Verdict::accepted);
}

TEST_CASE("orders/order_writer: an order between others of its group fails alone") {
  Store store;
  OrderWriter writer = test::writer_on(store.path);
  REQUIRE(writer.begin());
  CHECK(writer.place(new_order("k1", {{"p1", 4, 0}}), wall_now())->verdict == Verdict::accepted);
  CHECK(writer.place(new_order("k2", {{"p1", 1, 0}, {"p2", 11, 0}}), wall_now())->verdict ==
        Verdict::sold_out);
  CHECK(writer.place(new_order("k1", {{"p1", 4, 0}}), wall_now())->verdict == Verdict::replayed);
  CHECK(writer.place(new_order("k3", {{"p1", 6, 0}}), wall_now())->verdict == Verdict::accepted);
  REQUIRE(writer.commit());
  CHECK(store.order_count() == 2);
  CHECK(store.totals().stock[0].available == 0);
  CHECK(store.totals().stock[1].available == 10);
}

TEST_CASE("orders/order_writer: who takes the last unit is told, and is told so again") {
  Store store;
  OrderWriter writer = test::writer_on(store.path);
  auto placed = test::place(writer, new_order("k1", {{"p2", 10, 0}, {"p1", 10, 0}}));
  CHECK(placed->reply.sold_out == std::vector<std::string>{"p1", "p2"});
  placed = test::place(writer, new_order("k1", {{"p2", 10, 0}, {"p1", 10, 0}}));
  CHECK(placed->verdict == Verdict::replayed);
  CHECK(placed->reply.sold_out == std::vector<std::string>{"p1", "p2"});
}

TEST_CASE("orders/order_writer: a key is answered once and replayed for its life (draft 2.6)") {
  Store store;
  OrderWriter writer = test::writer_on(store.path);
  const NewOrder order = new_order("k1", {{"p1", 1, 0}});
  const WallTime now = wall_now();
  const auto life = std::chrono::duration_cast<WallTime::duration>(kKeyLife);
  const auto first = test::place(writer, order, now);
  const auto again = test::place(writer, order, now + life - std::chrono::seconds(1));
  CHECK(again->verdict == Verdict::replayed);
  CHECK(again->reply.body == first->reply.body);
  CHECK(again->reply.status == first->reply.status);
  CHECK(again->reply.order_id == first->reply.order_id);
  CHECK(test::place(writer, new_order("k1", {{"p1", 2, 0}}), now)->verdict == Verdict::key_reused);
  CHECK(store.order_count() == 1);
  CHECK(store.totals().stock[0].available == 9);
  // After its life it is as good as new, whether it was cleared away or not.
  const auto later = test::place(writer, order, now + life);
  CHECK(later->verdict == Verdict::accepted);
  CHECK(later->reply.order_id != first->reply.order_id);
  CHECK(writer.forget_old_keys(now + 3 * life));
  CHECK(test::place(writer, order, now)->verdict == Verdict::accepted);
  CHECK(store.order_count() == 3);
}

TEST_CASE("orders/order_writer: SQL in every field is data") {
  Store store;
  OrderWriter writer = test::writer_on(store.path);
  const std::string sql = "'; DROP TABLE orders; UPDATE stock SET available = 99; --";
  NewOrder order = new_order(sql, {{"p1", 1, 0}});
  order.user_id = sql;
  const auto placed = test::place(writer, order);
  REQUIRE(placed);
  CHECK(placed->verdict == Verdict::accepted);
  CHECK(test::place(writer, new_order("k", {{sql, 1, 0}}))->verdict == Verdict::unknown_product);
  CHECK_FALSE(*writer.restock(sql, 1, wall_now()));
  OrderReader reader = test::reader_on(store.path);
  CHECK_FALSE(*reader.order(sql));
  CHECK_FALSE(*reader.product(sql));
  const auto orders = reader.orders_of(sql, 10);
  REQUIRE(orders);
  REQUIRE(orders->size() == 1);
  CHECK((*orders)[0].user_id == sql);
  CHECK(store.totals().stock[0].available == 9);
}

TEST_CASE("orders/order_writer: a restock adds stock of a product that there is") {
  Store store;
  OrderWriter writer = test::writer_on(store.path);
  CHECK(test::place(writer, new_order("k1", {{"p1", 10, 0}}))->verdict == Verdict::accepted);
  auto product = writer.restock("p1", 5, wall_now());
  REQUIRE(product);
  CHECK(**product == Product{"p1", "Coffee mug", 1299, 5});
  CHECK_FALSE(*writer.restock("p9", 5, wall_now()));
  CHECK(test::place(writer, new_order("k2", {{"p1", 5, 0}}))->verdict == Verdict::accepted);
  const StockTotals stock = store.totals().stock[0];
  CHECK(stock.supplied == 15);
  CHECK(stock.held == 15);
  CHECK(stock.drift() == 0);
}

TEST_CASE("orders/order_writer: the database itself refuses stock below zero") {
  Store store;
  auto db = Database::open(store.path, Database::Mode::create);
  REQUIRE(db);
  const Status done = db->run("UPDATE stock SET available = available - 11");
  CHECK_FALSE(done);
  CHECK((done.error().sys() & 0xFF) == SQLITE_CONSTRAINT);
}

TEST_CASE("orders/order_writer: a writer that finds the database taken says busy at once") {
  Store store;
  OrderWriter first = test::writer_on(store.path);
  OrderWriter second = test::writer_on(store.path);
  REQUIRE(first.begin());
  const Status begun = second.begin();
  CHECK_FALSE(begun);
  CHECK(is_busy(begun.error()));
  CHECK_FALSE(second.database().is_in_transaction());
  // Readers go on meanwhile, with what is committed.
  CHECK(first.place(new_order("k1", {{"p1", 1, 0}}), wall_now()));
  CHECK((*test::reader_on(store.path).product("p1"))->stock == 10);
  first.rollback();
  CHECK(second.begin());
  CHECK(second.commit());
}

TEST_CASE("orders/sqlite_db: busy is tried again until the deadline, other errors are not") {
  Random random(1);
  int calls = 0;
  Duration slept{0};
  const auto wait = [&](Duration time) {
    CHECK(time > Duration(0));
    CHECK(time <= std::chrono::milliseconds(20));
    slept += time;
    return true;
  };
  const auto busy = [&]() -> Status {
    return ++calls < 5 ? Status(sqlite_error(SQLITE_BUSY)) : Status(Ok{});
  };
  CHECK(retry_busy({monotonic_now() + std::chrono::hours(1), wait}, random, busy));
  CHECK(calls == 5);
  CHECK(slept > Duration(0));

  calls = 0;
  const Status late = retry_busy({monotonic_now(), wait}, random, busy);
  CHECK(is_busy(late.error()));
  CHECK(calls == 1);

  calls = 0;
  const Status stopped = retry_busy(
      {monotonic_now() + std::chrono::hours(1), [](Duration) { return false; }}, random, busy);
  CHECK(is_busy(stopped.error()));
  CHECK(calls == 1);

  calls = 0;
  const Status broken = retry_busy({monotonic_now() + std::chrono::hours(1), wait}, random, [&] {
    ++calls;
    return Status(sqlite_error(SQLITE_IOERR));
  });
  CHECK(broken.error().code() == Errc::kSystem);
  CHECK(calls == 1);
}

TEST_CASE("orders/order_writer: threads with connections of their own sell exactly N") {
  constexpr int kStock = 40, kBuyers = 4, kTries = 25;
  Store store(kStock);
  std::array<Tally, kBuyers> tallies;
  std::vector<std::thread> threads;
  for (Tally& tally : tallies) {
    threads.emplace_back([&] { tally = buy(store.path, kTries); });
  }
  for (std::thread& thread : threads) thread.join();
  Tally all;
  for (const Tally& tally : tallies) {
    all.sold += tally.sold;
    all.sold_out += tally.sold_out;
    all.other += tally.other;
  }
  CHECK(all.sold == kStock);
  CHECK(all.sold_out == kBuyers * kTries - kStock);
  CHECK(all.other == 0);
  CHECK(store.order_count() == kStock);
  CHECK(store.totals().stock[0].available == 0);
  CHECK(store.totals().stock[0].drift() == 0);
}

TEST_CASE("orders/order_writer: processes sell exactly N, also when some are killed") {
  constexpr int kStock = 60;
  Store store(kStock);
  Children buyers;
  for (int i = 0; i < 3; ++i) {
    buyers.start([&] { _exit(buy(store.path, 40).other == 0 ? 0 : 1); });
  }
  // These die in the middle of a transaction, and one with its order uncommitted.
  Children killed;
  for (int i = 0; i < 3; ++i) {
    killed.start([&] {
      OrderWriter writer = test::writer_on(store.path);
      Random random;
      const Status begun = retry_busy(test::patience(), random, [&] { return writer.begin(); });
      if (begun) static_cast<void>(writer.place(new_order("killed", {{"p1", 50, 0}}), wall_now()));
      kill(getpid(), SIGKILL);
    });
  }
  CHECK(buyers.wait_all());
  CHECK_FALSE(killed.wait_all());
  CHECK(store.order_count() == kStock);
  CHECK(store.totals().stock[0].available == 0);
  CHECK(store.totals().stock[0].drift() == 0);
}

TEST_CASE("orders/order_writer: orders with products in opposite order do not deadlock") {
  Store store(30);
  Children buyers;
  for (int i = 0; i < 2; ++i) {
    buyers.start([&, i] {
      OrderWriter writer = test::writer_on(store.path);
      const std::vector<OrderLine> lines = i == 0
                                               ? std::vector<OrderLine>{{"p1", 1, 0}, {"p2", 1, 0}}
                                               : std::vector<OrderLine>{{"p2", 1, 0}, {"p1", 1, 0}};
      for (int n = 0; n < 15; ++n) {
        auto placed = test::place(writer, new_order(make_order_id(wall_now()), lines));
        if (!placed || placed->verdict != Verdict::accepted) _exit(1);
      }
    });
  }
  CHECK(buyers.wait_all());
  CHECK(store.order_count() == 30);
  CHECK(store.totals().stock[0].available == 0);
  CHECK(store.totals().stock[1].available == 0);
}

TEST_CASE("orders/order_writer: one key used by several processes at once is one order") {
  Store store;
  Children buyers;
  for (int i = 0; i < 4; ++i) {
    buyers.start([&] {
      OrderWriter writer = test::writer_on(store.path);
      auto placed = test::place(writer, new_order("the-key", {{"p1", 1, 0}}));
      const bool good =
          placed && (placed->verdict == Verdict::accepted || placed->verdict == Verdict::replayed);
      _exit(good ? 0 : 1);
    });
  }
  CHECK(buyers.wait_all());
  CHECK(store.order_count() == 1);
  CHECK(store.totals().stock[0].available == 9);
}
