#include "sluice/orders/request_json.h"

#include <doctest/doctest.h>

#include <fmt/format.h>

using namespace sluice::orders;

namespace {

struct Bad {
  const char* body;
  Problem problem;
};

const char* kSql = "'; DROP TABLE orders; --";

}  // namespace

TEST_CASE("orders/request_json: an order as the contract shows it") {
  const auto order = parse_order(
      R"({"user_id": "u1", "items": [{"product_id": "p1", "quantity": 1},
          {"quantity": 100, "product_id": "p2"}]})");
  REQUIRE(order);
  CHECK(order.value.user_id == "u1");
  CHECK(order.value.lines == std::vector<OrderLine>{{"p1", 1, 0}, {"p2", 100, 0}});
  CHECK(order.value.fingerprint.size() == 32);
}

TEST_CASE("orders/request_json: what is wrong with an order has its word and changes nothing") {
  const Bad cases[] = {
      {"", Problem::kMalformed},
      {"{", Problem::kMalformed},
      {"null", Problem::kWrongType},
      {"[]", Problem::kWrongType},
      {"\"x\"", Problem::kWrongType},
      {R"({"user_id":"u","items":[{"product_id":"p1","quantity":1}]} x)", Problem::kMalformed},
      {R"({"user_id":"u","items":[{"product_id":"p1","quantity":1}],})", Problem::kMalformed},
      {R"({'user_id':'u'})", Problem::kMalformed},
      {R"({"user_id":"u","items":[{"product_id":"p1","quantity":01}]})", Problem::kMalformed},
      {R"({"user_id":"u","items":[{"product_id":"p1","quantity":NaN}]})", Problem::kMalformed},
      {R"({"user_id":"u","items":[{"product_id":"p1","quantity":1e999}]})", Problem::kMalformed},
      {"{\"user_id\":\"\xff\",\"items\":[]}", Problem::kMalformed},
      {"{\"user_id\":\"a\nb\",\"items\":[]}", Problem::kMalformed},
      {R"({"user_id":"u" /* c */,"items":[]})", Problem::kMalformed},
      {R"({"items":[{"product_id":"p1","quantity":1}]})", Problem::kMissingField},
      {R"({"user_id":"u"})", Problem::kMissingField},
      {R"({"user_id":"u","items":[{"quantity":1}]})", Problem::kMissingField},
      {R"({"user_id":"u","items":[{"product_id":"p1"}]})", Problem::kMissingField},
      {R"({"user_id":"u","items":[{"product_id":"p1","quantity":1}],"x":1})", Problem::kExtraField},
      {R"({"user_id":"u","items":[{"product_id":"p1","quantity":1,"price_cents":1}]})",
       Problem::kExtraField},
      {R"({"user_id":"u","user_id":"u","items":[{"product_id":"p1","quantity":1}]})",
       Problem::kDuplicateField},
      {R"({"user_id":"u","items":[{"product_id":"p1","quantity":1,"quantity":1}]})",
       Problem::kDuplicateField},
      {R"({"user_id":"u","items":[],"x":{"y":{"a":1,"\u0061":2}}})", Problem::kDuplicateField},
      {R"({"user_id":1,"items":[{"product_id":"p1","quantity":1}]})", Problem::kWrongType},
      {R"({"user_id":null,"items":[{"product_id":"p1","quantity":1}]})", Problem::kWrongType},
      {R"({"user_id":"u","items":{"product_id":"p1","quantity":1}})", Problem::kWrongType},
      {R"({"user_id":"u","items":["p1"]})", Problem::kWrongType},
      {R"({"user_id":"u","items":[{"product_id":1,"quantity":1}]})", Problem::kWrongType},
      {R"({"user_id":"u","items":[{"product_id":"p1","quantity":"1"}]})", Problem::kWrongType},
      {R"({"user_id":"u","items":[{"product_id":"p1","quantity":1.0}]})", Problem::kWrongType},
      {R"({"user_id":"u","items":[{"product_id":"p1","quantity":1e1}]})", Problem::kWrongType},
      {R"({"user_id":"u","items":[{"product_id":"p1","quantity":true}]})", Problem::kWrongType},
      {R"({"user_id":"u","items":[{"product_id":"p1","quantity":null}]})", Problem::kWrongType},
      {R"({"user_id":"u","items":[{"product_id":"p1","quantity":99999999999999999999}]})",
       Problem::kWrongType},
      {R"({"user_id":"u","items":[{"product_id":"p1","quantity":0}]})", Problem::kQuantity},
      {R"({"user_id":"u","items":[{"product_id":"p1","quantity":-1}]})", Problem::kQuantity},
      {R"({"user_id":"u","items":[{"product_id":"p1","quantity":101}]})", Problem::kQuantity},
      {R"({"user_id":"u","items":[{"product_id":"p1","quantity":18446744073709551615}]})",
       Problem::kQuantity},
      {R"({"user_id":"u","items":[{"product_id":"p1","quantity":-9223372036854775808}]})",
       Problem::kQuantity},
      {R"({"user_id":"","items":[{"product_id":"p1","quantity":1}]})", Problem::kBadValue},
      {R"({"user_id":"a\u0000b","items":[{"product_id":"p1","quantity":1}]})", Problem::kBadValue},
      {R"({"user_id":"u","items":[]})", Problem::kBadValue},
      {R"({"user_id":"u","items":[{"product_id":"","quantity":1}]})", Problem::kUnknownProduct},
      {R"({"user_id":"u","items":[{"product_id":"p\n1","quantity":1}]})", Problem::kUnknownProduct},
  };
  for (const Bad& bad : cases) {
    CAPTURE(bad.body);
    const auto order = parse_order(bad.body);
    CHECK_FALSE(order);
    CHECK(problem_row(order.refusal.problem).word == problem_row(bad.problem).word);
    CHECK_FALSE(order.refusal.detail.empty());
  }
}

