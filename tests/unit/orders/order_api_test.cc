#include "sluice/orders/order_api.h"

#include <fmt/format.h>

#include "sluice/orders/sqlite/store_sqlite.h"
#include "support.h"

using namespace sluice;
using namespace sluice::orders;
using test::FakeCall;
using test::post;
using test::request;
using test::run_until;

namespace {

// Keeps what it is asked, so that a test answers when it likes.
class SlowStore final : public OrderStore {
 public:
  void place(NewOrder, Answer<Placed> answer) override { places.push_back(std::move(answer)); }
  void restock(std::string, int64_t, Answer<std::optional<Product>>) override { FAIL("restock"); }
  void products(Answer<std::vector<Product>> answer) override {
    reads.push_back(std::move(answer));
  }
  void product(std::string, Answer<std::optional<Product>>) override { FAIL("product"); }
  void order(std::string, Answer<std::optional<Order>>) override { FAIL("order"); }
  void orders_of(std::string, Answer<std::vector<Order>>) override { FAIL("orders_of"); }
  void totals(Answer<Totals>) override { FAIL("totals"); }
  void ping(Answer<Ok> answer) override { pings.push_back(std::move(answer)); }
  size_t queue_depth() const noexcept override { return places.size(); }
  std::string_view text() const noexcept override { return "slow:"; }

  std::vector<Answer<Placed>> places;
  std::vector<Answer<std::vector<Product>>> reads;
  std::vector<Answer<Ok>> pings;
};

std::string order_for(std::string_view product, int quantity, std::string_view user = "u1") {
  return fmt::format(R"({{"user_id":"{}","items":[{{"product_id":"{}","quantity":{}}}]}})", user,
                     product, quantity);
}

// The API before a real database.
struct Shop {
  explicit Shop(ApiOptions options = {"a", true}, int64_t stock = 10) {
    OpenedStore opened = open_sqlite_store(loop, folder.file("orders.db"), test::products(stock));
    REQUIRE(opened.problem == "");
    store = std::move(opened.store);
    api = std::make_unique<OrderApi>(loop, *store, std::move(options));
  }

  std::shared_ptr<FakeCall> ask(proxy::HandlerRequest asked) {
    auto call = std::make_shared<FakeCall>(loop, std::move(asked));
    api->handle(call);
    REQUIRE(run_until(loop, [&] { return call->answer.has_value(); }));
    CHECK(call->field("X-Backend") == "a");
    return call;
  }
  int status(proxy::HandlerRequest asked) { return ask(std::move(asked))->answer->status; }

  test::TemporaryFolder folder;
  loop::Loop loop;
  std::unique_ptr<ShopStore> store;
  std::unique_ptr<OrderApi> api;
};

bool has_word(const FakeCall& call, std::string_view word) {
  return call.answer->body.find(fmt::format("/{}\"", word)) != std::string::npos &&
         call.field("Content-Type") == "application/problem+json" &&
         call.field("Cache-Control") == "no-store";
}

}  // namespace

TEST_CASE("orders/order_api: products can be cached, and name their groups (RFC 9875)") {
  Shop shop;
  auto call = shop.ask(request("GET", "/products"));
  CHECK(call->answer->status == 200);
  CHECK(call->answer->body ==
        R"({"products":[{"id":"p1","name":"Coffee mug","price_cents":1299,"stock":10},)"
        R"({"id":"p2","name":"Notebook","price_cents":799,"stock":10}]})");
  CHECK(call->field("Content-Type") == "application/json");
  CHECK(call->field("Cache-Control") == "public, max-age=1, stale-while-revalidate=5");
  CHECK(call->field("Cache-Groups") == "\"products\"");
  call = shop.ask(request("GET", "/products/p2"));
  CHECK(call->answer->body == R"({"id":"p2","name":"Notebook","price_cents":799,"stock":10})");
  CHECK(call->field("Cache-Groups") == "\"products\", \"product-p2\"");
  CHECK(shop.status(request("HEAD", "/products")) == 200);
}

