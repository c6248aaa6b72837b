// Which keys have an order, asked of PostgreSQL; SQLite answers the same questions in every test of
// the gate from outside.
#include <algorithm>

#include "tests/unit/orders/pg_support.h"

using namespace sluice;
using namespace sluice::orders;
using namespace sluice::orders::test;

TEST_CASE("orders/gate/keys: PostgreSQL tells which keys have an order, and all of them in pages") {
  PgDatabase database;
  PgStore shop(database, 9);
  for (const char* key : {"k1", "k2", "k'3"}) {
    REQUIRE(shop.place(new_order(key, {{"p1", 1, 0}})));
  }
  auto placed = shop.get<std::vector<std::string>>([&](auto answer) {
    shop.store->placed_keys({"k'3", "other", "k1"}, std::move(answer));
  });
  REQUIRE(placed);
  std::ranges::sort(*placed);
  CHECK(*placed == std::vector<std::string>{"k'3", "k1"});
  std::vector<std::string> all;
  for (PlacedKey last;;) {
    const auto page = shop.get<std::vector<PlacedKey>>(
        [&](auto answer) { shop.store->keys_after(last, 2, std::move(answer)); });
    REQUIRE(page);
    if (page->empty()) break;
    for (const PlacedKey& row : *page) all.push_back(row.key);
    last = page->back();
  }
  std::ranges::sort(all);
  CHECK(all == std::vector<std::string>{"k'3", "k1", "k2"});
}
