// One table of cases for every store: SQLite, and PostgreSQL at each isolation level. What they
// have to do alike is here, what only one of them has to do is in its own test.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "pg_support.h"
#include "sluice/orders/event.h"
#include "sluice/orders/sqlite/store_sqlite.h"

using namespace sluice;
using namespace sluice::orders;
using test::new_order;
using test::run_until;

namespace {

enum class Kind : uint8_t { sqlite, committed, repeatable, serializable };

constexpr std::pair<Kind, const char*> kKinds[] = {{Kind::sqlite, "sqlite"},
                                                   {Kind::committed, "postgres read committed"},
                                                   {Kind::repeatable, "postgres repeatable read"},
                                                   {Kind::serializable, "postgres serializable"}};

// A new database, with as many stores on it as a test wants: each is what a process has.
class Shop {
 public:
  Shop(Kind kind, int64_t stock, int stores = 1) : kind_(kind), stock_(stock) {
    if (kind != Kind::sqlite) database_ = std::make_unique<test::PgDatabase>();
    for (int i = 0; i < stores; ++i) stores_.push_back(open());
  }

  ShopStore& store(size_t i = 0) { return *stores_[i]; }

  template <typename T, typename Call>
  Result<T> get(Call call) {
    auto got = std::make_shared<std::optional<Result<T>>>();
    call([got](Result<T> result) {
      CHECK_FALSE(*got);
      *got = std::move(result);
    });
    CHECK_FALSE(*got);
    REQUIRE(run_until(loop, [&] { return got->has_value(); }));
    return **std::move(got);
  }
  Placed place(NewOrder order) {
    auto placed = get<Placed>([&](auto a) { store().place(std::move(order), a); });
    REQUIRE(placed);
    return *std::move(placed);
  }
  std::optional<Product> product(const std::string& id) {
    auto found = get<std::optional<Product>>([&](auto a) { store().product(id, a); });
    REQUIRE(found);
    return *std::move(found);
  }
  std::optional<Order> order(const std::string& id) {
    auto found = get<std::optional<Order>>([&](auto a) { store().order(id, a); });
    REQUIRE(found);
    return *std::move(found);
  }
  // Whatever was done, the books agree.
  Totals totals() {
    auto totals = get<Totals>([&](auto a) { store().totals(a); });
    REQUIRE(totals);
    for (const StockTotals& stock : totals->stock) {
      CHECK(stock.drift() == 0);
      CHECK(stock.ledger_drift() == 0);
    }
    return *std::move(totals);
  }
  int64_t order_count() {
    int64_t count = 0;
    for (const auto& [state, orders] : totals().orders) count += orders;
    return count;
  }
  std::vector<TakenEvent> take(size_t most, Duration lease = std::chrono::seconds(60)) {
    auto taken = get<std::vector<TakenEvent>>([&](auto a) { store().take_unsent(most, lease, a); });
    REQUIRE(taken);
    return *std::move(taken);
  }
  Applied apply(const Event& event, std::string_view next) {
    auto applied = get<Applied>([&](auto a) {
      store().apply(event, Handling{"work", std::string(next)}, a);
    });
    REQUIRE(applied);
    return *std::move(applied);
  }

  loop::Loop loop;

 private:
  std::unique_ptr<ShopStore> open() {
    OpenedStore opened =
        kind_ == Kind::sqlite
            ? open_sqlite_store(loop, folder_.file("orders.db"), test::products(stock_))
            : open_postgres_store(loop, database_->url(isolation()), test::products(stock_));
    REQUIRE(opened.problem == "");
    CHECK(opened.is_new == stores_.empty());
    return std::move(opened.store);
  }
  std::string isolation() const {
    switch (kind_) {
      case Kind::repeatable:
        return "&isolation=repeatable-read";
      case Kind::serializable:
        return "&isolation=serializable";
      case Kind::sqlite:
      case Kind::committed:
        break;
    }
    return "";
  }

