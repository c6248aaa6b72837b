#include "sluice/orders/sqlite/sqlite_schema.h"

#include <fmt/format.h>

#include "sluice/orders/sqlite/sqlite_migrations.h"

namespace sluice::orders {
namespace {

Result<int64_t> read_number(Database& db, const char* sql) {
  Statement statement(sql);
  Query query(db, statement);
  SL_TRY(bool is_there, query.next());
  return is_there ? query.number(0) : 0;
}

Status insert_products(Database& db, const std::vector<Product>& products) {
  Statement add_product("INSERT INTO products (id, name, price_cents) VALUES (?, ?, ?)");
  Statement add_stock("INSERT INTO stock (product_id, supplied, available) VALUES (?, ?, ?)");
  Statement add_ledger(
      "INSERT INTO stock_ledger (product_id, delta, reason, at_ms) VALUES (?, ?, 'seed', ?)");
  const int64_t now_ms = to_unix_ms(wall_now());
  for (const Product& product : products) {
    Status added = Query(db, add_product, product.id, product.name, product.price_cents).run();
    if (added) added = Query(db, add_stock, product.id, product.stock, product.stock).run();
    if (added) added = Query(db, add_ledger, product.id, product.stock, now_ms).run();
    if (!added) return added;
  }
  return Ok{};
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

SchemaResult bring_up(Database& db) {
  auto version = read_number(db, "SELECT max(version) FROM schema_version");
  if (!version) return {db.last_error()};
  if (*version > kSchemaVersion) {
    return {fmt::format("its tables are of version {}, this program knows version {}", *version,
                        kSchemaVersion)};
  }
  if (*version == kSchemaVersion) return {};
  if (!migrate(db, *version)) return {db.last_error()};
  return {{}, false, *version};
}

// In a transaction, so that nobody else makes or changes the tables at the same time.
SchemaResult check_or_make(Database& db, const std::vector<Product>& seed) {
  auto found = look(db);
  if (!found) return {db.last_error()};
  SchemaResult result;
  if (*found == Found::nothing) {
    if (!migrate(db, 0)) return {db.last_error()};
    result.is_new = true;
  } else {
    result = bring_up(db);
  }
  if (!result.problem.empty() || seed.empty()) return result;
  auto products = read_number(db, "SELECT count(*) FROM products");
  if (products && *products > 0) return result;
  if (!products || !insert_products(db, seed)) return {db.last_error()};
  result.is_new = true;
  return result;
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
  // A commit is on the disk, not on its way there. The journal's mode is kept in the file. With
  // four times the usual log before it is copied back (16 MiB), hot pages are copied less often.
  // Keys come in random order, so that the writer goes all over their index: 32 MiB for it, not 2.
  for (const char* step :
       {"PRAGMA cache_size = -32768", "PRAGMA synchronous = FULL",
        "PRAGMA wal_autocheckpoint = 4000", "PRAGMA journal_mode = WAL", "BEGIN IMMEDIATE"}) {
    if (done) done = retry_busy(patience, random, [&] { return db.run(step); });
  }
  if (!done) return {db.last_error()};
  SchemaResult result = check_or_make(db, seed);
  if (result.problem.empty() && !db.run("COMMIT")) result = {db.last_error()};
  if (db.is_in_transaction()) static_cast<void>(db.run("ROLLBACK").has_value());
  return result;
}

}  // namespace sluice::orders
