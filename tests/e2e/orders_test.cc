// The whole way: a client through sluice to three sluice-orders on one database.
#include <signal.h>

#include <filesystem>

#include "tests/e2e/harness/e2e.h"

using namespace e2e;

namespace {

class Orders {
 public:
  Orders(const std::string& name, const TempDir& dir)
      : socket_(dir.path(name + ".sock")),
        process_({program("SLUICE_ORDERS"), "serve", "--listen", "unix:" + socket_, "--db",
                  "sqlite:" + dir.path("orders.db"), "--name", name, "--allow-restock"},
                 dir.path(name + ".out"), dir.path(name + ".err")) {
    const auto answers = [&] {
      try {
        Wire wire = Wire::to_unix(socket_);
        wire.send(request_text("/healthz"));
        return wire.read_response().status == 200;
      } catch (const Failure&) {
        return false;
      }
    };
    if (!eventually(answers)) throw Failure("sluice-orders is not up");
  }
  ~Orders() {
    if (process_.poll_exit()) return;
    process_.signal(SIGTERM);
    CHECK(process_.wait(kPatience) == 0);
  }
  void kill() {
    process_.signal(SIGKILL);
    process_.wait(kPatience);
  }
  std::string address() const { return "unix:" + socket_; }

 private:
  std::string socket_;
  Process process_;
};

struct Shop {
  TempDir dir;
  Orders a{"a", dir}, b{"b", dir}, c{"c", dir};
  Sluice sluice{R"(
pools:
  orders:
    balance: round_robin
    endpoints: [{address: "@a", name: a}, {address: "@b", name: b}, {address: "@c", name: c}]
    health: {type: http, path: /healthz, interval: 100ms, timeout: 2s}
routes:
  - {match: {path: /api}, pool: orders, strip_prefix: /api}
)",
                {{"a", a.address()}, {"b", b.address()}, {"c", c.address()}}};
  Wire client = Wire::to_port(sluice.port());

  Message ask(const std::string& path) {
    client.send(request_text("/api" + path));
    return client.read_response();
  }
  Message order(const std::string& key, int quantity, const std::string& product) {
    const Json body = {{"user_id", "u1"},
                       {"items", {{{"product_id", product}, {"quantity", quantity}}}}};
    const std::string text = body.dump();
    client.send(request_text("/api/orders",
                             "Content-Type: application/json\r\nIdempotency-Key: " + key +
                                 "\r\nContent-Length: " + std::to_string(text.size()) + "\r\n",
                             "POST") +
                text);
    return client.read_response();
  }
  int stock(const std::string& product) {
    return Json::parse(ask("/products/" + product).body).at("stock");
  }
};

}  // namespace

TEST_CASE("e2e/orders: products, an order, and the same order again") {
  Shop shop;
  const Message list = shop.ask("/products");
  REQUIRE(list.status == 200);
  const Json products = Json::parse(list.body).at("products");
  REQUIRE(products.size() > 0);
  const std::string product = products[0].at("id");
  const int before = shop.stock(product);
  const std::string key = "0f8fad5b-d9cb-469f-a165-70867728950e";
  const Message first = shop.order(key, 2, product);
  CAPTURE(first.body);
  REQUIRE(first.status == 201);
  const Json made = Json::parse(first.body);
  CHECK(first.field("Location") == "/orders/" + made.at("order_id").get<std::string>());
  for (int i = 0; i < 3; ++i) {  // at each of the three
    const Message again = shop.order(key, 2, product);
    CHECK(again.status == 201);
    CHECK(Json::parse(again.body).at("order_id") == made.at("order_id"));
  }
  CHECK(shop.order(key, 3, product).status == 422);
  CHECK(shop.stock(product) == before - 2);
  CHECK(shop.ask("/orders/" + made.at("order_id").get<std::string>()).status == 200);
  CHECK(shop.ask("/orders/none").status == 404);
}

TEST_CASE("e2e/orders: requests are spread, and a killed backend is not missed") {
  Shop shop;
  std::map<std::string, int> who;
  for (int i = 0; i < 30; ++i) ++who[shop.ask("/products").field("X-Backend")];
  CHECK(who.size() == 3);
  Wrk wrk(shop.sluice.url("/api/products"), 8, seconds(2));
  REQUIRE(eventually([&] { return shop.sluice.endpoint("orders", "b").at("requests") > 50; }));
  shop.b.kill();
  const Load load = wrk.finish();
  CAPTURE(load.text);
  CHECK(load.errors() == 0);
  CHECK(load.requests > 100);
  shop.sluice.wait_for_state("orders", "b", "down");
}

TEST_CASE("e2e/orders: twenty clients buy the last hundred, and none too many") {
  Shop shop;
  const std::string product = Json::parse(shop.ask("/products").body).at("products")[0].at("id");
  for (int i = 0; shop.stock(product) > 100; ++i) {
    const int excess = std::min(shop.stock(product) - 100, 100);
    REQUIRE(shop.order("drain-" + std::to_string(i), excess, product).status == 201);
  }
  std::atomic<int> sold{0}, refused{0}, other{0};
  std::vector<std::thread> buyers;
  const uint16_t port = shop.sluice.port();
  for (int buyer = 0; buyer < 20; ++buyer) {
    buyers.emplace_back([&, buyer] {
      Wire client = Wire::to_port(port);
      const std::string body =
          R"({"user_id":"u","items":[{"product_id":")" + product + R"(","quantity":1}]})";
      for (int i = 0; i < 10; ++i) {
        client.send(request_text("/api/orders",
                                 "Content-Type: application/json\r\nIdempotency-Key: k" +
                                     std::to_string(buyer * 100 + i) +
                                     "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n",
                                 "POST") +
                    body);
        const int status = client.read_response().status;
        ++(status == 201 ? sold : status == 409 ? refused : other);
      }
    });
  }
  for (std::thread& buyer : buyers) buyer.join();
  CHECK(sold == 100);
  CHECK(refused == 100);
  CHECK(other == 0);
  CHECK(shop.stock(product) == 0);
}
