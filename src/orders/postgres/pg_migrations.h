// The steps that bring the tables in PostgreSQL from one version to the next. A step never changes
// once it was released.
#pragma once

#include <cstdint>
#include <vector>

#include "sluice/orders/postgres/pg_result.h"

namespace sluice::orders {

struct PgMigration {
  int64_t version;  // to which it leads; an empty database has 0
  std::vector<PgStatement> statements;
};

const std::vector<PgMigration>& pg_migrations();

}  // namespace sluice::orders