  Kind kind_;
  int64_t stock_;
  test::TemporaryFolder folder_;
  std::unique_ptr<test::PgDatabase> database_;
  std::vector<std::unique_ptr<ShopStore>> stores_;
};

struct Tally {
  int accepted = 0, replayed = 0, sold_out = 0, limited = 0, failed = 0;
  int all() const { return accepted + replayed + sold_out + limited + failed; }
  Answer<Placed> adder() {
    return [this](Result<Placed> placed) {
      if (!placed) {
        MESSAGE(placed.error().text());
        ++failed;
      } else {
        ++(placed->verdict == Verdict::accepted     ? accepted
           : placed->verdict == Verdict::replayed   ? replayed
           : placed->verdict == Verdict::user_limit ? limited
                                                    : sold_out);
      }
    };
  }
};

// Buyers that each place their next order when the last one is answered.
class Buyers {
 public:
  Buyers(Shop& shop, size_t stores, int buyers, int orders_each)
      : shop_(shop), stores_(stores), left_(static_cast<size_t>(buyers), orders_each) {}
  std::function<std::vector<OrderLine>(int buyer)> lines = [](int) {
    return std::vector<OrderLine>{{"p1", 1, 0}};
  };
  Tally run() {
    const int all = static_cast<int>(left_.size()) * left_[0];
    for (size_t i = 0; i < left_.size(); ++i) next(i);
    REQUIRE(run_until(shop_.loop, [&] { return tally_.all() == all; }));
    return tally_;
  }

 private:
  void next(size_t buyer) {
    if (left_[buyer]-- == 0) return;
    const std::string key = fmt::format("{}-{}", buyer, left_[buyer]);
    shop_.store(buyer % stores_)
        .place(new_order(key, lines(static_cast<int>(buyer))),
               [this, buyer](Result<Placed> placed) {
                 tally_.adder()(std::move(placed));
                 next(buyer);
               });
  }

  Shop& shop_;
  size_t stores_;
  std::vector<int> left_;
  Tally tally_;
};

template <typename Body>
void for_each_kind(Body body) {
  for (const auto& [kind, name] : kKinds) {
    CAPTURE(name);
    body(kind);
  }
}

}  // namespace

TEST_CASE("orders/stores: an order takes its stock and can be read") {
  for_each_kind([](Kind kind) {
    Shop shop(kind, 10);
    const Placed placed = shop.place(new_order("k1", {{"p2", 3, 0}, {"p1", 1, 0}, {"p2", 1, 0}}));
    CHECK(placed.verdict == Verdict::accepted);
    CHECK(placed.reply.status == 201);
    CHECK(placed.reply.sold_out.empty());
    const auto order = shop.order(placed.reply.order_id);
    REQUIRE(order);
    CHECK(order->user_id == "u1");
    CHECK(order->status == "accepted");
    CHECK(order->version == 1);
    CHECK(order->total_cents == 4 * 799 + 1299);
    CHECK(order->lines == std::vector<OrderLine>{{"p2", 3, 799}, {"p1", 1, 1299}, {"p2", 1, 799}});
    CHECK(order->history.size() == 1);
    CHECK(shop.product("p2")->stock == 6);
    CHECK_FALSE(shop.order("none"));
    CHECK_FALSE(shop.product("none"));
    CHECK(shop.totals().stock[1].held == 4);
  });
}

TEST_CASE("orders/stores: an order is met whole or changes nothing") {
  for_each_kind([](Kind kind) {
    Shop shop(kind, 10);
    Placed placed = shop.place(new_order("k1", {{"p2", 11, 0}, {"p1", 5, 0}}));
    CHECK(placed.verdict == Verdict::sold_out);
    CHECK(placed.product_id == "p2");
    CHECK(placed.requested == 11);
    CHECK(placed.available == 10);
    placed = shop.place(new_order("k2", {{"p1", 6, 0}, {"p1", 5, 0}}));
    CHECK(placed.verdict == Verdict::sold_out);
    placed = shop.place(new_order("k3", {{"p1", 1, 0}, {"p9", 1, 0}}));
    CHECK(placed.verdict == Verdict::unknown_product);
    CHECK(placed.product_id == "p9");
    CHECK(shop.order_count() == 0);
    CHECK(shop.totals().stock[0].available == 10);
    // A refusal does not use up its key.
    CHECK(shop.place(new_order("k1", {{"p1", 1, 0}})).verdict == Verdict::accepted);
  });
}

