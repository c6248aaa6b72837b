// The tables of the order database, made when they are missing.
#pragma once

#include <string>
#include <vector>

#include "sluice/base/random.h"
#include "sluice/orders/order.h"
#include "sluice/orders/sqlite_db.h"

namespace sluice::orders {

inline constexpr int64_t kSchemaVersion = 1;

struct SchemaResult {
  std::string problem;  // "": all is well
  bool is_new = false;  // the tables were made and seeded just now
};

// Makes `db` a database of orders, or finds that it is one already. Several processes may do it at
// once: one makes the tables and seeds them, in one transaction.
SchemaResult prepare_schema(Database& db, const Patience& patience, Random& random,
                            const std::vector<Product>& seed);

}  // namespace sluice::orders
