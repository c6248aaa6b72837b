// What the tests of PostgreSQL share: one server for all of them, a schema each, and waiting for
// one answer of a store.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "sluice/orders/postgres/store_postgres.h"
#include "support.h"
#include "tests/e2e/harness/postgres.h"

namespace sluice::orders::test {

// Started at the first use. A test that stops, freezes or kills it starts or thaws it again.
inline e2e::Postgres& postgres() {
  static e2e::Postgres server({"max_connections=60", "log_statement=none"});
  return server;
}

// A schema of its own: an empty place for tables, made faster than a database.
struct PgDatabase {
  explicit PgDatabase(e2e::Postgres& its_server = postgres()) : server(its_server) {
    static int schemas = 0;
    schema = "shop_" + std::to_string(++schemas);
    server.sql("postgres", "CREATE SCHEMA " + schema);
  }
  std::string url(const std::string& more = "") const {
    return server.url("postgres", "&options=-csearch_path%3D" + schema + more);
  }
  std::string sql(const std::string& statement) const {
    return server.sql("postgres", "SET search_path = " + schema + "; " + statement);
  }
  int64_t number(const std::string& statement) const { return std::stoll(sql(statement)); }

  e2e::Postgres& server;
  std::string schema;
};

struct PgStore {
  PgStore(const PgDatabase& database, int64_t stock, const std::string& more = "") {
    OpenedStore opened = open_postgres_store(loop, database.url(more), products(stock));
    REQUIRE(opened.problem == "");
    is_new = opened.is_new;
    store = std::move(opened.store);
  }

  // The answer to one call: get<Placed>([&](auto answer) { store.place(order, answer); }).
  template <typename T, typename Call>
  Result<T> get(Call call) {
    std::optional<Result<T>> got;
    bool is_calling = true;
    call([&](Result<T> result) {
      CHECK_FALSE(is_calling);
      CHECK_FALSE(got);
      got = std::move(result);
    });
    is_calling = false;
    REQUIRE(run_until(loop, [&] { return got.has_value(); }));
    return *std::move(got);
  }
  Result<Placed> place(NewOrder order) {
    return get<Placed>([&](auto answer) { store->place(std::move(order), std::move(answer)); });
  }
  Totals totals() {
    auto got = get<Totals>([&](auto answer) { store->totals(std::move(answer)); });
    REQUIRE(got);
    return *std::move(got);
  }
  void await_up() {
    REQUIRE(run_until(loop, [&] {
      return get<Ok>([&](auto answer) { store->ping(std::move(answer)); }).has_value();
    }));
  }

  loop::Loop loop;
  std::unique_ptr<ShopStore> store;
  bool is_new = false;
};

}  // namespace sluice::orders::test
