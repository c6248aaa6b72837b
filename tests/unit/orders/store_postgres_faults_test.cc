// What PostgreSQL may do to a store at the worst moment: refuse at the commit, forget statements,
// turn read-only, end connections, take two for each other's way.
#include <fmt/format.h>

#include <set>
#include <thread>

#include "pg_support.h"
#include "sluice/base/log.h"
#include "sluice/orders/event.h"
#include "sluice/orders/order_id.h"
#include "sluice/orders/postgres/pg_caller.h"
#include "sluice/orders/postgres/pg_schema.h"

using namespace sluice;
using namespace sluice::orders;
using test::new_order;
using test::PgDatabase;
using test::PgStore;
using test::Quiet;
using test::run_until;

namespace {

// Statements in a session of their own, from a thread; begun when `sign` is seen by the server.
class Holder {
 public:
  Holder(const PgDatabase& database, const std::string& statements)
      : thread_([&database, statements] { database.sql(statements); }) {
    const std::string waits =
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query LIKE '%" +
        database.schema + ";%' AND pid <> pg_backend_pid()";
    REQUIRE(e2e::eventually([&] { return database.number(waits) > 0; }));
  }
  ~Holder() { join(); }
  void join() {
    if (thread_.joinable()) thread_.join();
  }

 private:
  std::thread thread_;
};

}  // namespace

TEST_CASE("orders/store_postgres: what fails at the commit itself was never accepted") {
  for (const char* isolation : {"read-committed", "serializable"}) {
    PgDatabase database;
    PgStore shop(database, 10, std::string("&isolation=") + isolation);
    Quiet quiet;
    // As a serialization failure that is found at the commit (PostgreSQL 15, 13.2.3).
    database.sql(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN RAISE EXCEPTION ''not now''; END';"
        "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION refuse()");
    CHECK(shop.place(new_order("k1", {{"p1", 1, 0}})).error().code() == Errc::kSystem);
    NewOrder limited = new_order("k2", {{"p1", 1, 0}});
    limited.user_limit = 5;
    CHECK(shop.place(limited).error().code() == Errc::kSystem);
    CHECK(database.number("SELECT count(*) FROM orders") == 0);
    database.sql("DROP TRIGGER late ON orders");
    CHECK(shop.place(new_order("k1", {{"p1", 1, 0}}))->verdict == Verdict::accepted);
    CHECK(shop.totals().stock[0].available == 9);
  }
}

TEST_CASE("orders/store_postgres: a conflict at the commit is tried again, and not for ever") {
  PgDatabase database;
  PgStore shop(database, 10);
  Quiet quiet;
  // A sequence counts what is rolled back, too.
  database.sql(
      "CREATE SEQUENCE tries; CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
      "'BEGIN IF nextval(''tries'') < TG_ARGV[0]::int THEN RAISE EXCEPTION ''not now'' USING "
      "ERRCODE = ''40001''; END IF; RETURN NULL; END';"
      "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED "
      "FOR EACH ROW EXECUTE FUNCTION refuse(5)");
  CHECK(shop.place(new_order("k1", {{"p1", 1, 0}}))->verdict == Verdict::accepted);
  CHECK(database.number("SELECT last_value FROM tries") == 5);
  database.sql(
      "DROP TRIGGER late ON orders; ALTER SEQUENCE tries RESTART;"
      "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED "
      "FOR EACH ROW EXECUTE FUNCTION refuse(1000000)");
  const TimePoint begin = monotonic_now();
  CHECK(shop.place(new_order("k2", {{"p1", 1, 0}})).error().code() == Errc::kQueueTimeout);
  CHECK(monotonic_now() - begin < 2 * OrderStore::kPatience);
  CHECK(database.number("SELECT last_value FROM tries") <= PgCaller::kMostTries);
  CHECK(shop.totals().stock[0].available == 9);
}

TEST_CASE(
    "orders/store_postgres: a repeated order is never refused for the limit that it reached") {
  PgDatabase database;
  PgStore shop(database, 10);
  NewOrder order = new_order("k1", {{"p1", 1, 0}});
  order.user_limit = 1;
  // The first try, whose answer was lost, commits while the second one looks.
  const std::string id = make_order_id(wall_now());
  Holder first(database,
               fmt::format("BEGIN; LOCK TABLE orders; SELECT pg_sleep(0.7); "
                           "INSERT INTO orders VALUES ('{0}', 'u1', 'accepted', 1, 1299, ''); "
                           "INSERT INTO idempotency_keys VALUES ('k1', '{1}', '{0}', 201, '', '', "
                           "{2}); COMMIT",
                           id, order.fingerprint, to_unix_ms(wall_now())));
  const auto placed = shop.place(order);
  REQUIRE(placed);
  CHECK(placed->verdict == Verdict::replayed);
  CHECK(placed->reply.order_id == id);
}

TEST_CASE("orders/store_postgres: who is taken for the other's way out of a deadlock goes again") {
  e2e::Postgres server({"deadlock_timeout=600ms"});
  PgDatabase database(server);
  PgStore shop(database, 10);
  shop.await_up();
  Quiet quiet;
  Holder other(database,
               "BEGIN; UPDATE stock SET available = available - 1 WHERE product_id = 'p2'; "
               "SELECT pg_sleep(0.3); SET LOCAL deadlock_timeout = '10s'; "
               "UPDATE stock SET available = available - 1 WHERE product_id = 'p1'; COMMIT");
  CHECK(shop.place(new_order("k1", {{"p1", 1, 0}, {"p2", 1, 0}}))->verdict == Verdict::accepted);
  other.join();
  CHECK(server.log().find("deadlock detected") != std::string::npos);
  CHECK(database.sql("SELECT sum(available) FROM stock") == "16");
  CHECK(database.number("SELECT count(*) FROM orders") == 1);
}

