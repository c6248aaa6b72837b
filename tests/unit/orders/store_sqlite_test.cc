#include "sluice/orders/sqlite/store_sqlite.h"

#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "sluice/base/log.h"
#include "sluice/orders/sqlite/job_queue.h"
#include "support.h"

using namespace sluice;
using namespace sluice::orders;
using test::new_order;
using test::run_until;

namespace {

struct Opened {
  explicit Opened(int64_t stock = 10) : path(folder.file("orders.db")) {
    OpenedStore opened = open_sqlite_store(loop, path, test::products(stock));
    REQUIRE(opened.problem == "");
    CHECK(opened.is_new);
    store = std::move(opened.store);
  }

  test::TemporaryFolder folder;
  std::string path;
  loop::Loop loop;
  std::unique_ptr<ShopStore> store;
};

struct Tally {
  int accepted = 0, replayed = 0, sold_out = 0, failed = 0;
  int all() const { return accepted + replayed + sold_out + failed; }
  void add(const Result<Placed>& result) {
    if (!result) {
      ++failed;
    } else if (result->verdict == Verdict::accepted) {
      ++accepted;
    } else if (result->verdict == Verdict::replayed) {
      ++replayed;
    } else {
      ++sold_out;
    }
  }
};

}  // namespace

TEST_CASE("orders/store_sqlite: answers come later, on the loop, once each") {
  Opened opened;
  bool has_products = false, has_order = false;
  std::string order_id;
  opened.store->place(new_order("k1", {{"p1", 2, 0}}), [&](Result<Placed> placed) {
    REQUIRE(placed);
    order_id = placed->reply.order_id;
  });
  CHECK(order_id == "");
  REQUIRE(run_until(opened.loop, [&] { return !order_id.empty(); }));
  opened.store->products([&](Result<std::vector<Product>> products) {
    REQUIRE(products);
    CHECK((*products)[0].stock == 8);
    CHECK_FALSE(has_products);
    has_products = true;
  });
  opened.store->order(order_id, [&](Result<std::optional<Order>> order) {
    REQUIRE(order);
    CHECK((*order)->id == order_id);
    has_order = true;
  });
  CHECK_FALSE(has_products);
  CHECK(run_until(opened.loop, [&] { return has_products && has_order; }));
  int answers = 0;
  opened.store->restock("p1", 5, [&](Result<std::optional<Product>> product) {
    CHECK((*product)->stock == 13);
    ++answers;
  });
  opened.store->restock("p9", 5, [&](Result<std::optional<Product>> product) {
    CHECK_FALSE(*product);
    ++answers;
  });
  opened.store->product("p2", [&](Result<std::optional<Product>> product) {
    CHECK((*product)->stock == 10);
    ++answers;
  });
  opened.store->ping([&](Result<Ok> pong) { answers += pong.has_value() ? 1 : 0; });
  opened.store->orders_of("u1", [&](Result<std::vector<Order>> orders) {
    CHECK(orders->size() == 1);
    ++answers;
  });
  CHECK(run_until(opened.loop, [&] { return answers == 5; }));
  CHECK(opened.store->text() == "sqlite:" + opened.path);
}

TEST_CASE("orders/store_sqlite: orders at once are committed in groups, and none too many") {
  constexpr int kStock = 100, kOrders = 1000;
  Opened opened(kStock);
  Tally tally;
  for (int i = 0; i < kOrders; ++i) {
    opened.store->place(new_order(fmt::format("k{}", i), {{"p1", 1, 0}}),
                        [&](Result<Placed> placed) { tally.add(placed); });
  }
  REQUIRE(run_until(opened.loop, [&] { return tally.all() == kOrders; }));
  CHECK(tally.accepted == kStock);
  CHECK(tally.sold_out == kOrders - kStock);
  CHECK(opened.store->queue_depth() == 0);
  std::optional<Totals> totals;
  opened.store->totals([&](Result<Totals> result) { totals = *std::move(result); });
  REQUIRE(run_until(opened.loop, [&] { return totals.has_value(); }));
  REQUIRE(totals->orders.size() == 1);
  CHECK(totals->orders[0] == std::pair<std::string, int64_t>("accepted", kStock));
  CHECK(totals->stock[0].available == 0);
  CHECK(totals->stock[0].held == kStock);
}

TEST_CASE("orders/store_sqlite: three processes on one file sell exactly N") {
  constexpr int kStock = 50, kProcesses = 3, kOrders = 100;
  test::TemporaryFolder folder;
  const std::string path = folder.file("orders.db");
  std::vector<pid_t> children;
  for (int i = 0; i < kProcesses; ++i) {
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      Tally tally;
      {
        loop::Loop loop;
        OpenedStore opened = open_sqlite_store(loop, path, test::products(kStock));
        if (opened.store == nullptr) _exit(101);
        for (int n = 0; n < kOrders; ++n) {
          opened.store->place(new_order(fmt::format("{}-{}", i, n), {{"p1", 1, 0}}),
                              [&](Result<Placed> placed) { tally.add(placed); });
        }
        if (!run_until(loop, [&] { return tally.all() == kOrders; })) _exit(102);
      }
      _exit(tally.failed > 0 ? 103 : tally.accepted);
    }
    children.push_back(child);
  }
  int sold = 0;
  for (pid_t child : children) {
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    REQUIRE(WEXITSTATUS(status) <= kStock);
    sold += WEXITSTATUS(status);
  }
  CHECK(sold == kStock);
  const auto totals = test::reader_on(path).totals();
  CHECK(totals->stock[0].available == 0);
  CHECK(totals->stock[0].drift() == 0);
}

