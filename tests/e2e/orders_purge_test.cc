// --purge: what is sold out or restocked goes from the cache of a real sluice on another host.
#include "tests/e2e/orders_support.h"

using namespace e2e;

namespace {

// A sluice before the backend "a" of a folder, which may start later. A purge removes what is
// stored, so that a miss follows; what merely expires is a stale hit first.
class Edge {
 public:
  explicit Edge(const TempDir& dir)
      : sluice_(R"(
pools: {orders: {endpoints: [{address: "@a"}], health: {type: off}}}
routes: [{match: {path: /}, pool: orders, cache: {}}]
)",
                {{"a", "unix:" + dir.path("a.sock")}}) {}
  std::string admin() const { return "unix:" + sluice_.path("admin.sock"); }
  Sluice& sluice() { return sluice_; }
  Message ask(const std::string& path) { return get(sluice_.port(), path); }
  void warm(const std::string& path) {
    CHECK(eventually(
        [&] { return ask(path).field("Cache-Status").find("; hit; ttl=0") != std::string::npos; }));
  }
  // The first answer that shows so many units comes from the backend, not from the cache.
  void check_gone(const std::string& path, int stock) {
    Message now;
    REQUIRE(eventually([&] {
      now = ask(path);
      return stock_of(now) == stock;
    }));
    CHECK(now.field("Cache-Status").find("fwd=uri-miss") != std::string::npos);
  }

 private:
  static int stock_of(const Message& answer) {
    const Json json = Json::parse(answer.body);
    return (json.contains("products") ? json.at("products").at(0) : json).at("stock");
  }
  Sluice sluice_;
};

// Two units of p1.
std::vector<std::string> serve_words(const TempDir& dir, const std::vector<std::string>& admins) {
  write_file(dir.path("seed.json"),
             R"({"products":[{"id":"p1","name":"P","price_cents":1,"stock":2}]})");
  std::vector<std::string> words = {"--seed", dir.path("seed.json"), "--allow-restock"};
  for (const std::string& admin : admins) words.insert(words.end(), {"--purge", admin});
  return words;
}

size_t count(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

double purges(const OrdersServer& server, const std::string& result) {
  return server.value("sluice_orders_purges_total", "result=\"" + result + "\"");
}

}  // namespace

TEST_CASE("e2e/orders: --purge takes what is sold out, and restocked, from other hosts' caches") {
  TempDir dir;
  Edge one(dir), two(dir);
  OrdersServer a(dir, "a", serve_words(dir, {one.admin(), two.admin()}));
  CHECK(a.process().out().find(", purges " + one.admin() + " " + two.admin() + "\n") !=
        std::string::npos);
  for (Edge* edge : {&one, &two}) {
    edge->warm("/products");
    edge->warm("/products/p1");
  }
  // Not through these sluices, and under another name.
  REQUIRE(a.order("k1", 2).status == 201);
  for (Edge* edge : {&one, &two}) {
    edge->check_gone("/products", 0);
    edge->check_gone("/products/p1", 0);
    edge->warm("/products");
    CHECK_FALSE(edge->ask("/products").has("Cache-Tag"));  // between backend and sluice
  }
  REQUIRE(a.post("/products/p1/restock", "k", {{"quantity", 5}}).status == 200);
  for (Edge* edge : {&one, &two}) edge->check_gone("/products", 5);
  // An order that sells nothing out purges nothing.
  REQUIRE(a.order("k2", 1).status == 201);
  CHECK(eventually([&] { return purges(a, "done") == 4; }));
  CHECK(purges(a, "failed") == 0);
}

TEST_CASE("e2e/orders: a sluice that hangs delays no order, and is purged when it goes on") {
  TempDir dir;
  Edge edge(dir);
  OrdersServer a(dir, "a", serve_words(dir, {edge.admin()}));
  edge.warm("/products");
  edge.sluice().signal(SIGSTOP);
  const milliseconds took = time_of([&] { CHECK(a.order("k1", 2).status == 201); });
  CHECK(took < milliseconds(1500) * kSlow);  // a purge is given 2 s
  CHECK(eventually([&] { return purges(a, "failed") >= 1; }));
  edge.sluice().signal(SIGCONT);
  edge.check_gone("/products", 0);
  CHECK(eventually([&] { return purges(a, "done") >= 1; }));
  CHECK(count(a.process().log(), "warn purge") == 1);
  CHECK(count(a.process().log(), "it answers again") == 1);
}

TEST_CASE("e2e/orders: where nobody answers, orders go on, with one line in the log") {
  TempDir dir;
  RefusingPort nobody;
  OrdersServer a(dir, "a", serve_words(dir, {"http://" + nobody.address(), "unix:/nonexistent/s"}));
  REQUIRE(a.order("k1", 2).status == 201);
  for (int i = 0; i < 20; ++i) {
    REQUIRE(a.post("/products/p1/restock", "k", {{"quantity", 1}}).status == 200);
    REQUIRE(a.order("more" + std::to_string(i), 1).status == 201);
  }
  CHECK(eventually([&] { return purges(a, "failed") >= 6; }));
  CHECK(count(a.process().log(), "warn purge") == 2);  // one a host
  CHECK(count(a.process().log(), "http://" + nobody.address() + ": Connection refused") == 1);
  CHECK(count(a.process().log(), "unix:/nonexistent/s: No such file or directory") == 1);
  // At the end each is tried once more, and waited for no longer.
  const milliseconds took = time_of([&] {
    a.process().process().signal(SIGTERM);
    CHECK(a.process().process().wait(kPatience) == 0);
  });
  CHECK(took < milliseconds(4000));
  CHECK(count(a.process().log(), "given up") == 2);
}

TEST_CASE("e2e/orders: what --purge asks of the admin API, and a refusal is tried again") {
  TempDir dir;
  Origin admin([](OriginConn& c) {
    c.expect_request();
    c.send(c.index() == 0 ? answer(503, "not now") : answer(200, "{}"));
  });
  OrdersServer a(dir, "a", serve_words(dir, {"http://localhost:" + std::to_string(admin.port())}));
  REQUIRE(a.order("k1", 2).status == 201);
  for (size_t i = 0; i < 2; ++i) {
    const Message asked = admin.request(i);
    CHECK(asked.start == "POST /api/v1/purge HTTP/1.1");
    CHECK(asked.field("Host") == admin.address());  // no name: the API answers to none
    CHECK(asked.field("Content-Type") == "application/json");
    CHECK(Json::parse(asked.body) == Json{{"tags", {"products", "product-p1"}}});
  }
  CHECK(eventually([&] { return purges(a, "done") == 1 && purges(a, "failed") == 1; }));
  CHECK(a.process().log().find(": it answered 503; tried again for 60 s") != std::string::npos);
}
