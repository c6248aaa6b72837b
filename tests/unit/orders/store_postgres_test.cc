#include "sluice/orders/store_postgres.h"

#include <fmt/format.h>

#include "pg_support.h"
#include "sluice/orders/event.h"

using namespace sluice;
using namespace sluice::orders;
using test::new_order;
using test::PgDatabase;
using test::PgStore;
using test::run_until;

TEST_CASE("orders/store_postgres: answers come later, on the loop, once each") {
  PgDatabase database;
  PgStore shop(database, 10);
  CHECK(shop.is_new);
  const auto placed = shop.place(new_order("k1", {{"p1", 2, 0}}));
  REQUIRE(placed);
  CHECK(placed->verdict == Verdict::accepted);
  CHECK(placed->reply.status == 201);
  const auto products =
      shop.get<std::vector<Product>>([&](auto a) { shop.store->products(std::move(a)); });
  REQUIRE(products);
  CHECK((*products)[0] == Product{"p1", "Coffee mug", 1299, 8});
  const auto order = shop.get<std::optional<Order>>(
      [&](auto a) { shop.store->order(placed->reply.order_id, std::move(a)); });
  REQUIRE(order);
  REQUIRE(*order);
  CHECK((*order)->total_cents == 2598);
  CHECK((*order)->lines == std::vector<OrderLine>{{"p1", 2, 1299}});
  CHECK((*order)->history.size() == 1);
  const auto restock = [&](const char* id) {
    return *shop.get<std::optional<Product>>(
        [&](auto a) { shop.store->restock(id, 5, std::move(a)); });
  };
  CHECK(restock("p1")->stock == 13);
  CHECK_FALSE(restock("p9"));
  const auto orders =
      shop.get<std::vector<Order>>([&](auto a) { shop.store->orders_of("u1", std::move(a)); });
  CHECK(orders->size() == 1);
  CHECK(shop.get<Ok>([&](auto a) { shop.store->ping(std::move(a)); }));
  const Totals totals = shop.totals();
  CHECK(totals.stock[0].held == 2);
  CHECK(totals.stock[0].drift() == 0);
  CHECK(totals.stock[0].ledger_drift() == 0);
  CHECK(totals.outbox == 1);
}
