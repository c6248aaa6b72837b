#include "sluice/orders/reply_json.h"

#include <doctest/doctest.h>

#include "sluice/orders/order_id.h"
#include "sluice/orders/order_metrics.h"

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

TEST_CASE("orders/reply_json: any text is a JSON string (RFC 8259 section 7)") {
  CHECK(json_string("") == R"("")");
  CHECK(json_string("plain ~") == R"("plain ~")");
  CHECK(json_string("\"\\\n\x1f") == R"("\"\\\n\u001f")");
  CHECK(json_string(std::string("a\0b", 3)) == R"("a\u0000b")");
  CHECK(json_string("m\u00fcg") == "\"m\u00fcg\"");
  CHECK(json_string("\xFF") == "\"\uFFFD\"");
  CHECK(items_json({}) == "[]");
  const Order two{"o", "u", "accepted", 3, {{"p1", 1, 1}, {"p\"2", 1, 2}}, {}, 1, {}};
  CHECK(items_json(two) == R"([{"product_id":"p1","quantity":1,"price_cents":1},)"
                           R"({"product_id":"p\"2","quantity":1,"price_cents":2}])");
}

TEST_CASE("orders/reply_json: status has counts by state, stock, and drift either way") {
  Totals totals;
  CHECK(status_body({"a", "sqlite:x", 0}, totals) ==
        R"({"name":"a","version":"0.1.0","database":"sqlite:x",)"
        R"("orders":{"accepted":0,"paid":0,"shipped":0,"failed":0},"stock":[],"queue_depth":0,)"
        R"("oldest_event_ms":0,"parked":0,"waiting_writes":0,"drift":0})");
  totals.orders = {{"accepted", 3}, {"shipped", 2}};
  totals.stock = {{"p1", 10, 6, 2, 1, 6}, {"p2", 10, 6, 5, 0, 4}};
  totals.outbox = 4;
  totals.outbox_oldest = std::chrono::milliseconds(1500);
  totals.parked = 1;
  CHECK(status_body({"a", "sqlite:x", 7}, totals) ==
        R"({"name":"a","version":"0.1.0","database":"sqlite:x",)"
        R"("orders":{"accepted":3,"paid":0,"shipped":2,"failed":0},"stock":[)"
        R"({"product_id":"p1","supplied":10,"available":6,"held":2,"sold":1,"ledger":6},)"
        R"({"product_id":"p2","supplied":10,"available":6,"held":5,"sold":0,"ledger":4}],)"
        R"("queue_depth":4,"oldest_event_ms":1500,"parked":1,"waiting_writes":7,"drift":4})");
}

TEST_CASE("orders/order_metrics: what Prometheus reads") {
  Totals totals;
  totals.orders = {{"paid", 3}};
  totals.stock = {{"p1", 10, 6, 0, 3, 6}};
  totals.outbox = 4;
  ApiCounts counts;
  counts.accepted = 5;
  counts.refused[static_cast<size_t>(Problem::kSoldOut)] = 2;
  const std::string text = metrics_text({"a", "sqlite:x", 7}, counts, totals);
  for (const char* line :
       {"sluice_orders_info{name=\"a\",version=\"0.1.0\"} 1\n",
        "sluice_orders_answers_total{result=\"accepted\"} 5\n",
        "sluice_orders_refusals_total{problem=\"sold_out\"} 2\n",
        "sluice_orders_waiting_writes 7\n", "sluice_orders_orders{state=\"paid\"} 3\n",
        "sluice_orders_orders{state=\"failed\"} 0\n",
        "sluice_orders_stock_units{product=\"p1\",kind=\"sold\"} 3\n",
        "sluice_orders_drift_units 1\n", "sluice_orders_outbox_events 4\n",
        "sluice_orders_parked_events 0\n"}) {
    CAPTURE(line);
    CHECK(text.find(line) != std::string::npos);
  }
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
