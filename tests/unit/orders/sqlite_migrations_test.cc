#include "sluice/orders/sqlite/sqlite_migrations.h"

#include <fmt/format.h>

#include "support.h"

using namespace sluice;
using namespace sluice::orders;

namespace {

// The tables as version 1 of this program left them, word for word, with three orders.
constexpr const char* kVersion1 = R"sql(
  PRAGMA journal_mode = WAL;
  CREATE TABLE schema_version (version INTEGER NOT NULL) STRICT;
  CREATE TABLE products (id TEXT PRIMARY KEY, name TEXT NOT NULL,
    price_cents INTEGER NOT NULL CHECK (price_cents >= 0)) STRICT, WITHOUT ROWID;
  CREATE TABLE stock (product_id TEXT PRIMARY KEY REFERENCES products (id),
    supplied INTEGER NOT NULL CHECK (supplied >= 0),
    available INTEGER NOT NULL CHECK (available >= 0),
    CHECK (available <= supplied)) STRICT, WITHOUT ROWID;
  CREATE TABLE orders (id TEXT PRIMARY KEY, user_id TEXT NOT NULL, status TEXT NOT NULL,
    total_cents INTEGER NOT NULL CHECK (total_cents >= 0)) STRICT, WITHOUT ROWID;
  CREATE INDEX orders_by_user ON orders (user_id, id);
  CREATE TABLE order_items (order_id TEXT NOT NULL REFERENCES orders (id), line INTEGER NOT NULL,
    product_id TEXT NOT NULL REFERENCES products (id),
    quantity INTEGER NOT NULL CHECK (quantity > 0), price_cents INTEGER NOT NULL,
    PRIMARY KEY (order_id, line)) STRICT, WITHOUT ROWID;
  CREATE TABLE order_states (order_id TEXT NOT NULL REFERENCES orders (id), step INTEGER NOT NULL,
    state TEXT NOT NULL, at_ms INTEGER NOT NULL,
    PRIMARY KEY (order_id, step)) STRICT, WITHOUT ROWID;
  CREATE TABLE idempotency_keys (key TEXT NOT NULL UNIQUE, fingerprint TEXT NOT NULL,
    order_id TEXT NOT NULL REFERENCES orders (id), status INTEGER NOT NULL, body TEXT NOT NULL,
    sold_out TEXT NOT NULL, at_ms INTEGER NOT NULL) STRICT;
  CREATE INDEX idempotency_keys_by_time ON idempotency_keys (at_ms);
  INSERT INTO schema_version VALUES (1);
  INSERT INTO products VALUES ('p1', 'Coffee mug', 1299), ('p2', 'Notebook', 799);
  INSERT INTO stock VALUES ('p1', 15, 9), ('p2', 10, 8);
  INSERT INTO orders VALUES ('o-1', 'u1', 'accepted', 3897), ('o-2', 'u2', 'accepted', 5495),
    ('o-3', 'u1', 'accepted', 1299);
  INSERT INTO order_items VALUES ('o-1', 0, 'p1', 3, 1299), ('o-2', 0, 'p1', 1, 1299),
    ('o-2', 1, 'p2', 2, 799), ('o-2', 2, 'p1', 1, 1299), ('o-3', 0, 'p1', 1, 1299);
  INSERT INTO order_states VALUES ('o-1', 0, 'accepted', 1769860800123),
    ('o-2', 0, 'accepted', 1769860800124), ('o-3', 0, 'accepted', 1769860800125);
  INSERT INTO idempotency_keys VALUES ('k1', 'p1 3;', 'o-1', 201, '{"order_id":"o-1"}', '',
    4102444800000);
)sql";

void make_version_1(const std::string& path) {
  auto db = Database::open(path, Database::Mode::create);
  REQUIRE(db);
  const Status made = db->run(kVersion1);
  REQUIRE_MESSAGE(made, db->last_error());
}

std::vector<std::string> column(const std::string& path, const std::string& sql) {
  auto db = Database::open(path, Database::Mode::read);
  REQUIRE(db);
  Statement statement(sql.c_str());
  Query query(*db, statement);
  std::vector<std::string> texts;
  while (true) {
    auto row = query.next();
    REQUIRE(row);
    if (!*row) return texts;
    texts.push_back(query.text(0));
  }
}

}  // namespace

