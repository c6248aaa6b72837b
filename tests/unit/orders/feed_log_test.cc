#include "sluice/orders/page/feed_log.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

using namespace sluice;
using namespace sluice::orders;
using std::chrono::seconds;

namespace {

const TimePoint kStart = TimePoint(seconds(100));

PlacedEvent placed(int64_t seq) {
  Order order;
  order.id = "o" + std::to_string(seq);
  order.user_id = "secret";
  order.status = kAccepted;
  order.lines = {{"p1", 2, 1299}};
  return {seq, make_event(order, {}, WallTime{})};
}

std::vector<PlacedEvent> placed(int64_t from, int64_t to) {
  std::vector<PlacedEvent> events;
  for (int64_t seq = from; seq <= to; ++seq) events.push_back(placed(seq));
  return events;
}

// "2:o2 3:o3": the ids and orders of messages; "skipped" for the event of that name.
std::string told(const std::string& text) {
  std::string all;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find("\n\n", at);
    REQUIRE(end != std::string::npos);
    const std::string block = text.substr(at, end - at);
    at = end + 2;
    if (!all.empty()) all += ' ';
    if (block == "event: skipped\ndata: {}") {
      all += "skipped";
      continue;
    }
    const size_t data = block.find("\nevent: order\ndata: ");
    REQUIRE(block.starts_with("id: "));
    REQUIRE(data != std::string::npos);
    const auto json = nlohmann::json::parse(block.substr(data + 20));
    all += block.substr(4, data - 4) + ":" + json.at("order_id").get<std::string>();
  }
  return all;
}

}  // namespace

TEST_CASE("orders/feed_log: a message shows the order and nothing of its user") {
  CHECK(feed_message(7, placed(1).event) ==
        "id: 7\nevent: order\ndata: "
        R"({"order_id":"o1","version":1,"status":"accepted",)"
        R"("items":[{"product_id":"p1","quantity":2}],"at":"1970-01-01T00:00:00.000Z"})"
        "\n\n");
  Event event = placed(1).event;
  for (const char* payload : {"", "[]", "{\"items\":7}", "{\"items\":[1,{}]}"}) {
    CAPTURE(payload);
    event.payload = payload;
    CHECK(feed_message(7, event).find("\"order_id\":\"o1\"") != std::string::npos);
  }
  Order large;
  large.status = kAccepted;
  large.lines.assign(50, {"p1", 1, 1});
  const std::string text = feed_message(1, make_event(large, {}, WallTime{}));
  CHECK(text.size() < 700);
}

TEST_CASE("orders/feed_log: each event is told once, however often it is read") {
  FeedLog log;
  CHECK(log.take({}, kStart) == "");
  CHECK(told(log.take(placed(1, 3), kStart)) == "1:o1 2:o2 3:o3");
  CHECK(log.position() == 3);
  CHECK(log.take({}, kStart) == "");
  CHECK(log.take(placed(2, 3), kStart) == "");
  CHECK(told(log.take(placed(3, 4), kStart)) == "4:o4");
}

TEST_CASE("orders/feed_log: one that is seen late is told late, and its place is read until then") {
  FeedLog log;
  log.take(placed(1, 2), kStart);
  CHECK(told(log.take({placed(4), placed(6)}, kStart)) == "2:o4 2:o6");
  CHECK(log.position() == 2);
  CHECK(told(log.take({placed(3), placed(4), placed(6)}, kStart + seconds(1))) == "4:o3");
  // 5 never comes: its transaction was undone.
  CHECK(log.take({placed(6)}, kStart + FeedLog::kSettled - seconds(1)) == "");
  CHECK(log.position() == 4);
  CHECK(log.take({placed(6)}, kStart + FeedLog::kSettled) == "");
  CHECK(log.position() == 6);
  CHECK(told(log.take({placed(7)}, kStart + seconds(9))) == "7:o7");
}

TEST_CASE("orders/feed_log: many places that stay empty hold nothing up for longer than one") {
  FeedLog log;
  log.take(placed(1, 1), kStart);
  std::vector<PlacedEvent> odd;
  for (int64_t seq = 3; seq < 60; seq += 2) odd.push_back(placed(seq));
  log.take(odd, kStart);
  CHECK(log.position() == 1);
  CHECK(log.take(odd, kStart + FeedLog::kSettled) == "");
  CHECK(log.position() == 59);
}

TEST_CASE("orders/feed_log: what is too much for one read is skipped, and that is said") {
  constexpr auto kMost = static_cast<int64_t>(FeedLog::kMostRead);
  FeedLog log;
  // At the beginning nothing was promised.
  CHECK(told(log.take(placed(1001, 1000 + kMost), kStart)).starts_with("1001:o1001 1002:o1002 "));
  CHECK(log.position() == 1000 + kMost);
  CHECK(told(log.take(placed(2001, 2000 + kMost), kStart)).starts_with("skipped 2001:o2001 "));
  CHECK(log.position() == 2000 + kMost);
  // A full read without a hole in it.
  const std::string next = told(log.take(placed(2001 + kMost, 2000 + 2 * kMost), kStart));
  CHECK(next.starts_with("2201:o2201 "));
}

TEST_CASE("orders/feed_log: who comes back gets what came behind its place") {
  FeedLog log;
  CHECK(log.since(7) == "");
  log.take(placed(1, 5), kStart);
  CHECK(told(log.since(std::nullopt)) == "1:o1 2:o2 3:o3 4:o4 5:o5");
  CHECK(told(log.since(3)) == "4:o4 5:o5");
  CHECK(log.since(5) == "");
  CHECK(log.since(9) == "");  // of another database
  log.take(placed(6, 150), kStart);
  CHECK(told(log.since(3)).starts_with("skipped 51:o51 "));
  CHECK(told(log.since(50)).starts_with("51:o51 "));
  CHECK(told(log.since(std::nullopt)).starts_with("51:o51 "));
}