TEST_CASE("orders/request_json: long and deep input is refused, not followed") {
  const std::string long_user(kMostUserId + 1, 'u');
  auto order = parse_order(
      fmt::format(R"({{"user_id":"{}","items":[{{"product_id":"p1","quantity":1}}]}})", long_user));
  CHECK(order.refusal.problem == Problem::kBadValue);
  std::string lines = R"({"product_id":"p1","quantity":1})";
  for (size_t i = 0; i < kMostLines; ++i) lines += R"(,{"product_id":"p1","quantity":1})";
  order = parse_order(fmt::format(R"({{"user_id":"u","items":[{}]}})", lines));
  CHECK(order.refusal.problem == Problem::kBadValue);
  order = parse_order(std::string(60'000, '['));
  CHECK(order.refusal.problem == Problem::kMalformed);
  std::string deep = std::string(30'000, '[') + std::string(30'000, ']');
  CHECK(parse_order(deep).refusal.problem == Problem::kWrongType);
}

TEST_CASE("orders/request_json: SQL is text like any other") {
  const auto order = parse_order(fmt::format(
      R"({{"user_id":"{}","items":[{{"product_id":"{}","quantity":1}}]}})", kSql, kSql));
  REQUIRE(order);
  CHECK(order.value.user_id == kSql);
  CHECK(order.value.lines[0].product_id == kSql);
}

TEST_CASE("orders/request_json: the fingerprint tells orders apart, not spellings of one") {
  const auto print = [](const char* body) {
    const auto order = parse_order(body);
    REQUIRE(order);
    return order.value.fingerprint;
  };
  const std::string one = print(R"({"user_id":"u1","items":[{"product_id":"p1","quantity":1}]})");
  CHECK(one == print(R"( {"items": [{"quantity": 1, "product_id": "p\u0031"}], "user_id":"u1"})"));
  const char* others[] = {
      R"({"user_id":"u2","items":[{"product_id":"p1","quantity":1}]})",
      R"({"user_id":"u1","items":[{"product_id":"p2","quantity":1}]})",
      R"({"user_id":"u1","items":[{"product_id":"p1","quantity":2}]})",
      R"({"user_id":"u1","items":[{"product_id":"p1","quantity":1},
          {"product_id":"p1","quantity":1}]})",
  };
  for (const char* other : others) CHECK(one != print(other));
}

TEST_CASE("orders/request_json: a restock is a quantity and nothing else") {
  const auto good = parse_restock(R"({"quantity": 100})");
  REQUIRE(good);
  CHECK(good.value == 100);
  const Bad cases[] = {
      {"", Problem::kMalformed},
      {"100", Problem::kWrongType},
      {"{}", Problem::kMissingField},
      {R"({"quantity": "100"})", Problem::kWrongType},
      {R"({"quantity": 0})", Problem::kQuantity},
      {R"({"quantity": 1000001})", Problem::kQuantity},
      {R"({"quantity": 1, "product_id": "p1"})", Problem::kExtraField},
      {R"({"quantity": 1, "quantity": 2})", Problem::kDuplicateField},
  };
  for (const Bad& bad : cases) {
    CAPTURE(bad.body);
    const auto restock = parse_restock(bad.body);
    CHECK_FALSE(restock);
    CHECK(restock.refusal.problem == bad.problem);
  }
}

TEST_CASE("orders/request_json: a seed file names products, each once") {
  const auto good = parse_seed(
      R"({"products": [{"id": "mug-1", "name": "Tasse für Tee", "price_cents": 1, "stock": 3}]})");
  REQUIRE(good);
  CHECK(good.value == std::vector<Product>{{"mug-1", "Tasse für Tee", 1, 3}});
  const Bad cases[] = {
      {"", Problem::kMalformed},
      {R"({"products": []})", Problem::kWrongType},
      {R"({"products": [{"id": "p", "name": "n", "price_cents": 1}]})", Problem::kMissingField},
      {R"({"products": [{"id": "p/1", "name": "n", "price_cents": 1, "stock": 1}]})",
       Problem::kBadValue},
      {R"({"products": [{"id": "p", "name": "n", "price_cents": -1, "stock": 1}]})",
       Problem::kBadValue},
      {R"({"products": [{"id": "p", "name": "n", "price_cents": 1.5, "stock": 1}]})",
       Problem::kWrongType},
      {R"({"products": [{"id": "p", "name": "n", "price_cents": 1, "stock": 1},
                        {"id": "p", "name": "m", "price_cents": 1, "stock": 1}]})",
       Problem::kBadValue},
  };
  for (const Bad& bad : cases) {
    CAPTURE(bad.body);
    const auto seed = parse_seed(bad.body);
    CHECK_FALSE(seed);
    CHECK(seed.refusal.problem == bad.problem);
  }
  REQUIRE(default_seed().size() >= 2);
  for (const Product& product : default_seed()) CHECK(product.stock == 1000);
}
