#include "sluice/orders/postgres/store_postgres.h"

#include <fmt/format.h>

#include <set>
#include <thread>

#include "pg_support.h"
#include "sluice/base/log.h"
#include "sluice/orders/event.h"
#include "sluice/orders/postgres/pg_schema.h"

using namespace sluice;
using namespace sluice::orders;
using test::new_order;
using test::PgDatabase;
using test::PgStore;
using test::Quiet;
using test::run_until;

namespace {

struct Tally {
  int accepted = 0, replayed = 0, sold_out = 0, failed = 0;
  std::set<std::string> ids;  // of accepted and replayed ones
  int all() const { return accepted + replayed + sold_out + failed; }
  void add(const Result<Placed>& placed) {
    if (!placed) {
      ++failed;
      return;
    }
    if (placed->verdict == Verdict::sold_out) ++sold_out;
    if (placed->verdict == Verdict::accepted) ++accepted;
    if (placed->verdict == Verdict::replayed) ++replayed;
    if (!placed->reply.order_id.empty()) ids.insert(placed->reply.order_id);
  }
};

PgAddress address_of(const std::string& url) { return parse_pg_url(url).address; }

}  // namespace

TEST_CASE("orders/store_postgres: orders at once share transactions, and none is too many") {
  constexpr int kStock = 300, kOrders = 1000;
  PgDatabase database;
  PgStore shop(database, kStock);
  Tally tally;
  for (int i = 0; i < kOrders; ++i) {
    shop.store->place(new_order(fmt::format("k{}", i), {{"p1", 1, 0}}),
                      [&](Result<Placed> placed) { tally.add(placed); });
  }
  CHECK(shop.store->queue_depth() > 0);
  REQUIRE(run_until(shop.loop, [&] { return tally.all() == kOrders; }));
  CHECK(tally.accepted == kStock);
  CHECK(tally.sold_out == kOrders - kStock);
  CHECK(shop.store->queue_depth() == 0);
  // A transaction writes the rows of all its orders with one number.
  CHECK(database.number("SELECT count(DISTINCT xmin::text) FROM orders") < kStock / 10);
  CHECK(database.number("SELECT count(*) FROM orders") == kStock);
}

