// The orders in one SQLite file, which several processes may share.
//
// Off the loop: one thread writes, one reads, one counts (which takes long). The writer commits
// orders in groups: what came while the last commit was on its way shares the next. Everything is
// answered after its commit.
#pragma once

#include <string>
#include <vector>

#include "sluice/loop/loop.h"
#include "sluice/orders/open_store.h"

namespace sluice::orders {

// Blocks; for start-up. The store must die before the loop.
OpenedStore open_sqlite_store(loop::Loop& loop, const std::string& path,
                              const std::vector<Product>& seed);

}  // namespace sluice::orders
