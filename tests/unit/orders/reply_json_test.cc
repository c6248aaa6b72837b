#include "sluice/orders/reply_json.h"

#include <doctest/doctest.h>

#include "sluice/orders/order_id.h"

using namespace sluice;
using namespace sluice::orders;

TEST_CASE("orders/reply_json: the shapes of the contract") {
  const WallTime at{std::chrono::milliseconds(1'769'860'800'123)};
  const Order order{"o-1", "u1", "accepted", 2598, {{"p1", 2, 1299}}, {{"accepted", at}}, 1, {}};
  CHECK(accepted_body(order) ==
        R"({"order_id":"o-1","status":"accepted","total_cents":2598,)"
        R"("items":[{"product_id":"p1","quantity":2,"price_cents":1299}]})");
  CHECK(order_body(order) ==
        R"({"order_id":"o-1","user_id":"u1","status":"accepted","total_cents":2598,)"
        R"("items":[{"product_id":"p1","quantity":2,"price_cents":1299}],)"
        R"("states":[{"state":"accepted","at":"2026-01-31T12:00:00.123Z"}]})");
  CHECK(orders_body({}) == R"({"orders":[]})");
  CHECK(orders_body({order}) == R"({"orders":[)" + order_body(order) + "]}");
  const Product product{"p1", "A \"mug\"", 1299, 200};
  CHECK(product_body(product) ==
        R"({"id":"p1","name":"A \"mug\"","price_cents":1299,"stock":200})");
  CHECK(products_body({product}) == R"({"products":[)" + product_body(product) + "]}");
}

TEST_CASE("orders/reply_json: status has counts by state, stock, and drift either way") {
  Totals totals;
  CHECK(status_body({"a", "sqlite:x", 0}, totals) ==
        R"({"name":"a","version":"0.1.0","database":"sqlite:x","orders":{"accepted":0},)"
        R"("stock":[],"queue_depth":0,"drift":0})");
  totals.orders = {{"accepted", 3}};
  totals.stock = {{"p1", 10, 6, 3, 0, 6}, {"p2", 10, 6, 5, 0, 6}};
  CHECK(
      status_body({"a", "sqlite:x", 7}, totals) ==
      R"({"name":"a","version":"0.1.0","database":"sqlite:x","orders":{"accepted":3},"stock":[)"
      R"({"product_id":"p1","supplied":10,"available":6,"held":3,"sold":0},)"
      R"({"product_id":"p2","supplied":10,"available":6,"held":5,"sold":0}],"queue_depth":7,"drift":2})");
}

TEST_CASE("orders/problem: every word is its own, and ends the type (RFC 9457)") {
  for (size_t i = 0; i < static_cast<size_t>(Problem::kCount); ++i) {
    const auto problem = static_cast<Problem>(i);
    const ProblemRow& row = problem_row(problem);
    for (size_t j = 0; j < i; ++j) CHECK(problem_row(static_cast<Problem>(j)).word != row.word);
    const proxy::HandlerReply reply = problem_reply({problem, "the \"detail\" \xff"});
    CHECK(reply.status == row.status);
    CHECK(reply.body.find("/" + std::string(row.word) + "\"") != std::string::npos);
    CHECK(reply.body.find(R"("detail":"the \"detail\" )") != std::string::npos);
    bool has_retry_after = false;
    for (const auto& [name, value] : reply.fields) has_retry_after |= name == "Retry-After";
    CHECK(has_retry_after ==
          (row.status == 503 || row.status == 429 || problem == Problem::kInProgress));
  }
}

TEST_CASE("orders/order_id: version 7 UUIDs grow with time and differ within it (RFC 9562)") {
  const WallTime at{std::chrono::milliseconds(0x0123456789ab)};
  const std::string id = make_order_id(at);
  CHECK(id.size() == 36);
  CHECK(id.substr(0, 15) == "01234567-89ab-7");
  CHECK(std::string("89ab").find(id[19]) != std::string::npos);
  CHECK(make_order_id(at) != id);
  CHECK(make_order_id(at + std::chrono::milliseconds(1)) > id);
}
