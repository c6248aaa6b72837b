// Orders from the client through sluice to a worker, and what kill -9 does to them: nothing.
#include <signal.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "tests/e2e/harness/e2e.h"

using namespace e2e;

namespace {

class Backend {
 public:
  Backend(const TempDir& dir, const std::string& name, const std::vector<std::string>& more = {})
      : socket_(dir.path(name + ".sock")) {
    std::vector<std::string> words = {
        program("SLUICE_ORDERS"),          "serve",  "--listen", "unix:" + socket_, "--db",
        "sqlite:" + dir.path("orders.db"), "--name", name};
    words.insert(words.end(), more.begin(), more.end());
    process_ = std::make_unique<Process>(words, dir.path(name + ".out"), dir.path(name + ".err"));
    if (!eventually([&] { return is_ready(); })) throw Failure("sluice-orders is not up");
  }
  ~Backend() {
    if (process_->poll_exit()) return;
    process_->signal(SIGTERM);
    CHECK(process_->wait(kPatience) == 0);
  }
  std::string address() const { return "unix:" + socket_; }
  Message get(const std::string& path) const {
    Wire wire = Wire::to_unix(socket_);
    wire.send(request_text(path));
    return wire.read_response();
  }
  Json status() const { return Json::parse(get("/status").body); }
  // `more`: field lines of the request.
  Message order(const std::string& key, int quantity, const std::string& more = "") const {
    const std::string body = R"({"user_id":"u1","items":[{"product_id":"p1","quantity":)" +
                             std::to_string(quantity) + "}]}";
    Wire wire = Wire::to_unix(socket_);
    wire.send(request_text("/orders",
                           "Content-Type: application/json\r\nIdempotency-Key: " + key + "\r\n" +
                               more + "Content-Length: " + std::to_string(body.size()) + "\r\n",
                           "POST") +
              body);
    return wire.read_response("POST");
  }

 private:
  bool is_ready() const {
    try {
      return get("/readyz").status == 200;
    } catch (const Failure&) {
      return false;
    }
  }

  std::string socket_;
  std::unique_ptr<Process> process_;
};

class Worker {
 public:
  Worker(const TempDir& dir, const std::string& name, const std::vector<std::string>& more = {})
      : out_(dir.path(name + ".out")), err_(dir.path(name + ".err")) {
    std::vector<std::string> words = {program("SLUICE_ORDERS"),
                                      "work",
                                      "--db",
                                      "sqlite:" + dir.path("orders.db"),
                                      "--queue",
                                      "embedded",
                                      "--name",
                                      name};
    words.insert(words.end(), more.begin(), more.end());
    process_ = std::make_unique<Process>(words, out_, err_);
    const std::string begin = ": " + name + " works, database sqlite:";
    if (!eventually([&] { return out().find(begin) != std::string::npos; })) {
      throw Failure("the worker is not up: " + log());
    }
  }
  ~Worker() {
    if (!process_->poll_exit()) CHECK(stop() == 0);
  }
  int stop(int number = SIGTERM) {
    process_->signal(number);
    return process_->wait(kPatience).value_or(-1);
  }
  void kill() {
    process_->signal(SIGKILL);
    process_->wait(kPatience);
  }
  std::string out() const { return read_file(out_); }
  std::string log() const { return read_file(err_); }

 private:
  std::string out_, err_;
  std::unique_ptr<Process> process_;
};

// Clients that buy, one unit after the other, until finish().
class Buyers {
 public:
  explicit Buyers(const Backend& backend) {
    for (int buyer = 0; buyer < 3; ++buyer) {
      threads_.emplace_back([this, &backend, buyer] {
        for (int i = 0; !is_over_; ++i) buy(backend, std::to_string(buyer * 1'000'000 + i));
      });
    }
  }
  ~Buyers() { finish(); }
  void finish() {
    is_over_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  std::atomic<int> placed{0}, other{0};

 private:
  void buy(const Backend& backend, const std::string& key) {
    try {
      ++(backend.order(key, 1).status == 201 ? placed : other);
    } catch (const Failure&) {
      ++other;
    }
  }

  std::atomic<bool> is_over_{false};
  std::vector<std::thread> threads_;
};

std::string state_of(const Backend& backend, const std::string& location) {
  return Json::parse(backend.get(location).body).at("status");
}

bool all_are_done(const Backend& backend) {
  const Json status = backend.status();
  return status.at("queue_depth") == 0 && status.at("orders").at("accepted") == 0 &&
         status.at("orders").at("paid") == 0;
}

}  // namespace

TEST_CASE("e2e/orders: an order is paid and shipped, and one request id leads all the way") {
  TempDir dir;
  Backend backend(dir, "a");
  Sluice sluice(R"(
pools: {orders: {endpoints: [{address: "@a"}], health: {type: http, path: /readyz, interval: 100ms}}}
)",
                {{"a", backend.address()}});
  Worker worker(dir, "w");
  const std::string body = R"({"user_id":"u1","items":[{"product_id":"p1","quantity":2}]})";
  Wire client = Wire::to_port(sluice.port());
  client.send(request_text("/orders",
                           "Content-Type: application/json\r\nIdempotency-Key: k1\r\n"
                           "X-Request-Id: from-the-client-1\r\nContent-Length: " +
                               std::to_string(body.size()) + "\r\n",
                           "POST") +
              body);
  const Message placed = client.read_response("POST");
  REQUIRE(placed.status == 201);
  const std::string location = placed.field("Location");
  REQUIRE(eventually([&] { return state_of(backend, location) == "shipped"; }));
  const Json order = Json::parse(backend.get(location).body);
  std::vector<std::string> states;
  for (const Json& each : order.at("states")) states.push_back(each.at("state"));
  CHECK(states == std::vector<std::string>{"accepted", "paid", "shipped"});
  REQUIRE(eventually([&] { return all_are_done(backend); }));
  const std::string log = worker.log();
  const std::string id = order.at("order_id");
  for (const char* end : {"the order is paid", "the order is shipped", "nothing follows"}) {
    CHECK(log.find(end) != std::string::npos);
  }
  size_t lines = 0;
  for (size_t at = log.find("order=" + id); at != std::string::npos;
       at = log.find("order=" + id, at + 1)) {
    const std::string line = log.substr(at, log.find('\n', at) - at);
    CHECK(line.find("request_id=from-the-client-1") != std::string::npos);
    CHECK(line.find("traceparent=00-") != std::string::npos);  // sluice began the trace
    ++lines;
  }
  CHECK(lines == 3);
  CHECK(worker.stop() == 0);
  CHECK(worker.out().find("stopped; moved 2, recorded 1, ") != std::string::npos);
}

