// sluice-orders answers for itself also where a request does not reach its handler.
#include <signal.h>

#include "tests/e2e/harness/e2e.h"

using namespace e2e;

namespace {

class Orders {
 public:
  Orders()
      : process_({program("SLUICE_ORDERS"), "serve", "--listen", "unix:" + dir_.path("sock"),
                  "--db", "sqlite:" + dir_.path("orders.db"), "--name", "alpha"},
                 dir_.path("out"), dir_.path("err")) {
    const auto listens = [&] {
      try {
        connect();
        return true;
      } catch (const Failure&) {
        return false;
      }
    };
    if (!eventually(listens)) throw Failure("sluice-orders is not up");
  }
  ~Orders() {
    process_.signal(SIGTERM);
    CHECK(process_.wait(kPatience) == 0);
  }
  Wire connect() { return Wire::to_unix(dir_.path("sock")); }

 private:
  TempDir dir_;
  Process process_;
};

std::string order_head(const std::string& body, const std::string& more = "") {
  return request_text("/orders",
                      "Content-Type: application/json\r\nIdempotency-Key: "
                      "2c5ea4c0-4067-11e9-8bad-9b1deb4d3b7d\r\nContent-Length: " +
                          std::to_string(body.size()) + "\r\n" + more,
                      "POST");
}

}  // namespace

TEST_CASE("e2e/regress: sluice-orders lets a client that expects 100 send its order") {
  Orders orders;
  Wire client = orders.connect();
  client.send(request_text("/products"));
  const Json products = Json::parse(client.read_response().body).at("products");
  const Json item = {{"product_id", products.at(0).at("id")}, {"quantity", 1}};
  const std::string body = Json{{"user_id", "u1"}, {"items", {item}}}.dump();
  client.send(order_head(body, "Expect: 100-continue\r\n"));
  REQUIRE(client.is_readable(seconds(2 * kSlow)));
  REQUIRE(client.read_response("POST").status == 100);
  client.send(body);
  CHECK(client.read_response("POST").status == 201);
  client.send(order_head(body));  // who does not expect it does not get it
  client.send(body);
  CHECK(client.read_response("POST").status == 201);
}

TEST_CASE("e2e/regress: sluice-orders refuses what it cannot read as it refuses everything else") {
  struct Case {
    std::string request;
    int status;
    size_t body = 0;
  };
  const std::vector<Case> cases = {
      {"GET /products HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n\r\n", 400},
      {"GET /products HTTP/1.1\r\n\r\n", 400},
      {"GET /../products HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405},
      {order_head(std::string(70'000, ' ')), 413, 70'000},
      {order_head(std::string(3'000'000, ' ')), 413, 3'000'000},
      {"GET / HTTP/1.1\r\nHost: a\r\nX: " + repeat("x", 40'000) + "\r\n\r\n", 431},
      {"GET /" + repeat("x", 10'000) + " HTTP/1.1\r\nHost: a\r\n\r\n", 414},
  };
  Orders orders;
  for (const Case& each : cases) {
    CAPTURE(each.request.substr(0, 80));
    Wire client = orders.connect();
    client.send(each.request);
    client.send(std::string(each.body, ' '));
    const Message response = client.read_response();
    CHECK(response.status == each.status);
    CHECK(response.field("Content-Type") == "application/problem+json");
    CHECK(response.field("X-Backend") == "alpha");
    CHECK(response.field("Cache-Control") == "no-store");
    const Json problem = Json::parse(response.body, nullptr, false);
    CHECK_MESSAGE(problem.is_object(), response.body);
    if (!problem.is_object()) continue;
    CHECK(problem.value("status", 0) == each.status);
    CHECK(problem.value("type", "").starts_with("https://sluice.example/problems/"));
    CHECK(problem.contains("title"));
  }
}
