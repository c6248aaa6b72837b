#include "sluice/orders/postgres/pg_url.h"

#include <doctest/doctest.h>

using namespace sluice::orders;

TEST_CASE("orders/pg_url: a URL is shown without its password, wherever that stands") {
  struct Case {
    const char* url;
    const char* text;
    const char* host;  // to be looked up
  };
  constexpr Case kCases[] = {
      {"postgres://shop:s3cret@db:5433/shop", "postgres://shop@db:5433/shop", "db"},
      {"postgresql://shop@db/shop?password=s3cret", "postgres://shop@db/shop", "db"},
      {"postgres://shop:s3cret@127.0.0.1/shop", "postgres://shop@127.0.0.1/shop", ""},
      {"postgres://shop:s%333cret@[::1]:5432/shop", "postgres://shop@[::1]:5432/shop", ""},
      {"postgres:///shop?host=/run/pg&port=5433&user=u&password=s3cret",
       "postgres://u@/shop?host=/run/pg&port=5433", ""},
      {"postgres://db/shop?hostaddr=10.0.0.1", "postgres://db/shop", ""},
      {"postgres://", "postgres:///", ""},
  };
  for (const Case& each : kCases) {
    CAPTURE(each.url);
    const PgUrl parsed = parse_pg_url(each.url);
    CHECK(parsed.problem == "");
    CHECK(parsed.address.text == each.text);
    CHECK(parsed.address.host == each.host);
  }
  CHECK(parse_pg_url(kCases[0].url).address.password == "s3cret");
}

TEST_CASE("orders/pg_url: our options are taken out, libpq gets the others") {
  const PgUrl parsed = parse_pg_url(
      "postgres://db/shop?isolation=repeatable-read&sslmode=require&connections=7&port=5");
  CHECK(parsed.problem == "");
  CHECK(parsed.address.isolation == "repeatable read");
  CHECK(parsed.address.connections == 7);
  bool has_sslmode = false;
  for (const auto& [name, value] : parsed.address.options) {
    CHECK(name != "isolation");
    has_sslmode |= name == "sslmode" && value == "require";
  }
  CHECK(has_sslmode);
  CHECK(parse_pg_url("postgres://db/shop").address.isolation == "read committed");
}

TEST_CASE("orders/pg_url: what is wrong is said without showing the URL") {
  for (const char* url :
       {"mysql://shop:s3cret@db/shop", "postgres://shop:s3cret%zz@db/shop",
        "postgres://shop:s3cret@db:port:5/shop", "postgres://shop:s3cret@db/shop?unknown=1",
        "postgres://shop:s3cret@a,b/shop", "postgres://shop:s3cret@[::1/shop",
        "postgres://shop:s3cret@db/shop?isolation=none", "postgres://s3cret@db/?isolation",
        "postgres://shop:s3cret@db/shop?connections=0", "postgres://s3cret@db/?connections=65",
        "postgres://s3cret@db/?connections=4x"}) {
    CAPTURE(url);
    const PgUrl parsed = parse_pg_url(url);
    CHECK(parsed.problem != "");
    CHECK(parsed.problem.find("s3cret") == std::string::npos);
  }
}
