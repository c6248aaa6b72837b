#include "sluice/orders/event.h"

#include <doctest/doctest.h>

#include <fmt/format.h>

using namespace sluice;
using namespace sluice::orders;

namespace {

const WallTime kAt{std::chrono::milliseconds(1'769'860'800'123)};
constexpr const char* kTrace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

Order sample(std::string status = "accepted", int64_t version = 1) {
  return {"o-1", "u \"1\"", std::move(status), 2598, {{"p1", 2, 1299}}, {}, version, "req-1"};
}

}  // namespace

TEST_CASE("orders/event: the payload of the contract, which comes back as the same event") {
  const Event event = make_event(sample(), kTrace, kAt);
  CHECK(event.id == "o-1-1");
  CHECK(event.type == "order.accepted");
  CHECK(event.payload ==
        R"({"event_id":"o-1-1","type":"order.accepted","order_id":"o-1","version":1,)"
        R"("user_id":"u \"1\"","status":"accepted","total_cents":2598,)"
        R"("items":[{"product_id":"p1","quantity":2,"price_cents":1299}],)"
        R"("at":"2026-01-31T12:00:00.123Z","request_id":"req-1"})");
  CHECK(event_problem(event) == "");
  Event read = read_event(event.payload, kTrace);
  read.created = kAt;  // stands in the outbox only
  CHECK(read == event);
  CHECK(read_event(event.payload, "not a trace").traceparent == "");
}

TEST_CASE("orders/event: what is no event is told why, and can be parked as it is") {
  const Event good = make_event(sample(), {}, kAt);
  const auto with = [&](std::string_view from, std::string_view to) {
    std::string payload = good.payload;
    payload.replace(payload.find(from), from.size(), to);
    return payload;
  };
  const std::string bad[] = {
      "",
      "x",
      "[]",
      "{}",
      std::string("\x00\xFF{", 3),
      with("\"version\":1", "\"version\":2"),
      with("\"version\":1", "\"version\":\"1\""),
      with("\"version\":1", "\"version\":18446744073709551615"),
      with("order.accepted", "order.paid"),
      with("\"status\":\"accepted\"", "\"status\":\"paid\""),
      with("\"order_id\":\"o-1\"", "\"order_id\":\"o-2\""),
      with("\"items\":[", "\"other\":["),
      with("\"user_id\":\"u", "\"user\":\"u"),
  };
  for (const std::string& payload : bad) {
    CAPTURE(payload);
    const Event event = read_event(payload, {});
    CHECK(event_problem(event) != "");
    CHECK(event.id != "");
    CHECK(event.payload.find('\0') == std::string::npos);
    CHECK(event.payload.find('\xFF') == std::string::npos);
  }
  CHECK(read_event("x", {}).id == read_event("x", {}).id);
  CHECK(read_event("x", {}).id != read_event("y", {}).id);
  // A row of the outbox whose columns do not fit its payload.
  Event other = good;
  other.order_id = "o-2";
  CHECK(event_problem(other) == "the fields of the event do not fit each other");
}

TEST_CASE("orders/event: accepted, then paid or failed, then shipped") {
  const auto next = [](const char* status, int64_t version, double share) {
    return next_status(make_event(sample(status, version), {}, kAt), share);
  };
  CHECK(next("accepted", 1, 0) == "paid");
  CHECK(next("accepted", 1, 1) == "failed");
  CHECK(next("paid", 2, 1) == "shipped");
  CHECK(next("shipped", 3, 1) == "");
  CHECK(next("failed", 2, 1) == "");
  for (const auto& [status, version] : {std::pair("accepted", 1), std::pair("paid", 2),
                                        std::pair("failed", 2), std::pair("shipped", 3)}) {
    CHECK(event_problem(make_event(sample(status, version), {}, kAt)) == "");
  }
}

TEST_CASE(
    "orders/event: payment fails for the share asked for, and for the same orders each time") {
  int failed = 0, less = 0;
  for (int i = 0; i < 1000; ++i) {
    Event event;
    event.type = "order.accepted";
    event.order_id = fmt::format("o-{}", i);
    const bool fails = next_status(event, 0.3) == kFailed;
    failed += fails ? 1 : 0;
    CHECK((next_status(event, 0.3) == kFailed) == fails);
    // Who fails at a small share fails at a larger one.
    if (next_status(event, 0.1) == kFailed) {
      ++less;
      CHECK(fails);
    }
  }
  CHECK(failed > 230);
  CHECK(failed < 370);
  CHECK(less < failed);
}
