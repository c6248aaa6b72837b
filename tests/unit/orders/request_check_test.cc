#include "sluice/orders/request_check.h"

#include "support.h"

using namespace sluice::orders;
using sluice::proxy::HandlerRequest;
using test::request;

TEST_CASE("orders/request_check: paths lead to resources") {
  struct Case {
    const char* path;
    Resource resource;
    const char* id;
  };
  const Case cases[] = {
      {"/products", Resource::products, ""},
      {"/products/p1", Resource::product, "p1"},
      {"/products/p1/restock", Resource::restock, "p1"},
      {"/orders", Resource::orders, ""},
      {"/orders/0189-abc", Resource::order, "0189-abc"},
      {"/status", Resource::status, ""},
      {"/healthz", Resource::healthz, ""},
      {"/events", Resource::events, ""},
      {"/", Resource::page, ""},
      {"/page.css", Resource::page_css, ""},
      {"/page.js", Resource::page_js, ""},
      {"/page.js/", Resource::none, ""},
      {"*", Resource::none, ""},
      {"/products/", Resource::none, ""},
      {"/products//restock", Resource::none, ""},
      {"/products/p1/", Resource::none, ""},
      {"/products/p1/restock/", Resource::none, ""},
      {"/orders/", Resource::none, ""},
      {"/orders/a/b", Resource::none, ""},
      {"/orders/a/restock", Resource::none, ""},
      {"/ordersx", Resource::none, ""},
      {"/status/x", Resource::none, ""},
  };
  for (const Case& c : cases) {
    CAPTURE(c.path);
    const Target target = parse_target(c.path);
    CHECK(target.resource == c.resource);
    CHECK(target.id == c.id);
  }
}

TEST_CASE("orders/request_check: each resource has its methods, case-sensitive") {
  CHECK(is_allowed(Resource::orders, "POST"));
  CHECK(is_allowed(Resource::orders, "HEAD"));
  CHECK_FALSE(is_allowed(Resource::orders, "post"));
  CHECK_FALSE(is_allowed(Resource::orders, "DELETE"));
  CHECK_FALSE(is_allowed(Resource::products, "POST"));
  CHECK_FALSE(is_allowed(Resource::restock, "GET"));
  CHECK_FALSE(is_allowed(Resource::none, "GET"));
}

TEST_CASE("orders/request_check: a body must be small JSON that says so") {
  struct Case {
    const char* type;
    bool good;
  };
  const Case cases[] = {
      {"application/json", true},
      {"Application/JSON ; charset=UTF-8", true},
      {"application/json; charset=\"utf-8\"", true},
      {"application/json; version=1", true},
      {"application/json; charset=latin1", false},
      {"", false},
      {"text/plain", false},
      {"application/x-www-form-urlencoded", false},
      {"application/jsonx", false},
      {"application/problem+json", false},
  };
  for (const Case& c : cases) {
    CAPTURE(c.type);
    HandlerRequest made = request("POST", "/orders", "{}");
    made.fields.emplace_back("content-type", c.type);
    const auto checked = check_body(made);
    CHECK(static_cast<bool>(checked) == c.good);
    if (!checked) CHECK(checked.refusal.problem == Problem::kMediaType);
  }
  HandlerRequest coded = test::post("/orders", "{}");
  coded.fields.emplace_back("content-encoding", "gzip");
  CHECK(check_body(coded).refusal.problem == Problem::kMediaType);
  CHECK(check_body(test::post("/orders", std::string(kMostBody, ' '))));
  CHECK(check_body(test::post("/orders", std::string(kMostBody + 1, ' '))).refusal.problem ==
        Problem::kTooLarge);
}

TEST_CASE("orders/request_check: an Idempotency-Key is needed, once, bare or quoted") {
  const auto key = [](const std::string& value) {
    return idempotency_key(test::post("/orders", "{}", value));
  };
  CHECK(key("8e03978e-40d5-43dd-bc93-6894a57f9324").value ==
        "8e03978e-40d5-43dd-bc93-6894a57f9324");
  CHECK(key("\"8e03978e\"").value == "8e03978e");
  CHECK(key("'; DROP-TABLE orders;--").refusal.problem == Problem::kMalformed);  // it has a space
  CHECK(key("';DROP/**/TABLE/**/orders;--").value == "';DROP/**/TABLE/**/orders;--");
  CHECK(key(std::string(255, 'k')));
  CHECK(key(std::string(256, 'k')).refusal.problem == Problem::kMalformed);
  CHECK(key("caf\xc3\xa9").refusal.problem == Problem::kMalformed);
  CHECK(key("").refusal.problem == Problem::kNoKey);
  CHECK(key("\"\"").refusal.problem == Problem::kNoKey);
  HandlerRequest twice = test::post("/orders", "{}", "a");
  twice.fields.emplace_back("idempotency-key", "a");
  CHECK(idempotency_key(twice).refusal.problem == Problem::kMalformed);
}

TEST_CASE("orders/request_check: query values are decoded") {
  CHECK(query_value("user=u1", "user").value == "u1");
  CHECK(query_value("a=1&user=a%20b+c%2Bd&user=x", "user").value == "a b c+d");
  CHECK(query_value("us%65r=%27%3B%20DROP", "user").value == "'; DROP");
  for (const char* bad :
       {"", "user", "user=", "users=u1", "user=%", "user=%4", "user=%zz", "%=1"}) {
    CAPTURE(bad);
    const auto value = query_value(bad, "user");
    CHECK_FALSE(value);
    CHECK(value.refusal.problem == Problem::kMalformed);
  }
}