TEST_CASE("orders/stores: who takes the last unit is told, and is told so again") {
  for_each_kind([](Kind kind) {
    Shop shop(kind, 10);
    const NewOrder order = new_order("k1", {{"p2", 10, 0}, {"p1", 10, 0}});
    CHECK(shop.place(order).reply.sold_out == std::vector<std::string>{"p1", "p2"});
    const Placed again = shop.place(order);
    CHECK(again.verdict == Verdict::replayed);
    CHECK(again.reply.sold_out == std::vector<std::string>{"p1", "p2"});
  });
}

TEST_CASE("orders/stores: a key is answered once, and not for another payload (draft 2.6)") {
  for_each_kind([](Kind kind) {
    Shop shop(kind, 10);
    NewOrder order = new_order("k1", {{"p1", 1, 0}});
    order.reply_status = 202;
    const Placed first = shop.place(order);
    order.reply_status = 201;
    const Placed again = shop.place(order);
    CHECK(again.verdict == Verdict::replayed);
    CHECK(again.reply.body == first.reply.body);
    CHECK(again.reply.status == 202);
    CHECK(again.reply.order_id == first.reply.order_id);
    CHECK(shop.place(new_order("k1", {{"p1", 2, 0}})).verdict == Verdict::key_reused);
    CHECK(shop.order_count() == 1);
    CHECK(shop.product("p1")->stock == 9);
  });
}

TEST_CASE("orders/stores: one key sent to several processes at once is one order") {
  for_each_kind([](Kind kind) {
    Shop shop(kind, 1, 3);  // the only unit: a repetition must not hear that it is sold out
    Tally tally;
    for (size_t i = 0; i < 12; ++i) {
      shop.store(i % 3).place(new_order("k1", {{"p1", 1, 0}}), tally.adder());
    }
    REQUIRE(run_until(shop.loop, [&] { return tally.all() == 12; }));
    CHECK(tally.accepted == 1);
    CHECK(tally.replayed == 11);
    CHECK(shop.order_count() == 1);
  });
}

TEST_CASE("orders/stores: SQL in every field is data") {
  for_each_kind([](Kind kind) {
    Shop shop(kind, 10);
    const std::string sql = "'; DROP TABLE orders; --\"\\{},$1 NULL";
    NewOrder order = new_order(sql, {{"p1", 1, 0}});
    order.user_id = order.request_id = order.traceparent = sql;
    const Placed placed = shop.place(order);
    CHECK(placed.verdict == Verdict::accepted);
    CHECK(shop.place(order).verdict == Verdict::replayed);
    CHECK(shop.place(new_order("k", {{sql, 1, 0}})).verdict == Verdict::unknown_product);
    CHECK(shop.order(placed.reply.order_id)->user_id == sql);
    CHECK_FALSE(shop.product(sql));
    const auto orders =
        shop.get<std::vector<Order>>([&](auto a) { shop.store().orders_of(sql, a); });
    REQUIRE(orders);
    CHECK(orders->size() == 1);
    const auto events = shop.take(10);
    REQUIRE(events.size() == 1);
    CHECK(events[0].event.traceparent == sql);
    CHECK(event_problem(events[0].event) == "");
  });
}