TEST_CASE("orders/store_postgres: more calls than there is room for are refused at once") {
  PgDatabase database;
  PgStore shop(database, 100'000);
  int full = 0, others = 0;
  for (int i = 0; i < 6000; ++i) {
    shop.store->product("p1", [&](Result<std::optional<Product>> product) {
      ++(product.error().code() == Errc::kQueueFull ? full : others);
    });
  }
  REQUIRE(run_until(shop.loop, [&] { return full + others == 6000; }));
  CHECK(full >= 6000 - 4096 - 4);
  CHECK(others >= 4096);
}

TEST_CASE("orders/store_postgres: one order that cannot be written does not spoil its group") {
  PgDatabase database;
  PgStore shop(database, 10);
  Quiet quiet;
  Tally good;
  std::optional<Error> bad;
  database.sql("ALTER TABLE orders ADD CHECK (user_id <> 'bad')");
  // The first goes alone; the others make a group.
  for (int i = 0; i < 5; ++i) {
    NewOrder order = new_order(fmt::format("k{}", i), {{"p1", 1, 0}});
    if (i == 3) {
      order.user_id = "bad";
      shop.store->place(order, [&](Result<Placed> placed) { bad = placed.error(); });
    } else {
      shop.store->place(order, [&](Result<Placed> placed) { good.add(placed); });
    }
  }
  REQUIRE(run_until(shop.loop, [&] { return good.all() == 4 && bad; }));
  CHECK(good.accepted == 4);
  CHECK(bad->code() == Errc::kSystem);
  CHECK(database.number("SELECT available FROM stock WHERE product_id = 'p1'") == 6);
}

TEST_CASE("orders/store_postgres: the database itself refuses stock below zero") {
  PgDatabase database;
  PgStore shop(database, 10);
  CHECK_THROWS_AS(database.sql("UPDATE stock SET available = -1"), e2e::Failure);
  CHECK_THROWS_AS(database.sql("UPDATE stock SET available = supplied + 1"), e2e::Failure);
}

TEST_CASE("orders/store_postgres: who holds the rows is waited for, then the database is busy") {
  PgDatabase database;
  PgStore shop(database, 10);
  Quiet quiet;
  std::thread holder(
      [&] { database.sql("BEGIN; SELECT 1 FROM stock FOR UPDATE; SELECT pg_sleep(4)"); });
  REQUIRE(run_until(shop.loop, [&] {
    return database.number(
               "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%stock FOR "
               "UPDATE%' AND wait_event = 'PgSleep' AND pid <> pg_backend_pid()") > 0;
  }));
  const TimePoint begin = monotonic_now();
  const auto placed = shop.place(new_order("k1", {{"p1", 1, 0}}));
  CHECK(placed.error().code() == Errc::kQueueTimeout);
  CHECK(monotonic_now() - begin < 2 * OrderStore::kPatience);
  holder.join();
  CHECK(shop.place(new_order("k1", {{"p1", 1, 0}}))->verdict == Verdict::accepted);
  CHECK(database.number("SELECT count(*) FROM orders") == 1);
}

TEST_CASE("orders/store_postgres: a database that breaks under way is an error, and heals") {
  PgDatabase database;
  PgStore shop(database, 10);
  Quiet quiet;
  CHECK(shop.place(new_order("k0", {{"p1", 1, 0}})));
  database.sql("ALTER TABLE order_items RENAME TO gone");
  CHECK(shop.place(new_order("k1", {{"p1", 1, 0}})).error().code() == Errc::kSystem);
  database.sql("ALTER TABLE gone RENAME TO order_items");
  CHECK(shop.place(new_order("k1", {{"p1", 1, 0}})));
  CHECK(database.number("SELECT available FROM stock WHERE product_id = 'p1'") == 8);
}

TEST_CASE("orders/store_postgres: conflicts of serializable transactions are tried again") {
  PgDatabase database;
  PgStore one(database, 1000, "&isolation=serializable");
  CHECK(database.server.sql("postgres", "SELECT 1") == "1");
  OpenedStore two = open_postgres_store(one.loop, database.url("&isolation=serializable"), {});
  REQUIRE(two.problem == "");
  Tally tally;
  for (int i = 0; i < 400; ++i) {
    ShopStore& store = i % 2 == 0 ? *one.store : *two.store;
    store.place(new_order(fmt::format("k{}", i), {{"p1", 1, 0}, {"p2", 1, 0}}),
                [&](Result<Placed> placed) { tally.add(placed); });
    if (i % 8 == 0) one.loop.run_once(false);
  }
  REQUIRE(run_until(one.loop, [&] { return tally.all() == 400; }));
  CHECK(tally.accepted == 400);
  CHECK(database.server.log().find("could not serialize access") != std::string::npos);
  CHECK(one.totals().stock[0].available == 600);
}

TEST_CASE("orders/store_postgres: a server that hangs is an error by the deadline, then it heals") {
  e2e::Postgres server;
  PgDatabase database(server);
  PgStore shop(database, 10);
  shop.await_up();
  Quiet quiet;
  server.freeze();
  const TimePoint begin = monotonic_now();
  CHECK(shop.place(new_order("k1", {{"p1", 1, 0}})).error().code() == Errc::kSystem);
  CHECK_FALSE(shop.get<Ok>([&](auto a) { shop.store->ping(a); }));
  CHECK(monotonic_now() - begin < 4 * OrderStore::kPatience);
  server.thaw();
  shop.await_up();
  // Whether it was written: the same key finds out.
  const auto placed = shop.place(new_order("k1", {{"p1", 1, 0}}));
  REQUIRE(placed);
  CHECK(database.number("SELECT count(*) FROM orders") == 1);
  CHECK(database.number("SELECT available FROM stock WHERE product_id = 'p1'") == 9);
}

TEST_CASE("orders/store_postgres: killed in the middle, nothing is lost and nothing doubled") {
  constexpr int kStock = 400;
  e2e::Postgres server;
  PgDatabase database(server);
  PgStore shop(database, kStock);
  Quiet quiet;
  Tally tally;
  std::set<std::string> acknowledged;
  std::vector<std::string> unsure;
  int asked = 0;
  const auto buy = [&](const std::string& key) {
    ++asked;
    shop.store->place(new_order(key, {{"p1", 1, 0}}), [&, key](Result<Placed> placed) {
      if (placed && !placed->reply.order_id.empty()) acknowledged.insert(placed->reply.order_id);
      if (!placed) unsure.push_back(key);
      tally.add(placed);
    });
  };
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 100; ++i) buy(fmt::format("{}-{}", round, i));
    const int before = tally.accepted;
    REQUIRE(run_until(shop.loop, [&] { return tally.accepted > before || tally.all() == asked; }));
    server.kill();
    server.start();
    REQUIRE(run_until(shop.loop, [&] { return tally.all() == asked; }));
  }
  shop.await_up();
  for (int tries = 0; !unsure.empty() && tries < 5; ++tries) {
    for (const std::string& key : std::exchange(unsure, {})) buy(key);
    REQUIRE(run_until(shop.loop, [&] { return tally.all() == asked; }));
  }
  CHECK(unsure.empty());
  CHECK(acknowledged.size() == 300);
  CHECK(database.number("SELECT count(*) FROM orders") == 300);
  CHECK(database.number("SELECT count(*) FROM outbox") == 300);
  const Totals totals = shop.totals();
  CHECK(totals.stock[0].available == kStock - 300);
  CHECK(totals.stock[0].drift() == 0);
  CHECK(totals.stock[0].ledger_drift() == 0);
}

TEST_CASE("orders/store_postgres: without a server calls fail soon, and it comes back by itself") {
  e2e::Postgres server;
  PgDatabase database(server);
  PgStore shop(database, 10);
  shop.await_up();
  Quiet quiet;
  server.stop();
  // At first they wait for it to come back; later they are told at once.
  REQUIRE(run_until(shop.loop, [&] {
    const TimePoint begin = monotonic_now();
    const auto found = shop.get<Ok>([&](auto a) { shop.store->ping(a); });
    CHECK_FALSE(found);
    CHECK(found.error().code() == Errc::kSystem);
    return monotonic_now() - begin < std::chrono::milliseconds(100);
  }));
  server.start();
  shop.await_up();
  CHECK(shop.place(new_order("k1", {{"p1", 1, 0}})));
}