TEST_CASE(
    "orders/store_postgres: a connection that is ended under way leaves the key to settle it") {
  PgDatabase database;
  PgStore shop(database, 10);
  Quiet quiet;
  {
    Holder holder(database, "BEGIN; SELECT 1 FROM stock FOR UPDATE; SELECT pg_sleep(1.2)");
    std::thread killer([&] {
      const std::string victims =
          "FROM pg_stat_activity WHERE query LIKE '%place_orders(%' AND pid <> pg_backend_pid() "
          "AND state = 'active'";
      e2e::eventually([&] { return database.number("SELECT count(*) " + victims) > 0; });
      database.sql("SELECT pg_terminate_backend(pid) " + victims);
    });
    const auto placed = shop.place(new_order("k1", {{"p1", 1, 0}}));
    CHECK(placed.error().code() == Errc::kSystem);
    killer.join();
  }
  CHECK(shop.place(new_order("k1", {{"p1", 1, 0}})));
  CHECK(database.number("SELECT count(*) FROM orders") == 1);
  // One that is ended while it idles is noticed before it is used.
  database.sql(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = "
      "'sluice-orders'");
  CHECK(shop.place(new_order("k2", {{"p1", 1, 0}})));
}

TEST_CASE(
    "orders/store_postgres: a server that turned read-only is left, and used when it is back") {
  e2e::Postgres server;
  PgDatabase database(server);
  PgStore shop(database, 10);
  shop.await_up();
  Quiet quiet;
  const auto set_read_only = [&](const char* value) {
    server.sql("postgres",
               std::string("ALTER SYSTEM SET default_transaction_read_only = ") + value);
    server.sql("postgres", "SELECT pg_reload_conf()");
    REQUIRE(e2e::eventually(
        [&] { return server.sql("postgres", "SHOW default_transaction_read_only") == value; }));
  };
  set_read_only("on");
  CHECK(shop.place(new_order("k1", {{"p1", 1, 0}})).error().code() == Errc::kSystem);
  // Whoever starts now says why it cannot.
  const PgSchemaResult refused =
      prepare_pg_schema(parse_pg_url(database.url()).address, {}, std::chrono::milliseconds(200));
  CHECK(refused.problem.find("session is read-only") != std::string::npos);
  const auto with_write = [](const std::string& sql) {
    return "SET default_transaction_read_only = off; " + sql;
  };
  server.sql("postgres", with_write("SELECT 1"));
  set_read_only("off");
  shop.await_up();
  CHECK(run_until(shop.loop, [&] {
    return shop.place(new_order("k1", {{"p1", 1, 0}})).has_value();
  }));
  CHECK(database.number("SELECT count(*) FROM orders") == 1);
}

TEST_CASE("orders/store_postgres: statements that the server forgot are prepared anew") {
  PgDatabase database;
  PgStore shop(database, 10, "&connections=1");
  REQUIRE(shop.place(new_order("k1", {{"p1", 1, 0}})));
  Quiet quiet;
  // What a plan was made for is gone: its result has another type (SQLSTATE 0A000).
  database.sql("ALTER TABLE products ALTER COLUMN price_cents TYPE integer");
  CHECK(shop.get<std::vector<Product>>([&](auto a) { shop.store->products(a); }));
  CHECK(shop.place(new_order("k2", {{"p1", 1, 0}})));
}

TEST_CASE("orders/store_postgres: a flood of notices holds nobody up and fills no memory") {
  PgDatabase database;
  PgStore shop(database, 10, "&connections=1");
  Quiet quiet;
  database.sql(
      "CREATE FUNCTION chat() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN FOR i IN 1..20000 LOOP "
      "RAISE NOTICE ''%'', repeat(''x'', 100); END LOOP; RETURN NULL; END';"
      "CREATE TRIGGER chat AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION chat()");
  CHECK(shop.place(new_order("k1", {{"p1", 1, 0}}))->verdict == Verdict::accepted);
}

TEST_CASE("orders/store_postgres: old keys and sent events go, however many there are") {
  constexpr int kMany = 1800;
  PgDatabase database;
  PgStore shop(database, 10);
  const std::string id = shop.place(new_order("k1", {{"p1", 1, 0}}))->reply.order_id;
  database.sql(fmt::format(
      "INSERT INTO idempotency_keys SELECT 'old' || n, 'f', '{}', 201, '', '', 1 FROM "
      "generate_series(1, {}) AS n; "
      "INSERT INTO outbox (event_id, order_id, version, type, payload, request_id, traceparent, "
      "created_ms, sent_ms) SELECT 'old' || n, 'o', 1, 't', '', '', '', 1, 1 FROM "
      "generate_series(1, {}) AS n; DELETE FROM outbox WHERE event_id = '{}-1'",
      id, kMany, kMany, id));
  // A new store looks at once.
  PgStore again(database, 10);
  REQUIRE(run_until(again.loop, [&] {
    return database.number("SELECT count(*) FROM idempotency_keys") == 1 &&
           database.number("SELECT count(*) FROM outbox") == 0;
  }));
  CHECK(again.place(new_order("old7", {{"p1", 1, 0}}))->verdict == Verdict::accepted);
  CHECK(again.place(new_order("k1", {{"p1", 1, 0}}))->verdict == Verdict::replayed);
}