TEST_CASE("orders/stores: 50 buyers at once on three processes get exactly what there is") {
  for_each_kind([](Kind kind) {
    constexpr int kStock = 120;
    Shop shop(kind, kStock, 3);
    const Tally tally = Buyers(shop, 3, 50, 10).run();
    CHECK(tally.accepted == kStock);
    CHECK(tally.sold_out == 500 - kStock);
    CHECK(tally.failed == 0);
    CHECK(shop.order_count() == kStock);
    CHECK(shop.product("p1")->stock == 0);
    CHECK(shop.totals().outbox == kStock);
  });
}

TEST_CASE("orders/stores: products in any order make no deadlock, and each order is whole") {
  for_each_kind([](Kind kind) {
    Shop shop(kind, 100, 3);
    Buyers buyers(shop, 3, 20, 6);
    buyers.lines = [](int buyer) {
      return buyer % 2 == 0 ? std::vector<OrderLine>{{"p1", 1, 0}, {"p2", 2, 0}}
                            : std::vector<OrderLine>{{"p2", 2, 0}, {"p1", 1, 0}};
    };
    const Tally tally = buyers.run();
    CHECK(tally.accepted == 50);
    CHECK(tally.failed == 0);
    CHECK(shop.product("p1")->stock == 50);
    CHECK(shop.product("p2")->stock == 0);
    shop.totals();
  });
}

TEST_CASE("orders/stores: a user's limit holds across processes") {
  for_each_kind([](Kind kind) {
    Shop shop(kind, 100, 3);
    Tally tally;
    for (size_t i = 0; i < 30; ++i) {
      NewOrder order = new_order(fmt::format("k{}", i), {{"p1", 1, 0}});
      order.user_limit = 4;
      shop.store(i % 3).place(std::move(order), tally.adder());
    }
    REQUIRE(run_until(shop.loop, [&] { return tally.all() == 30; }));
    CHECK(tally.accepted == 4);
    CHECK(tally.limited == 26);
    CHECK(shop.order_count() == 4);
  });
}

TEST_CASE("orders/stores: restocked units are sold, and stand in the ledger") {
  for_each_kind([](Kind kind) {
    Shop shop(kind, 10);
    CHECK(shop.place(new_order("k1", {{"p1", 10, 0}})).verdict == Verdict::accepted);
    const auto restock = [&](const char* id) {
      return *shop.get<std::optional<Product>>([&](auto a) { shop.store().restock(id, 5, a); });
    };
    CHECK(*restock("p1") == Product{"p1", "Coffee mug", 1299, 5});
    CHECK_FALSE(restock("p9"));
    CHECK(shop.place(new_order("k2", {{"p1", 5, 0}})).verdict == Verdict::accepted);
    CHECK(shop.totals().stock[0].supplied == 15);
  });
}

TEST_CASE("orders/stores: an event is leased to one taker, and gone when it is marked") {
  for_each_kind([](Kind kind) {
    Shop shop(kind, 10);
    std::vector<std::string> ids;
    for (int i = 0; i < 5; ++i) {
      const Placed placed = shop.place(new_order(fmt::format("k{}", i), {{"p1", 1, 0}}));
      ids.push_back(event_id(placed.reply.order_id, 1));
    }
    const auto first = shop.take(3);
    const auto rest = shop.take(10);
    REQUIRE(first.size() == 3);
    REQUIRE(rest.size() == 2);
    CHECK(shop.take(10).empty());
    CHECK(first[0].attempts == 1);
    for (size_t i = 0; i < 3; ++i) CHECK(first[i].event.id == ids[i]);
    const auto mark = [&](std::vector<std::string> ids) {
      return shop.get<Ok>([&](auto a) { shop.store().mark_sent(std::move(ids), a); }).has_value();
    };
    CHECK(mark({first[0].event.id, first[1].event.id, "unknown"}));
    CHECK(mark({first[0].event.id}));
    CHECK(shop.get<Ok>([&](auto a) {
      shop.store().give_back({first[2].event.id, first[0].event.id}, Duration(0), a);
    }));
    const auto again = shop.take(10);
    REQUIRE(again.size() == 1);
    CHECK(again[0].event == first[2].event);
    CHECK(again[0].attempts == 2);
    const auto depth = shop.get<OutboxDepth>([&](auto a) { shop.store().outbox_depth(a); });
    REQUIRE(depth);
    CHECK(depth->unsent == 3);
    CHECK(depth->oldest_age >= Duration(0));
  });
}

