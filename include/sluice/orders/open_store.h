// Opens the database that a URL names. The only place that knows all stores.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sluice/loop/loop.h"
#include "sluice/orders/event_store.h"
#include "sluice/orders/key_store.h"
#include "sluice/orders/order_store.h"

namespace sluice::orders {

// A database has all sides, in one object.
class ShopStore : public OrderStore, public EventStore, public KeyStore {};

struct OpenedStore {
  std::unique_ptr<ShopStore> store;
  std::string problem;  // why there is none, in one line
  bool is_new = false;  // it was made, or got its first products, just now
  int64_t migrated_from =
      0;  // the version of its tables before they were brought up; 0: as they were

  // For the line at the start: "", " (new)", " (brought up from version 1)".
  std::string note() const;
};

// "", or why no store has such a URL: sqlite:FILE or postgres://… Never shows a URL with a
// password.
std::string database_url_problem(const std::string& url);

// Blocks; for start-up. `seed` is for a database without products; {}: it stays without. The store
// must die before the loop.
OpenedStore open_store(loop::Loop& loop, const std::string& url, const std::vector<Product>& seed);

}  // namespace sluice::orders