TEST_CASE("orders/sqlite_migrations: a database of version 1 is brought up, and loses nothing") {
  test::TemporaryFolder folder;
  const std::string path = folder.file("orders.db");
  make_version_1(path);
  SchemaResult result = test::prepare(path, test::products(1));
  CHECK(result.problem == "");
  CHECK_FALSE(result.is_new);
  CHECK(result.migrated_from == 1);
  CHECK(column(path, "SELECT max(version) FROM schema_version") == std::vector<std::string>{"2"});

  OrderReader reader = test::reader_on(path);
  const auto order = reader.order("o-2");
  REQUIRE(order);
  REQUIRE(*order);
  CHECK((*order)->version == 1);
  CHECK((*order)->lines.size() == 3);
  REQUIRE((*order)->history.size() == 1);
  CHECK((*order)->history[0].state == "accepted");
  const auto totals = reader.totals();
  REQUIRE(totals);
  for (const StockTotals& stock : totals->stock) {
    CAPTURE(stock.product_id);
    CHECK(stock.drift() == 0);
    CHECK(stock.ledger_drift() == 0);
  }
  CHECK(totals->stock[0].held == 6);
  CHECK(totals->outbox == 3);

  // Its orders begin their way as if they were new, and its keys are known.
  OrderWriter writer = test::writer_on(path);
  const auto events = writer.events().take_unsent(10, std::chrono::seconds(1), wall_now());
  REQUIRE(events);
  REQUIRE(events->size() == 3);
  for (const TakenEvent& taken : *events) CHECK(event_problem(taken.event) == "");
  CHECK((*events)[1].event.id == "o-2-1");
  CHECK((*events)[1].event.created == WallTime(std::chrono::milliseconds(1769860800124)));
  const auto again = test::place(writer, test::new_order("k1", {{"p1", 3, 0}}));
  REQUIRE(again);
  CHECK(again->verdict == Verdict::replayed);
  CHECK(again->reply.order_id == "o-1");

  result = test::prepare(path, test::products(1));
  CHECK(result.problem == "");
  CHECK(result.migrated_from == 0);
}

TEST_CASE("orders/sqlite_migrations: a new database and one brought up have the same tables") {
  test::TemporaryFolder folder;
  const std::string old = folder.file("old.db"), fresh = folder.file("new.db");
  make_version_1(old);
  REQUIRE(test::prepare(old, {}).problem == "");
  REQUIRE(test::prepare(fresh, {}).problem == "");
  const auto columns = [](const std::string& path) {
    return column(path,
                  "SELECT s.name || '.' || c.name || ' ' || c.type || ' ' || c.\"notnull\" || ' ' "
                  "|| c.pk FROM sqlite_schema AS s, pragma_table_info(s.name) AS c "
                  "WHERE s.type = 'table' ORDER BY 1");
  };
  CHECK(columns(old) == columns(fresh));
  const std::string indexes = "SELECT name FROM sqlite_schema WHERE type = 'index' ORDER BY name";
  CHECK(column(old, indexes) == column(fresh, indexes));
}

TEST_CASE("orders/sqlite_migrations: a step that fails leaves the old version whole") {
  test::TemporaryFolder folder;
  const std::string path = folder.file("orders.db");
  make_version_1(path);
  {
    auto db = Database::open(path, Database::Mode::create);
    REQUIRE(db->run("CREATE TABLE parked (x)"));  // in the way of the step's last table
  }
  CHECK(test::prepare(path, {}).problem.find("parked") != std::string::npos);
  CHECK(column(path, "SELECT max(version) FROM schema_version") == std::vector<std::string>{"1"});
  CHECK(column(path, "SELECT name FROM sqlite_schema WHERE name = 'outbox'").empty());
  {
    auto db = Database::open(path, Database::Mode::create);
    REQUIRE(db->run("DROP TABLE parked"));
  }
  CHECK(test::prepare(path, {}).migrated_from == 1);
}