TEST_CASE("orders/stores: an order goes its way once, whatever comes twice or late") {
  for_each_kind([](Kind kind) {
    Shop shop(kind, 10);
    NewOrder asked = new_order("k1", {{"p2", 1, 0}, {"p1", 3, 0}});
    asked.request_id = "r-1";
    asked.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const std::string id = shop.place(asked).reply.order_id;
    const Event accepted = shop.take(1)[0].event;
    CHECK(accepted.id == id + "-1");
    CHECK(shop.apply(accepted, kPaid).outcome == Outcome::moved);
    CHECK(shop.apply(accepted, kPaid).outcome == Outcome::duplicate);
    const Event paid = shop.take(1)[0].event;
    CHECK(paid.type == "order.paid");
    CHECK(paid.request_id == "r-1");
    CHECK(paid.traceparent == asked.traceparent);
    CHECK(event_problem(paid) == "");
    CHECK(shop.apply(paid, kShipped).outcome == Outcome::moved);
    const Event shipped = shop.take(1)[0].event;
    CHECK(shop.apply(shipped, "").outcome == Outcome::recorded);
    CHECK(shop.apply(shipped, "").outcome == Outcome::duplicate);
    // For another consumer it is new, but old.
    const auto old = shop.get<Applied>([&](auto a) {
      shop.store().apply(paid, Handling{"other", std::string(kShipped)}, a);
    });
    CHECK(old->outcome == Outcome::old);
    Event future = shipped;
    future.id = id + "-9";
    future.version = 9;
    CHECK(shop.apply(future, kPaid).outcome == Outcome::unknown);
    future.order_id = "none";
    CHECK(shop.apply(future, kPaid).outcome == Outcome::unknown);
    const auto order = shop.order(id);
    CHECK(order->status == "shipped");
    CHECK(order->version == 3);
    CHECK(order->history.size() == 3);
    CHECK(shop.totals().stock[0].sold == 3);
  });
}

TEST_CASE("orders/stores: units of a failed order go back, once, and can be sold again") {
  for_each_kind([](Kind kind) {
    Shop shop(kind, 10, 2);
    shop.place(new_order("k1", {{"p2", 4, 0}, {"p1", 10, 0}}));
    const Event event = shop.take(1)[0].event;
    // Two workers at once.
    std::vector<Applied> applied;
    for (size_t i = 0; i < 2; ++i) {
      shop.store(i).apply(event, Handling{"work", std::string(kFailed)}, [&](Result<Applied> one) {
        REQUIRE(one);
        applied.push_back(*std::move(one));
      });
    }
    REQUIRE(run_until(shop.loop, [&] { return applied.size() == 2; }));
    if (applied[0].outcome == Outcome::duplicate) std::swap(applied[0], applied[1]);
    CHECK(applied[0].outcome == Outcome::moved);
    CHECK(applied[0].released == std::vector<OrderLine>{{"p1", 10, 0}, {"p2", 4, 0}});
    CHECK(applied[0].back_in_stock == std::vector<std::string>{"p1"});
    CHECK(applied[1].outcome == Outcome::duplicate);
    CHECK(shop.product("p1")->stock == 10);
    CHECK(shop.totals().stock[0].held == 0);
    CHECK(shop.place(new_order("k2", {{"p1", 10, 0}})).verdict == Verdict::accepted);
    shop.totals();
  });
}