TEST_CASE("e2e/orders: workers killed again and again lose no order and handle none twice") {
  constexpr int kRounds = 5, kStock = 1'000'000;
  TempDir dir;
  write_file(dir.path("seed.json"),
             R"({"products":[{"id":"p1","name":"P","price_cents":1,"stock":1000000}]})");
  Backend backend(dir, "a", {"--seed", dir.path("seed.json")});
  Buyers buyers(backend);
  // Each gets some way, and dies with events in its hands.
  int rounds = 0;
  for (; rounds < kRounds; ++rounds) {
    Worker worker(dir, "killed" + std::to_string(rounds), {"--fail-payments", "0.2"});
    const auto works = [&] { return worker.log().find("the order is ") != std::string::npos; };
    if (!eventually(works)) break;
    worker.kill();
  }
  buyers.finish();
  const int placed = buyers.placed;
  CHECK(rounds == kRounds);
  CHECK(buyers.other == 0);
  // What the killed ones held comes back when their leases are over.
  Worker last(dir, "last", {"--fail-payments", "0.2"});
  REQUIRE(eventually([&] { return all_are_done(backend); }, seconds(60 * kSlow)));
  const Json status = backend.status();
  CAPTURE(status.dump());
  const int failed = status.at("orders").at("failed"), shipped = status.at("orders").at("shipped");
  CHECK(failed + shipped == placed);
  CHECK(status.at("parked") == 0);
  CHECK(status.at("drift") == 0);
  const Json& stock = status.at("stock").at(0);
  CHECK(stock.at("held") == 0);
  CHECK(stock.at("sold") == shipped);
  CHECK(stock.at("available") == kStock - shipped);
  CHECK(stock.at("ledger") == stock.at("available"));
  const Json all = Json::parse(backend.get("/orders?user=u1").body).at("orders");
  CHECK(all.size() == static_cast<size_t>(std::min(placed, 1000)));
  for (const Json& order : all) {
    CHECK(order.at("states").size() == (order.at("status") == "failed" ? 2 : 3));
  }
}

TEST_CASE("e2e/orders: a worker may come before the server, and waits for its orders") {
  TempDir dir;
  Worker worker(dir, "w");
  Backend backend(dir, "a");
  const Json products = Json::parse(backend.get("/products").body).at("products");
  CHECK(products.size() == 5);
  const std::string location = backend.order("k1", 1).field("Location");
  CHECK(eventually([&] { return state_of(backend, location) == "shipped"; }));
  CHECK(worker.stop(SIGINT) == 0);
}

TEST_CASE("e2e/orders: 202 with --async, 429 with limits, metrics and the API's document") {
  TempDir dir;
  Backend backend(dir, "a", {"--async", "--user-limit", "2", "--rate-limit", "1000/s"});
  const Message first = backend.order("k1", 1);
  CHECK(first.status == 202);
  CHECK(first.field("Location").starts_with("/orders/"));
  CHECK(Json::parse(first.body).at("status") == "accepted");
  CHECK(backend.order("k2", 1).status == 202);
  const Message third = backend.order("k3", 1);
  CHECK(third.status == 429);
  CHECK(third.field("Retry-After") != "");
  CHECK(third.field("Content-Type") == "application/problem+json");
  CHECK(Json::parse(third.body).at("type").get<std::string>().ends_with("/user_limit"));
  const std::string metrics = backend.get("/metrics").body;
  CHECK(metrics.find("sluice_orders_orders{state=\"accepted\"} 2\n") != std::string::npos);
  CHECK(Json::parse(backend.get("/openapi.json").body).at("paths").contains("/orders"));
}

TEST_CASE("e2e/orders: a worker that cannot use its database says why, and ends with 1") {
  TempDir dir;
  write_file(dir.path("text"), repeat("no database\n", 500));
  Process process({program("SLUICE_ORDERS"), "work", "--db", "sqlite:" + dir.path("text")},
                  dir.path("out"), dir.path("err"));
  CHECK(process.wait(kPatience) == 1);
  CHECK(read_file(dir.path("err")).find("file is not a database") != std::string::npos);
}