TEST_CASE("orders/store_sqlite: that it is sold out is said while others write") {
  Opened opened;
  Tally tally;
  const auto sold_out = [&](const char* key) {
    const int before = tally.sold_out;
    opened.store->place(new_order(key, {{"p1", 1'000'000, 0}}),
                        [&](Result<Placed> placed) { tally.add(placed); });
    return run_until(opened.loop, [&] { return tally.sold_out > before || tally.failed > 0; }) &&
           tally.failed == 0;
  };
  CHECK(sold_out("k1"));
  OrderWriter holder = test::writer_on(opened.path);
  REQUIRE(holder.begin());
  CHECK(sold_out("k2"));
  holder.rollback();
}

TEST_CASE("orders/store_sqlite: a database that others hold is waited for, then it is busy") {
  Opened opened;
  OrderWriter holder = test::writer_on(opened.path);
  REQUIRE(holder.begin());
  Tally tally;
  bool has_read = false;
  const TimePoint begin = monotonic_now();
  opened.store->place(new_order("k1", {{"p1", 1, 0}}), [&](Result<Placed> placed) {
    CHECK(placed.error().code() == Errc::kQueueTimeout);
    CHECK(monotonic_now() - begin >= OrderStore::kPatience);
    tally.add(placed);
  });
  // Reads are not held up.
  opened.store->products([&](Result<std::vector<Product>> products) {
    CHECK(products);
    CHECK(tally.all() == 0);
    has_read = true;
  });
  REQUIRE(run_until(opened.loop, [&] { return tally.all() == 1; }));
  CHECK(has_read);
  // One that comes while it is held is served when it is let go.
  opened.store->place(new_order("k1", {{"p1", 1, 0}}),
                      [&](Result<Placed> placed) { tally.add(placed); });
  holder.rollback();
  REQUIRE(run_until(opened.loop, [&] { return tally.all() == 2; }));
  CHECK(tally.accepted == 1);
}

TEST_CASE("orders/store_sqlite: nobody is answered after the store is gone") {
  Opened opened;
  OrderWriter holder = test::writer_on(opened.path);
  REQUIRE(holder.begin());
  const TimePoint begin = monotonic_now();
  for (int i = 0; i < 10; ++i) {
    opened.store->place(new_order(fmt::format("k{}", i), {{"p1", 1, 0}}),
                        [](Result<Placed>) { FAIL("answered"); });
    opened.store->products([](Result<std::vector<Product>>) { FAIL("answered"); });
  }
  opened.store.reset();  // does not wait until the writer has given up
  CHECK(monotonic_now() - begin < OrderStore::kPatience);
  for (int i = 0; i < 10; ++i) opened.loop.run_once(false);
}

TEST_CASE("orders/store_sqlite: a database that cannot be used is one line") {
  test::TemporaryFolder folder;
  loop::Loop loop;
  const auto problem = [&](const std::string& path) {
    return open_sqlite_store(loop, path, test::products(1)).problem;
  };
  const std::string nowhere = folder.file("nowhere/orders.db");
  CHECK(problem(nowhere) == "cannot use the database " + nowhere + ": No such file or directory");
  const std::string is_folder = folder.file("");
  CHECK(problem(is_folder).find('\n') == std::string::npos);
  CHECK(problem(is_folder).starts_with("cannot use the database " + is_folder + ": "));
}

TEST_CASE("orders/store_sqlite: a database that breaks under way is an error, and heals") {
  Opened opened;
  std::optional<Error> error;
  const auto place = [&](const char* key) {
    error.reset();
    opened.store->place(new_order(key, {{"p1", 1, 0}}),
                        [&](Result<Placed> placed) { error = placed.error(); });
    REQUIRE(run_until(opened.loop, [&] { return error.has_value(); }));
    return error->code();
  };
  auto db = Database::open(opened.path, Database::Mode::create);
  REQUIRE(db->run("ALTER TABLE order_items RENAME TO gone"));
  set_log_level(LogLevel::off);
  CHECK(place("k1") == Errc::kSystem);
  set_log_level(LogLevel::info);
  REQUIRE(db->run("ALTER TABLE gone RENAME TO order_items"));
  CHECK(place("k1") == Errc::kNone);
  // What had been taken for the failed order was put back.
  CHECK((*test::reader_on(opened.path).product("p1"))->stock == 9);
}

TEST_CASE("orders/job_queue: it has room for so many, and gives up what waited too long") {
  JobQueue queue(3);
  const auto job = [](int64_t deadline_s) {
    return std::make_unique<CallJob<Ok>>(
        TimePoint(std::chrono::seconds(deadline_s)), [] { return Result<Ok>(Ok{}); },
        [](Result<Ok>) {});
  };
  for (int64_t deadline : {10, 20, 30}) CHECK(queue.push(job(deadline)) == nullptr);
  CHECK(queue.push(job(40)) != nullptr);
  CHECK(queue.size() == 3);
  CHECK(queue.wait());
  CHECK(queue.first_deadline() == TimePoint(std::chrono::seconds(10)));
  CHECK(queue.take_expired(TimePoint(std::chrono::seconds(20))).size() == 2);
  CHECK(queue.take_expired(TimePoint(std::chrono::seconds(20))).empty());
  CHECK(queue.take(10).size() == 1);
  CHECK(queue.size() == 0);
  CHECK(queue.pause(std::chrono::nanoseconds(1)));
  queue.stop();
  CHECK_FALSE(queue.wait());
  CHECK_FALSE(queue.pause(std::chrono::hours(1)));
}
