// The parts of the gate that need no Redis.
#include <doctest/doctest.h>

#include "src/orders/gate/gate_teller.h"
#include "src/orders/gate/order_entry.h"
#include "src/orders/gate/past_gate.h"
#include "src/orders/gate/sold_out_memory.h"
#include "tests/unit/orders/support.h"

using namespace sluice;
using namespace sluice::orders;
using std::chrono::milliseconds;

TEST_CASE("orders/gate/memory: sold out holds for a second, and until units come back") {
  const TimePoint now{std::chrono::hours(1)};
  SoldOutMemory memory;
  memory.learn_sold_out("p1", 0, now);
  CHECK_FALSE(memory.left("p1", now));  // nobody would tell it of units
  memory.set_listening(true);
  memory.learn_sold_out("p1", 0, now);
  memory.learn_sold_out("p2", 3, now);
  CHECK(memory.left("p1", now) == 0);
  CHECK(memory.left("p2", now + milliseconds(999)) == 3);
  CHECK_FALSE(memory.left("p2", now + milliseconds(1000)));
  CHECK_FALSE(memory.left("p3", now));
  memory.on_news("p1", now + milliseconds(1));
  CHECK_FALSE(memory.left("p1", now));
  CHECK(memory.left("p2", now) == 3);
  // Asked before the news, answered after it.
  memory.learn_sold_out("p1", 0, now);
  CHECK_FALSE(memory.left("p1", now));
  memory.learn_sold_out("p1", 0, now + milliseconds(2));
  CHECK(memory.left("p1", now + milliseconds(2)) == 0);
  memory.on_news("", now + milliseconds(3));
  CHECK_FALSE(memory.left("p1", now + milliseconds(3)));
  memory.learn_sold_out("p1", 0, now + milliseconds(4));
  memory.set_listening(false);
  CHECK_FALSE(memory.left("p1", now + milliseconds(4)));
}

TEST_CASE("orders/gate/memory: keys that are known are asked for, of this epoch") {
  SoldOutMemory memory;
  memory.learn_key("k1");
  memory.set_last("17");
  CHECK(memory.may_know("k1"));
  CHECK_FALSE(memory.may_know("k2"));
  memory.begin_epoch();
  CHECK_FALSE(memory.may_know("k1"));
  CHECK(memory.last() == "0");
}

TEST_CASE("orders/gate/past: some at a time, some wait, the rest is refused at once") {
  loop::Loop loop;
  PastGate past(loop);
  size_t gone = 0, late = 0, full = 0;
  const auto go = [&](Status status) {
    if (status) {
      ++gone;
    } else {
      ++(status.error().code() == Errc::kQueueFull ? full : late);
    }
  };
  for (size_t i = 0; i < PastGate::kAtOnce + PastGate::kWaiting + 3; ++i) past.enter(go);
  CHECK(gone == PastGate::kAtOnce);
  CHECK(full == 3);
  past.leave();
  CHECK(gone == PastGate::kAtOnce + 1);
  REQUIRE(test::run_until(loop, [&] { return late > 0; }));
  CHECK(late == PastGate::kWaiting - 1);
  for (size_t i = 0; i < PastGate::kAtOnce; ++i) past.leave();
  past.enter(go);
  CHECK(gone == PastGate::kAtOnce + 2);
}

TEST_CASE("orders/gate/entry: an order comes back as it was; nothing else is an order") {
  const WallTime at{milliseconds(1'769'860'800'123)};
  const Order order{"o-1",
                    "u\"1",
                    "paid",
                    2598,
                    {{"p1", 2, 1299}, {"p2", 1, 0}},
                    {{"accepted", at}, {"paid", at}},
                    2,
                    "r1"};
  const std::string entry = entry_of(order);
  CHECK(entry.starts_with("2 "));
  const auto read = read_entry(entry, "o-1");
  REQUIRE(read);
  CHECK(read->user_id == order.user_id);
  CHECK(read->status == "paid");
  CHECK(read->total_cents == 2598);
  CHECK(read->lines == order.lines);
  CHECK(read->version == 2);
  REQUIRE(read->history.size() == 2);
  CHECK(read->history[1].at == at);
  CHECK_FALSE(read_entry(entry, "o-2"));
  for (size_t i = 2; i < entry.size(); ++i) {
    std::string broken = entry;
    broken[i] ^= 1;
    CHECK_FALSE(read_entry(broken, "o-1"));
    CHECK_FALSE(read_entry(std::string_view(entry).substr(0, i), "o-1"));
  }
  for (const char* text : {"", " ", "1", "1 ", "1 {}", "{}"}) CHECK_FALSE(read_entry(text, "o-1"));
}

TEST_CASE("orders/gate/entry: so does a product") {
  const Product product{"p1", "A \"mug\"", 1299, 0};
  const auto read = read_item(item_of(product), 7);
  REQUIRE(read);
  CHECK(*read == Product{"p1", "A \"mug\"", 1299, 7});
  CHECK_FALSE(read_item("nonsense", 7));
}

TEST_CASE("orders/gate/teller: lines of one product are one number, by product") {
  const auto units = units_of({{"p2", 1, 5}, {"p1", 2, 5}, {"p2", 3, 5}});
  CHECK(units == std::vector<OrderLine>{{"p1", 2, 0}, {"p2", 4, 0}});
}
