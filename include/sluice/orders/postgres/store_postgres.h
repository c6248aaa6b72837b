// The orders in PostgreSQL, which many processes may share: asynchronous on the loop, over a few
// connections.
#pragma once

#include <string>
#include <vector>

#include "sluice/loop/loop.h"
#include "sluice/orders/open_store.h"

namespace sluice::orders {

// "", or what is wrong with the URL; never shows it. pg_url.h has its form.
std::string postgres_url_problem(const std::string& url);

// Blocks; for start-up. The store must die before the loop.
OpenedStore open_postgres_store(loop::Loop& loop, const std::string& url,
                                const std::vector<Product>& seed);

}  // namespace sluice::orders
