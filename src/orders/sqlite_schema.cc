#include "sluice/orders/sqlite_schema.h"

#include <fmt/format.h>

namespace sluice::orders {
namespace {

constexpr const char* kTables = R"sql(
  CREATE TABLE schema_version (version INTEGER NOT NULL) STRICT;

  CREATE TABLE products (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL,
    price_cents INTEGER NOT NULL CHECK (price_cents >= 0)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE stock (
    product_id  TEXT PRIMARY KEY REFERENCES products (id),
    supplied    INTEGER NOT NULL CHECK (supplied >= 0),
    available   INTEGER NOT NULL CHECK (available >= 0),
    CHECK (available <= supplied)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE orders (
    id          TEXT PRIMARY KEY,
    user_id     TEXT NOT NULL,
    status      TEXT NOT NULL,
    total_cents INTEGER NOT NULL CHECK (total_cents >= 0)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX orders_by_user ON orders (user_id, id);

  CREATE TABLE order_items (
    order_id    TEXT NOT NULL REFERENCES orders (id),
    line        INTEGER NOT NULL,
    product_id  TEXT NOT NULL REFERENCES products (id),
    quantity    INTEGER NOT NULL CHECK (quantity > 0),
    price_cents INTEGER NOT NULL,
    PRIMARY KEY (order_id, line)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE order_states (
    order_id    TEXT NOT NULL REFERENCES orders (id),
    step        INTEGER NOT NULL,
    state       TEXT NOT NULL,
    at_ms       INTEGER NOT NULL,
    PRIMARY KEY (order_id, step)
  ) STRICT, WITHOUT ROWID;

  -- With a rowid: keys come in random order, and rows with bodies shall not be strewn by them.
  CREATE TABLE idempotency_keys (
    key         TEXT NOT NULL UNIQUE,
    fingerprint TEXT NOT NULL,
    order_id    TEXT NOT NULL REFERENCES orders (id),
    status      INTEGER NOT NULL,
    body        TEXT NOT NULL,
    sold_out    TEXT NOT NULL,
    at_ms       INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX idempotency_keys_by_time ON idempotency_keys (at_ms);
)sql";

Result<int64_t> read_number(Database& db, const char* sql) {
  Statement statement(sql);
  Query query(db, statement);
  SL_TRY(bool is_there, query.next());
  return is_there ? query.number(0) : 0;
}

Status insert_products(Database& db, const std::vector<Product>& products) {
  Statement add_product("INSERT INTO products (id, name, price_cents) VALUES (?, ?, ?)");
  Statement add_stock("INSERT INTO stock (product_id, supplied, available) VALUES (?, ?, ?)");
  for (const Product& product : products) {
    Status added = Query(db, add_product, product.id, product.name, product.price_cents).run();
    if (added) added = Query(db, add_stock, product.id, product.stock, product.stock).run();
    if (!added) return added;
  }
  return Ok{};
}

Status make_tables(Database& db, const std::vector<Product>& seed) {
  Status made = db.run(kTables);
  if (made) made = insert_products(db, seed);
  if (!made) return made;
  Statement add_version("INSERT INTO schema_version (version) VALUES (?)");
  return Query(db, add_version, kSchemaVersion).run();
}

enum class Found : uint8_t { nothing, orders, something_else };

Result<Found> look(Database& db) {
  SL_TRY(int64_t tables, read_number(db, "SELECT count(*) FROM sqlite_schema"));
  if (tables == 0) return Found::nothing;
  SL_TRY(int64_t ours, read_number(db,
                                   "SELECT count(*) FROM sqlite_schema WHERE type = 'table' "
                                   "AND name IN ('schema_version', 'stock', 'orders')"));
  return ours == 3 ? Found::orders : Found::something_else;
}

SchemaResult check_version(Database& db) {
  auto version = read_number(db, "SELECT max(version) FROM schema_version");
  if (!version) return {db.last_error()};
  if (*version == kSchemaVersion) return {};
  return {fmt::format("its tables are of version {}, this program knows version {}", *version,
                      kSchemaVersion)};
}

// In a transaction, so that nobody else makes them at the same time.
SchemaResult check_or_make(Database& db, const std::vector<Product>& seed) {
  auto found = look(db);
  if (!found) return {db.last_error()};
  if (*found != Found::nothing) return check_version(db);
  if (!make_tables(db, seed)) return {db.last_error()};
  return {{}, true};
}

}  // namespace

SchemaResult prepare_schema(Database& db, const Patience& patience, Random& random,
                            const std::vector<Product>& seed) {
  // Nothing is changed in a file of another program, not even its mode.
  Found found = Found::nothing;
  Status done = retry_busy(patience, random, [&]() -> Status {
    SL_TRY(found, look(db));
    return Ok{};
  });
  if (done && found == Found::something_else) return {"it holds tables of another program"};
  // A commit is on the disk, not on its way there. The journal's mode is kept in the file.
  for (const char* step :
       {"PRAGMA synchronous = FULL", "PRAGMA journal_mode = WAL", "BEGIN IMMEDIATE"}) {
    if (done) done = retry_busy(patience, random, [&] { return db.run(step); });
  }
  if (!done) return {db.last_error()};
  SchemaResult result = check_or_make(db, seed);
  if (result.problem.empty() && !db.run("COMMIT")) result = {db.last_error()};
  if (db.is_in_transaction()) static_cast<void>(db.run("ROLLBACK").has_value());
  return result;
}

}  // namespace sluice::orders