TEST_CASE("orders/stores: what cannot be handled is parked once") {
  for_each_kind([](Kind kind) {
    Shop shop(kind, 10);
    const Event event = read_event("no JSON", "");
    for (int i = 0; i < 2; ++i) {
      CHECK(shop.get<Ok>([&](auto a) { shop.store().park(event, "work", "no JSON", a); }));
    }
    CHECK(shop.totals().parked == 1);
  });
}

TEST_CASE("orders/stores: bytes that can stand in no text name nothing, and cut nothing off") {
  for_each_kind([](Kind kind) {
    Shop shop(kind, 10);
    const std::string id = shop.place(new_order("k1", {{"p1", 1, 0}})).reply.order_id;
    for (const std::string& bad :
         {std::string("\0x", 2), std::string("\xFF"), std::string("\xC3")}) {
      CHECK_FALSE(shop.order(id + bad));
      CHECK_FALSE(shop.product("p1" + bad));
      const auto orders =
          shop.get<std::vector<Order>>([&](auto a) { shop.store().orders_of("u1" + bad, a); });
      REQUIRE(orders);
      CHECK(orders->empty());
      const auto restocked =
          shop.get<std::optional<Product>>([&](auto a) { shop.store().restock("p1" + bad, 1, a); });
      REQUIRE(restocked);
      CHECK_FALSE(*restocked);
    }
    CHECK(shop.product("p1")->stock == 9);
  });
}

TEST_CASE("orders/stores: what was sold out is sold again as soon as there is some") {
  for_each_kind([](Kind kind) {
    Shop shop(kind, 10, 2);
    const auto buy = [&](const std::string& key, int64_t units) {
      return shop.place(new_order(key, {{"p1", units, 0}})).verdict;
    };
    CHECK(buy("k1", 8) == Verdict::accepted);
    for (const char* key : {"k2", "k3"}) CHECK(buy(key, 3) == Verdict::sold_out);
    // Not who is content with less, nor who has bought before.
    CHECK(buy("k4", 2) == Verdict::accepted);
    CHECK(buy("k5", 1) == Verdict::sold_out);
    CHECK(buy("k1", 8) == Verdict::replayed);
    CHECK(buy("k4", 1) == Verdict::key_reused);
    CHECK(shop.place(new_order("k6", {{"p1", 1, 0}, {"p9", 1, 0}})).verdict ==
          Verdict::unknown_product);
    // By another process.
    CHECK(shop.get<std::optional<Product>>([&](auto a) { shop.store(1).restock("p1", 5, a); }));
    CHECK(buy("k5", 3) == Verdict::accepted);
    CHECK(buy("k2", 3) == Verdict::sold_out);
    CHECK(shop.product("p1")->stock == 2);
  });
}

TEST_CASE("orders/stores: the newest events behind a place, oldest first, sent or not") {
  for_each_kind([](Kind kind) {
    Shop shop(kind, 10);
    const auto recent = [&](int64_t after, size_t most) {
      auto found = shop.get<std::vector<PlacedEvent>>(
          [&](auto a) { shop.store().recent_events(after, most, a); });
      REQUIRE(found);
      return *std::move(found);
    };
    CHECK(recent(0, 10).empty());
    for (const char* key : {"k1", "k2", "k3"}) shop.place(new_order(key, {{"p1", 1, 0}}));
    const Event first = shop.take(1)[0].event;
    CHECK(shop.get<Ok>([&](auto a) { shop.store().mark_sent({first.id}, a); }));
    const std::vector<PlacedEvent> all = recent(0, 10);
    REQUIRE(all.size() == 3);
    CHECK(all[0].event == first);
    CHECK(all[0].seq < all[1].seq);
    CHECK(all[1].seq < all[2].seq);
    const std::vector<PlacedEvent> newest = recent(0, 2);
    REQUIRE(newest.size() == 2);
    CHECK(newest[0].seq == all[1].seq);
    CHECK(newest[1].event == all[2].event);
    CHECK(recent(all[1].seq, 10).size() == 1);
    CHECK(recent(all[2].seq, 10).empty());
  });
}