TEST_CASE("orders/store_postgres: a server that has no more connections is lived with") {
  e2e::Postgres server({"max_connections=6", "superuser_reserved_connections=0"});
  PgDatabase database(server);
  PgStore shop(database, 10, "&connections=3");
  shop.await_up();
  Quiet quiet;
  OpenedStore second = open_postgres_store(shop.loop, database.url("&connections=8"), {});
  REQUIRE(second.problem == "");
  Tally tally;
  for (int i = 0; i < 50; ++i) {
    (i % 2 == 0 ? *shop.store : *second.store)
        .place(new_order(fmt::format("k{}", i), {{"p1", 1, 0}}),
               [&](Result<Placed> placed) { tally.add(placed); });
  }
  REQUIRE(run_until(shop.loop, [&] { return tally.all() == 50; }));
  CHECK(tally.accepted == 10);
  CHECK(tally.sold_out == 40);
}

TEST_CASE("orders/store_postgres: nobody is answered after the store is gone") {
  PgDatabase database;
  PgStore shop(database, 10);
  shop.await_up();
  for (int i = 0; i < 10; ++i) {
    shop.store->place(new_order(fmt::format("k{}", i), {{"p1", 1, 0}}),
                      [](Result<Placed>) { FAIL("answered"); });
    shop.store->products([](Result<std::vector<Product>>) { FAIL("answered"); });
    shop.store->totals([](Result<Totals>) { FAIL("answered"); });
  }
  shop.store.reset();
  for (int i = 0; i < 10; ++i) shop.loop.run_once(false);
}

TEST_CASE("orders/store_postgres: a database that cannot be used is one line, without a password") {
  loop::Loop loop;
  e2e::Postgres& server = test::postgres();
  PgDatabase database;
  const auto problem = [&](const std::string& url) {
    const std::string text = open_postgres_store(loop, url, {}).problem;
    CHECK(text.starts_with("cannot use the database"));
    CHECK(text.find('\n') == std::string::npos);
    CHECK(text.find(e2e::Postgres::kPassword) == std::string::npos);
    CHECK(text.find(e2e::Postgres::kPasswordInUrl) == std::string::npos);
    return text;
  };
  CHECK(problem(server.url("nowhere")).find("does not exist") != std::string::npos);
  CHECK(problem("postgres://shop:wrong@127.0.0.1:" + std::to_string(server.port()) + "/postgres")
            .find("password authentication failed") != std::string::npos);
  database.sql("CREATE TABLE stock (x int)");
  CHECK(problem(database.url()).ends_with("it holds tables of another program"));
  PgDatabase newer;
  PgStore shop(newer, 1);
  newer.sql("INSERT INTO schema_version VALUES (99)");
  CHECK(
      problem(newer.url()).ends_with("its tables are of version 99, this program knows version 2"));
  CHECK(shop.store->text().find(e2e::Postgres::kPassword) == std::string::npos);
}

TEST_CASE("orders/pg_schema: several processes at once make the tables once") {
  PgDatabase database;
  std::vector<std::thread> threads;
  std::vector<PgSchemaResult> results(4);
  for (PgSchemaResult& result : results) {
    threads.emplace_back(
        [&] { result = prepare_pg_schema(address_of(database.url()), test::products(5)); });
  }
  for (std::thread& thread : threads) thread.join();
  int made = 0;
  for (const PgSchemaResult& result : results) {
    CHECK(result.problem == "");
    made += result.is_new ? 1 : 0;
  }
  CHECK(made == 1);
  CHECK(database.number("SELECT sum(delta) FROM stock_ledger WHERE reason = 'seed'") == 10);
  CHECK(database.sql("SELECT * FROM schema_version") == "2");
}

TEST_CASE("orders/pg_schema: a worker that comes first leaves the products to the server") {
  PgDatabase database;
  PgSchemaResult result = prepare_pg_schema(address_of(database.url()), {});
  CHECK(result.problem == "");
  CHECK(result.is_new);
  result = prepare_pg_schema(address_of(database.url()), test::products(5));
  CHECK(result.is_new);
  result = prepare_pg_schema(address_of(database.url()), test::products(7));
  CHECK(result.problem == "");
  CHECK_FALSE(result.is_new);
  CHECK(result.migrated_from == 0);
  CHECK(database.number("SELECT sum(available) FROM stock") == 10);
}

TEST_CASE("orders/pg_connection: over TCP, by a name that is looked up") {
  PgDatabase database;
  std::string url =
      database.server.tcp_url("postgres", "&options=-csearch_path%3D" + database.schema);
  url.replace(url.find("127.0.0.1"), 9, "localhost");
  loop::Loop loop;
  OpenedStore opened = open_postgres_store(loop, url, test::products(1));
  CHECK(opened.problem == "");
  CHECK(opened.is_new);
}
