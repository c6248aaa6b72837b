// The steps that bring the tables of an order database from one version to the next.
//
// A step never changes once it was released; a new version is a new step. Step N takes a database
// of version N-1 to N; an empty one has version 0, so that a new database and an old one end alike.
#pragma once

#include <cstdint>

#include "sluice/base/error.h"
#include "sluice/orders/sqlite/sqlite_db.h"

namespace sluice::orders {

inline constexpr int64_t kSchemaVersion = 2;

// Runs the steps after `version`, in the caller's transaction; each writes its number into
// schema_version.
Status migrate(Database& db, int64_t version);

}  // namespace sluice::orders
