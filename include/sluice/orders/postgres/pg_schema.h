// The tables of the order database in PostgreSQL, and the two functions that write orders: made
// when they are missing, brought up when they are older.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sluice/base/clock.h"
#include "sluice/orders/order.h"
#include "sluice/orders/postgres/pg_url.h"

namespace sluice::orders {

// The first that there was for PostgreSQL; the tables are those of SQLite's version 2.
inline constexpr int64_t kPgSchemaVersion = 2;

// SQLSTATEs of our functions: each undoes all, and who asked looks again.
inline constexpr const char* kPgSoldOut = "SL001";
inline constexpr const char* kPgUserLimit = "SL002";
inline constexpr const char* kPgMoved = "SL003";

struct PgSchemaResult {
  std::string problem;        // "": all is well
  bool is_new = false;        // they were made, or got their first products, just now
  int64_t migrated_from = 0;  // their version before they were brought up; 0: as they were
};

// Blocks, on a loop of its own; for start-up. Several processes may do it at once: one does it all,
// in one transaction, under an advisory lock. `seed` is for tables without products. A server that
// is starting is waited for.
PgSchemaResult prepare_pg_schema(const PgAddress& address, const std::vector<Product>& seed,
                                 Duration patience = std::chrono::seconds(5));

}  // namespace sluice::orders
