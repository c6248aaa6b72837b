// The tables of the order database: made when they are missing, brought up when they are older.
#pragma once

#include <string>
#include <vector>

#include "sluice/base/random.h"
#include "sluice/orders/order.h"
#include "sluice/orders/sqlite/sqlite_db.h"

namespace sluice::orders {

struct SchemaResult {
  std::string problem;        // "": all is well
  bool is_new = false;        // the tables were made, or got their first products, just now
  int64_t migrated_from = 0;  // their version before they were brought up; 0: as they were
};

// Makes `db` a database of orders, or finds that it is one already, and brings older tables to
// kSchemaVersion. Several processes may do it at once: one does it all, in one transaction.
// Processes of an older version must not run on the database any more.
SchemaResult prepare_schema(Database& db, const Patience& patience, Random& random,
                            const std::vector<Product>& seed);

}  // namespace sluice::orders