TEST_CASE("orders/order_api: an order from POST to GET") {
  Shop shop;
  const std::string body = R"({"user_id":"u 1","items":[{"product_id":"p2","quantity":2},)"
                           R"({"product_id":"p1","quantity":1}]})";
  auto posted = shop.ask(post("/orders", body, "k1"));
  CHECK(posted->answer->status == 201);
  CHECK(posted->field("Cache-Control") == "no-store");
  CHECK(posted->field("Idempotency-Replayed") == "");
  const std::string location = posted->field("Location");
  REQUIRE(location.starts_with("/orders/"));
  const std::string id = location.substr(8);
  CHECK(posted->answer->body ==
        fmt::format(R"({{"order_id":"{}","status":"accepted","total_cents":2897,)"
                    R"("items":[{{"product_id":"p2","quantity":2,"price_cents":799}},)"
                    R"({{"product_id":"p1","quantity":1,"price_cents":1299}}]}})",
                    id));
  auto order = shop.ask(request("GET", location));
  CHECK(order->answer->status == 200);
  CHECK(order->answer->body.find(R"("user_id":"u 1","status":"accepted")") != std::string::npos);
  CHECK(order->answer->body.find(R"("states":[{"state":"accepted","at":")") != std::string::npos);
  auto listed = shop.ask(request("GET", "/orders?user=u+1"));
  CHECK(listed->answer->body == R"({"orders":[)" + order->answer->body + "]}");
  CHECK(shop.ask(request("GET", "/orders?user=u1"))->answer->body == R"({"orders":[]})");
  auto status = shop.ask(request("GET", "/status"));
  CHECK(status->answer->body.find(R"("orders":{"accepted":1,"paid":0,"shipped":0,"failed":0})") !=
        std::string::npos);
  CHECK(status->answer->body.find(R"("drift":0)") != std::string::npos);
}

TEST_CASE("orders/order_api: a key is answered once, and then again with the same answer") {
  Shop shop;
  auto first = shop.ask(post("/orders", order_for("p1", 1), "k1"));
  auto again = shop.ask(post("/orders", order_for("p1", 1), "\"k1\""));
  CHECK(again->answer->status == 201);
  CHECK(again->answer->body == first->answer->body);
  CHECK(again->field("Location") == first->field("Location"));
  CHECK(again->field("Idempotency-Replayed") == "true");
  auto other = shop.ask(post("/orders", order_for("p1", 2), "k1"));
  CHECK(other->answer->status == 422);
  CHECK(has_word(*other, "key_reused"));
  CHECK(shop.ask(request("GET", "/products/p1"))->answer->body.find("\"stock\":9") !=
        std::string::npos);
}

TEST_CASE("orders/order_api: selling out and restocking name what caches must forget") {
  Shop shop;
  auto call = shop.ask(post("/orders", order_for("p1", 9), "k1"));
  CHECK(call->field("Cache-Group-Invalidation") == "");
  call = shop.ask(post("/orders", order_for("p1", 2), "k2"));
  CHECK(call->answer->status == 409);
  CHECK(has_word(*call, "sold_out"));
  CHECK(call->field("Cache-Group-Invalidation") == "");
  call = shop.ask(post("/orders", order_for("p1", 1), "k2"));
  CHECK(call->answer->status == 201);
  CHECK(call->field("Cache-Group-Invalidation") == "\"products\", \"product-p1\"");
  call = shop.ask(post("/products/p1/restock", R"({"quantity":5})"));
  CHECK(call->answer->status == 200);
  CHECK(call->answer->body.find("\"stock\":5}") != std::string::npos);
  CHECK(call->field("Cache-Group-Invalidation") == "\"products\", \"product-p1\"");
}

TEST_CASE("orders/order_api: a restock must be allowed, before anything else is looked at") {
  Shop closed({"a", false});
  auto call = closed.ask(post("/products/p1/restock", R"({"quantity":5})"));
  CHECK(call->answer->status == 403);
  CHECK(has_word(*call, "forbidden"));
  CHECK(closed.status(request("POST", "/products/p9/restock", "x")) == 403);
  Shop open;
  CHECK(open.status(post("/products/p9/restock", R"({"quantity":5})")) == 404);
  CHECK(open.status(post("/products/p1/restock", R"({"quantity":0})")) == 422);
  CHECK(open.status(post("/products/p1/restock", "{")) == 400);
  CHECK(open.status(request("POST", "/products/p1/restock", R"({"quantity":5})")) == 415);
}

TEST_CASE("orders/order_api: bad requests have their status and word, and change nothing") {
  Shop shop;
  struct Case {
    proxy::HandlerRequest asked;
    int status;
    const char* word;
  };
  const std::string good = order_for("p1", 1);
  proxy::HandlerRequest text = request("POST", "/orders", good);
  text.fields = {{"content-type", "text/plain"}, {"idempotency-key", "k"}};
  const Case cases[] = {
      {post("/orders", "{", "k"), 400, "malformed"},
      {post("/orders", good), 400, "no_idempotency_key"},
      {request("GET", "/orders"), 400, "malformed"},
      {request("GET", "/orders?user=%"), 400, "malformed"},
      {request("GET", "/nothing"), 404, "unknown"},
      {request("POST", "/nothing"), 404, "unknown"},
      {request("GET", "/products/p9"), 404, "unknown"},
      {request("GET", "/products/%27%3B--"), 404, "unknown"},
      {request("GET", "/orders/none"), 404, "unknown"},
      {request("DELETE", "/orders"), 405, "method"},
      {request("PUT", "/products/p1"), 405, "method"},
      {request("POST", "/status"), 405, "method"},
      {request("POST", "/healthz"), 405, "method"},
      {post("/orders", order_for("p1", 11), "k"), 409, "sold_out"},
      {post("/orders", std::string(1 << 20, ' '), "k"), 413, "too_large"},
      {std::move(text), 415, "media_type"},
      {post("/orders", order_for("p9", 1), "k"), 422, "unknown_product"},
      {post("/orders", order_for("'; DROP TABLE orders; --", 1), "k"), 422, "unknown_product"},
      {post("/orders", order_for("p1", 0), "k"), 422, "quantity"},
      {post("/orders", order_for("p1", -1), "k"), 422, "quantity"},
      {post("/orders", order_for("p1", 101), "k"), 422, "quantity"},
      {post("/orders", R"({"user_id":1,"items":[]})", "k"), 422, "wrong_type"},
      {post("/orders", R"({"user_id":"u","items":[],"x":1})", "k"), 422, "extra_field"},
      {post("/orders", R"({"user_id":"u","user_id":"u","items":[]})", "k"), 422, "duplicate_field"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.asked.method_text);
    CAPTURE(c.asked.path);
    CAPTURE(c.word);
    auto call = shop.ask(c.asked);
    CHECK(call->answer->status == c.status);
    CHECK(has_word(*call, c.word));
  }
  CHECK(shop.ask(request("DELETE", "/orders"))->field("Allow") == "GET, HEAD, POST");
  CHECK(shop.ask(request("GET", "/products/p1/restock"))->field("Allow") == "POST");
  auto status = shop.ask(request("GET", "/status"));
  CHECK(status->answer->body.find(R"("orders":{"accepted":0,)") != std::string::npos);
  CHECK(status->answer->body.find(R"("available":10,"held":0,"sold":0)") != std::string::npos);
}

TEST_CASE("orders/order_api: a key that is being answered is refused meanwhile (draft 2.6)") {
  loop::Loop loop;
  SlowStore store;
  OrderApi api(loop, store, {"a"});
  const auto ask = [&](proxy::HandlerRequest asked) {
    auto call = std::make_shared<FakeCall>(loop, std::move(asked));
    api.handle(call);
    return call;
  };
  auto first = ask(post("/orders", order_for("p1", 1), "k"));
  CHECK_FALSE(first->answer);
  auto same = ask(post("/orders", order_for("p1", 1), "k"));
  REQUIRE(same->answer);
  CHECK(same->answer->status == 409);
  CHECK(has_word(*same, "in_progress"));
  auto other = ask(post("/orders", order_for("p1", 2), "k"));
  REQUIRE(other->answer);
  CHECK(has_word(*other, "key_reused"));
  REQUIRE(store.places.size() == 1);
  // The client leaves; its order is placed all the same, and its key is free again.
  first->gone = true;
  store.places[0](Placed{});
  CHECK_FALSE(first->answer);
  ask(post("/orders", order_for("p1", 1), "k"));
  CHECK(store.places.size() == 2);
}

TEST_CASE("orders/order_api: a database that is busy or broken is 503 with Retry-After") {
  loop::Loop loop;
  SlowStore store;
  OrderApi api(loop, store, {"a"});
  struct Case {
    Errc code;
    const char* word;
  };
  const Case cases[] = {
      {Errc::kQueueFull, "busy"}, {Errc::kQueueTimeout, "busy"}, {Errc::kSystem, "unavailable"}};
  for (const Case& c : cases) {
    for (const char* path : {"/products", "/healthz"}) {
      auto call = std::make_shared<FakeCall>(loop, request("GET", path));
      api.handle(call);
      if (!store.reads.empty()) std::exchange(store.reads, {})[0](Error(c.code, "why"));
      if (!store.pings.empty()) std::exchange(store.pings, {})[0](Error(c.code, "why"));
      REQUIRE(call->answer);
      CHECK(call->answer->status == 503);
      CHECK(call->field("Retry-After") == "1");
      CHECK(has_word(*call, c.word));
    }
  }
}

TEST_CASE("orders/order_api: --async answers 202 with the same fields, and so does a replay") {
  ApiOptions options{"a"};
  options.is_async = true;
  Shop shop(options);
  auto first = shop.ask(post("/orders", order_for("p1", 1), "k1"));
  CHECK(first->answer->status == 202);
  CHECK(first->field("Location").starts_with("/orders/"));
  CHECK(first->answer->body.find(R"("status":"accepted","total_cents":1299,"items":[)") !=
        std::string::npos);
  auto again = shop.ask(post("/orders", order_for("p1", 1), "k1"));
  CHECK(again->answer->status == 202);
  CHECK(again->answer->body == first->answer->body);
  // Committed, not only promised.
  CHECK(shop.status(request("GET", first->field("Location"))) == 200);
}

TEST_CASE("orders/order_api: --user-limit is 429 for one user, and a known key is answered still") {
  ApiOptions options{"a"};
  options.user_limit = 2;
  Shop shop(options);
  CHECK(shop.status(post("/orders", order_for("p1", 1), "k1")) == 201);
  CHECK(shop.status(post("/orders", order_for("p1", 1), "k2")) == 201);
  auto third = shop.ask(post("/orders", order_for("p1", 1), "k3"));
  CHECK(third->answer->status == 429);
  CHECK(third->field("Retry-After") == "60");
  CHECK(has_word(*third, "user_limit"));
  CHECK(shop.status(post("/orders", order_for("p1", 1), "k1")) == 201);
  CHECK(shop.status(post("/orders", order_for("p1", 1, "u2"), "k3")) == 201);
}

TEST_CASE("orders/order_api: --rate-limit is 429 for orders, not for looking at them") {
  ApiOptions options{"a"};
  options.rate_limit = 2;
  Shop shop(options);
  int accepted = 0, limited = 0;
  for (int i = 0; i < 8; ++i) {
    auto call = shop.ask(post("/orders", order_for("p1", 1), fmt::format("k{}", i)));
    accepted += call->answer->status == 201 ? 1 : 0;
    if (call->answer->status != 429) continue;
    ++limited;
    CHECK(call->field("Retry-After") == "1");
    CHECK(has_word(*call, "rate_limit"));
    CHECK(shop.status(request("GET", "/products")) == 200);
  }
  CHECK(accepted >= 2);
  CHECK(accepted + limited == 8);
}

TEST_CASE("orders/rate_limit: what one second brings, at once or spread, and not more") {
  const TimePoint start{std::chrono::hours(1)};
  RateLimit limit(10);
  int admitted = 0;
  for (int i = 0; i < 30; ++i) admitted += limit.admit(start) ? 1 : 0;
  CHECK(admitted == 10);
  CHECK_FALSE(limit.admit(start + std::chrono::milliseconds(99)));
  CHECK(limit.admit(start + std::chrono::milliseconds(201)));
  CHECK(limit.admit(start + std::chrono::milliseconds(201)));
  CHECK_FALSE(limit.admit(start + std::chrono::milliseconds(201)));
  admitted = 0;
  for (int i = 0; i < 30; ++i) admitted += limit.admit(start + std::chrono::hours(1)) ? 1 : 0;
  CHECK(admitted == 10);
  RateLimit none(0);
  for (int i = 0; i < 1000; ++i) CHECK(none.admit(start));
}

TEST_CASE("orders/order_api: request id and traceparent go into the event (W3C Trace Context)") {
  Shop shop;
  int pokes = 0;
  shop.api->on_accepted([&] { ++pokes; });
  const std::string trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  auto asked = post("/orders", order_for("p1", 1), "k1");
  asked.request_id = "req-7";
  asked.fields.emplace_back("traceparent", trace);
  CHECK(shop.status(asked) == 201);
  CHECK(shop.status(asked) == 201);  // replayed: no second event
  asked = post("/orders", order_for("p1", 1), "k2");
  asked.fields.emplace_back("traceparent", "made up");
  CHECK(shop.status(asked) == 201);
  CHECK(pokes == 2);
  std::vector<TakenEvent> events;
  shop.store->take_unsent(10, std::chrono::seconds(1),
                          [&](Result<std::vector<TakenEvent>> taken) { events = *taken; });
  REQUIRE(run_until(shop.loop, [&] { return !events.empty(); }));
  REQUIRE(events.size() == 2);
  CHECK(events[0].event.request_id == "req-7");
  CHECK(events[0].event.traceparent == trace);
  CHECK(events[1].event.traceparent == "");
}

TEST_CASE("orders/order_api: /readyz says no while draining, /healthz does not") {
  Shop shop;
  CHECK(shop.status(request("GET", "/readyz")) == 200);
  shop.api->set_draining();
  auto call = shop.ask(request("GET", "/readyz"));
  CHECK(call->answer->status == 503);
  CHECK(has_word(*call, "draining"));
  CHECK(shop.status(request("GET", "/healthz")) == 200);
}

TEST_CASE("orders/order_api: /metrics counts what was answered and refused") {
  Shop shop;
  shop.ask(post("/orders", order_for("p1", 1), "k1"));
  shop.ask(post("/orders", order_for("p1", 1), "k1"));
  shop.ask(post("/orders", order_for("p1", 99), "k2"));
  auto call = shop.ask(request("GET", "/metrics"));
  CHECK(call->field("Content-Type") == "text/plain; version=0.0.4; charset=utf-8");
  const std::string& text = call->answer->body;
  CHECK(text.find("sluice_orders_answers_total{result=\"accepted\"} 1\n") != std::string::npos);
  CHECK(text.find("sluice_orders_answers_total{result=\"replayed\"} 1\n") != std::string::npos);
  CHECK(text.find("sluice_orders_refusals_total{problem=\"sold_out\"} 1\n") != std::string::npos);
  CHECK(text.find("sluice_orders_outbox_events 1\n") != std::string::npos);
}

TEST_CASE("orders/order_api: --fail-rate fails clients' requests, not what watches over it") {
  Shop shop({"a", true, Duration(0), 1.0});
  for (const char* path : {"/products", "/products/p1", "/orders?user=u"}) {
    auto call = shop.ask(request("GET", path));
    CHECK(call->answer->status == 503);
    CHECK(call->field("Retry-After") == "1");
    CHECK(has_word(*call, "fail_rate"));
  }
  CHECK(shop.status(post("/orders", order_for("p1", 1), "k")) == 503);
  auto health = shop.ask(request("GET", "/healthz"));
  CHECK(health->answer->status == 200);
  CHECK(health->answer->body == "ok\n");
  auto status = shop.ask(request("GET", "/status"));
  CHECK(status->answer->body.find(R"("orders":{"accepted":0,)") != std::string::npos);

  Shop half({"a", true, Duration(0), 0.5});
  int failed = 0;
  for (int i = 0; i < 200; ++i) failed += half.status(request("GET", "/products")) == 503 ? 1 : 0;
  CHECK(failed > 50);
  CHECK(failed < 150);
}

TEST_CASE("orders/order_api: --delay holds requests back in their order, not /healthz") {
  loop::Loop loop;
  SlowStore store;
  constexpr Duration kDelay = std::chrono::milliseconds(30);
  OrderApi api(loop, store, {"a", true, kDelay});
  const TimePoint begin = loop.now();
  std::vector<std::shared_ptr<FakeCall>> calls;
  for (int i = 0; i < 3; ++i) {
    calls.push_back(std::make_shared<FakeCall>(loop, request("GET", "/products")));
    api.handle(calls.back());
  }
  api.handle(std::make_shared<FakeCall>(loop, request("GET", "/healthz")));
  CHECK(store.pings.size() == 1);
  CHECK(store.reads.empty());
  calls[1]->gone = true;
  REQUIRE(run_until(loop, [&] { return store.reads.size() == 2; }));
  CHECK(monotonic_now() - begin >= kDelay);
  // Calls that still wait when the API goes are simply let go.
  api.handle(std::make_shared<FakeCall>(loop, request("GET", "/products")));
}
