// The stock gate in Redis, from outside: exactly N are sold whatever happens to Redis and to the
// processes, and the database stays the truth.
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "tests/e2e/harness/e2e.h"
#include "tests/e2e/harness/redis.h"

using namespace e2e;

namespace {

const std::string kGate = "orders:{gate}";

class Shop {
 public:
  Shop(int stock, int processes, std::vector<std::string> more = {}) : more_(std::move(more)) {
    write_file(dir_.path("seed.json"),
               R"({"products":[{"id":"p1","name":"P","price_cents":1,"stock":)" +
                   std::to_string(stock) +
                   R"(},{"id":"p2","name":"Q","price_cents":1,"stock":1000000}]})");
    for (int i = 0; i < processes; ++i) {
      processes_.emplace_back();
      start(i);
    }
  }
  ~Shop() {
    for (const auto& process : processes_) {
      if (!process || process->poll_exit()) continue;
      process->signal(SIGTERM);
      CHECK(process->wait(kPatience) == 0);
    }
  }

  void start(int i) {
    std::vector<std::string> words{program("SLUICE_ORDERS"),
                                   "serve",
                                   "--listen",
                                   "unix:" + socket(i),
                                   "--db",
                                   database(),
                                   "--name",
                                   "s" + std::to_string(i),
                                   "--stock",
                                   redis.url(),
                                   "--seed",
                                   dir_.path("seed.json"),
                                   "--allow-restock"};
    words.insert(words.end(), more_.begin(), more_.end());
    processes_[i] = std::make_unique<Process>(words, log(i) + ".out", log(i));
    if (!eventually([&] { return is_ready(i); })) throw Failure("not up: " + read_file(log(i)));
  }
  void kill(int i) {
    processes_[i]->signal(SIGKILL);
    processes_[i]->wait(kPatience);
  }
  std::unique_ptr<Process> work(const std::vector<std::string>& more) {
    std::vector<std::string> words{
        program("SLUICE_ORDERS"), "work", "--db", database(), "--stock", redis.url()};
    words.insert(words.end(), more.begin(), more.end());
    return std::make_unique<Process>(words, dir_.path("w.out"), dir_.path("w"));
  }
  Finished repair(const std::vector<std::string>& more = {}) {
    std::vector<std::string> words{
        program("SLUICE_ORDERS"), "repair", "--db", database(), "--stock", redis.url()};
    words.insert(words.end(), more.begin(), more.end());
    return run(words, kPatience * 2);
  }

  Message get(const std::string& path, int i = 0) const {
    Wire wire = Wire::to_unix(socket(i));
    wire.send(request_text(path));
    return wire.read_response();
  }
  Message post(const std::string& path, const std::string& body, const std::string& key = "",
               int i = 0) const {
    Wire wire = Wire::to_unix(socket(i));
    wire.send(request_text(path,
                           "Content-Type: application/json\r\n" +
                               (key.empty() ? "" : "Idempotency-Key: " + key + "\r\n") +
                               "Content-Length: " + std::to_string(body.size()) + "\r\n",
                           "POST") +
              body);
    return wire.read_response("POST");
  }
  Message order(const std::string& key, int quantity = 1, int i = 0,
                const std::string& product = "p1") const {
    return post("/orders",
                R"({"user_id":"u1","items":[{"product_id":")" + product + R"(","quantity":)" +
                    std::to_string(quantity) + "}]}",
                key, i);
  }
  Json status(int i = 0) const { return Json::parse(get("/status", i).body); }
  Json gate(int i = 0) const { return status(i).at("gate"); }
  int available(int i = 0) const { return status(i).at("stock").at(0).at("available"); }
  bool await_open(int i = 0) const {
    return eventually([&] { return gate(i).at("state") == "open"; });
  }
  std::string left() { return redis.ask({"HGET", kGate + ":stock", "p1"}); }
  // Nothing is reserved, and gate and database agree.
  bool is_settled() {
    return left() == std::to_string(available()) &&
           redis.number({"HLEN", kGate + ":held"}) == 1;  // its empty entry
  }
  std::string log(int i) const { return dir_.path("s" + std::to_string(i) + ".err"); }
  std::string out(int i) const { return read_file(log(i) + ".out"); }
  size_t size() const { return processes_.size(); }

  Redis redis;

 private:
  std::string socket(int i) const { return dir_.path("s" + std::to_string(i)); }
  std::string database() const { return "sqlite:" + dir_.path("orders.db"); }
  bool is_ready(int i) const {
    try {
      return get("/readyz", i).status == 200;
    } catch (const Failure&) {
      return false;
    }
  }

  TempDir dir_;
  std::vector<std::string> more_;
  std::vector<std::unique_ptr<Process>> processes_;
};

// Buyers of one unit each, who ask again with the same key, at any process, until they are told
// 201 or 409.
class Rush {
 public:
  Rush(const Shop& shop, int buyers, int threads) {
    for (int t = 0; t < threads; ++t) {
      threads_.emplace_back([this, &shop, buyers, threads, t] {
        for (int b = t; b < buyers; b += threads) buy(shop, b);
      });
    }
  }
  ~Rush() { finish(); }
  void finish() {
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  std::atomic<int> sold{0}, refused{0}, lost{0}, again{0};

 private:
  void buy(const Shop& shop, int buyer) {
    const std::string key = "key-" + std::to_string(buyer);
    int turn = buyer;
    for (const Deadline deadline(seconds(30 * kSlow)); !deadline.is_over(); ++turn) {
      try {
        const int status = shop.order(key, 1, turn % static_cast<int>(shop.size())).status;
        if (status == 201) return ++sold, void();
        if (status == 409) return ++refused, void();
      } catch (const Failure&) {
      }
      ++again;
      std::this_thread::yield();
    }
    ++lost;
  }

  std::vector<std::thread> threads_;
};

void check_exact(Shop& shop, const Rush& rush, int stock) {
  CHECK(rush.lost == 0);
  CHECK(rush.sold == stock);
  const Json status = shop.status();
  CAPTURE(status.dump());
  CHECK(status.at("orders").at("accepted") == stock);
  CHECK(status.at("stock").at(0).at("available") == 0);
  CHECK(status.at("drift") == 0);
}

}  // namespace

TEST_CASE("e2e/orders_gate: exactly N are sold over 1, 2 and 3 processes, and the gate agrees") {
  for (int processes : {1, 2, 3}) {
    CAPTURE(processes);
    constexpr int kStock = 40;
    Shop shop(kStock, processes);
    REQUIRE(shop.await_open());
    Rush rush(shop, 30 * kStock, 12);
    rush.finish();
    check_exact(shop, rush, kStock);
    CHECK(rush.refused == 29 * kStock);
    REQUIRE(eventually([&] { return shop.is_settled(); }));
    uint64_t from_memory = 0, past = 0;
    for (int i = 0; i < processes; ++i) {
      from_memory += shop.gate(i).at("sold_out_from_memory").get<uint64_t>();
      past += shop.gate(i).at("past").get<uint64_t>();
      CHECK(shop.out(i).find(", stock gate unix:") != std::string::npos);
    }
    CHECK(from_memory > 0);
    CAPTURE(past);
    // Every key still gets its answer: an order is an order, also when all is sold.
    CHECK(shop.order("key-0", 1).status == shop.order("key-0", 1, processes - 1).status);
  }
}

TEST_CASE("e2e/orders_gate: an accepted key is answered 201 again, also once all is sold out") {
  Shop shop(2, 2);
  REQUIRE(shop.await_open(0));
  REQUIRE(shop.await_open(1));
  const Message first = shop.order("k1", 1, 0);
  CHECK(first.status == 201);
  CHECK(shop.order("k2", 1, 0).status == 201);
  for (int i = 0; i < 4; ++i) CHECK(shop.order("other" + std::to_string(i), 1, 1).status == 409);
  const Message again = shop.order("k1", 1, 1);
  CHECK(again.status == 201);
  CHECK(again.body == first.body);
  CHECK(again.field("Idempotency-Replayed") == "true");
  CHECK(shop.order("k1", 2, 1).status == 422);
  // So it is for a gate that was built from the database.
  shop.redis.ask({"FLUSHALL"});
  CHECK(shop.order("new", 1, 0).status == 409);
  REQUIRE(shop.await_open(0));
  REQUIRE(shop.await_open(1));
  CHECK(shop.order("new", 1, 1).status == 409);
  CHECK(shop.order("k1", 1, 1).body == first.body);
}

TEST_CASE("e2e/orders_gate: sold out is answered without Redis for a second, until units come") {
  Shop shop(1, 1);
  REQUIRE(shop.await_open());
  CHECK(shop.order("k1").status == 201);
  // The news of the gate may only just have come.
  REQUIRE(eventually([&] {
    shop.order("k2");
    return shop.gate().at("sold_out_from_memory") > 0;
  }));
  CHECK(shop.post("/products/p1/restock", R"({"quantity":1})").status == 200);
  CHECK(shop.order("k3").status == 201);
  CHECK(shop.order("k4").status == 409);
  CHECK(shop.is_settled());
}

TEST_CASE("e2e/orders_gate: the same with Redis flushed, frozen, and killed in the middle") {
  constexpr int kStock = 400;
  for (const char* what : {"flush", "freeze", "kill"}) {
    CAPTURE(what);
    Shop shop(kStock, 2, {"--stock-hold", "1000"});
    REQUIRE(shop.await_open());
    Rush rush(shop, 3 * kStock, 8);
    for (int round = 1; round <= 3; ++round) {
      if (!eventually([&] { return rush.sold >= round * kStock / 5; })) break;
      if (*what == 'k') {
        shop.redis.kill();
        eventually([&, before = rush.sold.load()] { return rush.sold > before + 3; });
        shop.redis.start();
      } else if (what[1] == 'r') {
        shop.redis.freeze();
        eventually([&, before = rush.sold.load()] { return rush.sold > before + 3; });
        shop.redis.thaw();
      } else {
        shop.redis.ask({"FLUSHALL"});
      }
    }
    rush.finish();
    check_exact(shop, rush, kStock);
    REQUIRE(shop.await_open());
    CHECK(eventually([&] { return shop.is_settled(); }));
  }
}

TEST_CASE("e2e/orders_gate: the same with processes killed in the middle; no unit stays held") {
  constexpr int kStock = 300;
  Shop shop(kStock, 3, {"--stock-hold", "1000"});
  REQUIRE(shop.await_open());
  Rush rush(shop, 3 * kStock, 8);
  for (int round = 1; round <= 3; ++round) {
    REQUIRE(eventually([&] { return rush.sold >= round * kStock / 5; }));
    shop.kill(round % 3);
    shop.start(round % 3);
  }
  rush.finish();
  // What the killed ones had reserved comes back late: somebody buys it then.
  REQUIRE(eventually([&] { return shop.is_settled(); }));
  for (int i = 0; shop.available() > 0; ++i) {
    REQUIRE(i < kStock);
    CHECK(shop.order("late" + std::to_string(i)).status == 201);
    ++rush.sold;
  }
  check_exact(shop, rush, kStock);
}

TEST_CASE("e2e/orders_gate: a reservation that nobody ends is given back once, by two sweepers") {
  Shop shop(5, 2, {"--stock-hold", "1000"});
  REQUIRE(shop.await_open(0));
  REQUIRE(shop.await_open(1));
  const std::string has_order = "k1";
  CHECK(shop.order(has_order).status == 201);
  REQUIRE(eventually([&] { return shop.is_settled(); }));
  // As a process leaves them that is killed before, and after, its commit.
  const std::string record = R"({"user":"","owner":"x","until":"0","items":[["p1","1"]]})";
  for (const std::string& key : {std::string("dead"), has_order}) {
    shop.redis.ask({"HSET", kGate + ":held", key, record});
    shop.redis.ask({"ZADD", kGate + ":expiry", "1", key});
  }
  shop.redis.ask({"HINCRBY", kGate + ":stock", "p1", "-1"});
  REQUIRE(eventually([&] { return shop.is_settled(); }));
  CHECK(shop.left() == "4");
  CHECK(shop.gate(0).at("returned").get<int>() + shop.gate(1).at("returned").get<int>() == 1);
  CHECK(shop.order("dead", 4).status == 201);
}

TEST_CASE("e2e/orders_gate: while Redis is frozen orders go past it, or are refused; none waits") {
  for (const bool refuse : {false, true}) {
    CAPTURE(refuse);
    Shop shop(20, 1, {"--stock-away", refuse ? "refuse" : "update"});
    REQUIRE(shop.await_open());
    const std::string location = shop.order("k0").field("Location");
    CHECK(shop.get(location).status == 200);
    shop.redis.freeze();
    for (int i = 1; i <= 5; ++i) {
      const auto begun = std::chrono::steady_clock::now();
      const Message answer = shop.order("k" + std::to_string(i));
      CHECK(std::chrono::steady_clock::now() - begun < milliseconds(500 * kSlow));
      CHECK(answer.status == (refuse ? 503 : 201));
      CHECK(answer.has("Retry-After") == refuse);
      if (refuse) CHECK(answer.body.find("/gate_away") != std::string::npos);
      CHECK(shop.get(location).status == 200);
      CHECK(shop.get("/products").status == 200);
    }
    CHECK(shop.gate().at("state") == "away");
    shop.redis.thaw();
    REQUIRE(shop.await_open());
    REQUIRE(eventually([&] { return shop.is_settled(); }));
    CHECK(shop.available() == (refuse ? 19 : 14));
    const Message again = shop.order("k1");
    CAPTURE(again.body);
    CHECK(again.status == 201);
    CHECK(shop.available() == (refuse ? 18 : 14));
  }
}

TEST_CASE("e2e/orders_gate: units of failed orders come back to the gate") {
  Shop shop(5, 1);
  REQUIRE(shop.await_open());
  for (int i = 0; i < 5; ++i) CHECK(shop.order("k" + std::to_string(i)).status == 201);
  const std::string location = shop.order("k0").field("Location");
  CHECK(Json::parse(shop.get(location).body).at("status") == "accepted");
  CHECK(shop.order("more").status == 409);
  const auto worker = shop.work({"--fail-payments", "1"});
  // An order that is read again and again is not shown as it was for longer than a second.
  REQUIRE(eventually([&] { return shop.status().at("orders").at("failed") == 5; }));
  REQUIRE(eventually([&] { return shop.is_settled(); }));
  CHECK(shop.left() == "5");
  CHECK(eventually([&] { return Json::parse(shop.get(location).body).at("status") == "failed"; }));
  CHECK(eventually([&] { return shop.order("more").status == 201; }));
  worker->signal(SIGTERM);
  CHECK(worker->wait(kPatience) == 0);
}

TEST_CASE("e2e/orders_gate: a gate with too little is shown, and mended when people say so") {
  Shop shop(5, 1);
  REQUIRE(shop.await_open());
  shop.redis.ask({"HSET", kGate + ":stock", "p1", "2"});
  REQUIRE(eventually([&] { return shop.gate().at("drift") == 3; }));
  CHECK(shop.get("/metrics").body.find("sluice_orders_gate_drift_units 3\n") != std::string::npos);
  CHECK(shop.order("k1", 3).status == 409);
  const Finished looked = shop.repair({"--dry-run"});
  CHECK(looked.exit_code == 1);
  CHECK(looked.out.find("p1: the gate has 2, reservations 0, the database 5; drift -3\n") !=
        std::string::npos);
  CHECK(shop.left() == "2");
  const Finished repaired = shop.repair();
  CAPTURE(repaired.out + repaired.err);
  CHECK(repaired.exit_code == 0);
  CHECK(shop.left() == "5");
  REQUIRE(eventually([&] { return shop.gate().at("drift") == 0; }));
  CHECK(eventually([&] { return shop.order("k2", 5).status == 201; }));
}

TEST_CASE("e2e/orders_gate: a gate with too much sells no more than there is, and learns it") {
  Shop shop(2, 1);
  REQUIRE(shop.await_open());
  shop.redis.ask({"HSET", kGate + ":stock", "p1", "100"});
  CHECK(shop.order("k1", 2).status == 201);
  CHECK(shop.order("k2").status == 409);
  CHECK(eventually([&] { return shop.is_settled(); }));
  CHECK(shop.left() == "0");
}

TEST_CASE("e2e/orders_gate: nonsense in all keys of the gate is cleared away") {
  Shop shop(9, 1);
  REQUIRE(shop.await_open());
  CHECK(shop.order("k0").status == 201);
  int number = 0;
  for (const char* word : {"", ":stock", ":held", ":expiry", ":known", ":view:stock"}) {
    CAPTURE(word);
    shop.redis.ask({"SET", kGate + word, "nonsense"});
    CHECK(shop.order("k" + std::to_string(++number)).status == 201);
    CHECK(shop.get("/products").status == 200);
    CHECK(shop.order("k0").status == 201);
    CHECK(eventually([&] { return shop.await_open() && shop.is_settled(); }));
  }
  CHECK(eventually(
      [&] { return Json::parse(shop.get("/products/p1").body).at("stock") == 9 - 1 - number; }));
}

TEST_CASE("e2e/orders_gate: without its Redis a shop sells, and finds it when it comes") {
  Shop shop(5, 1);
  shop.redis.kill();
  shop.kill(0);
  shop.start(0);
  CHECK(shop.gate().at("state") == "away");
  CHECK(shop.order("k1", 2).status == 201);
  shop.redis.start();
  REQUIRE(shop.await_open());
  CHECK(shop.left() == "3");
  CHECK(shop.order("k2", 4).status == 409);
  CHECK(shop.order("k3", 3).status == 201);
}

TEST_CASE("e2e/orders_gate: sold out is answered fast while others buy (p99 below 20 ms)") {
  Shop shop(1, 1);
  REQUIRE(shop.await_open());
  CHECK(shop.order("k").status == 201);
  std::atomic<bool> is_over{false};
  std::atomic<int> sold{0};
  std::vector<std::thread> buyers;
  for (const char* name : {"a", "b"}) {
    buyers.emplace_back([&, name] {
      for (int i = 0; !is_over; ++i) {
        if (shop.order(name + std::to_string(i), 1, 0, "p2").status == 201) ++sold;
      }
    });
  }
  std::vector<double> times;
  for (int i = 0; i < 1000; ++i) {
    const auto begun = std::chrono::steady_clock::now();
    CHECK(shop.order("s" + std::to_string(i)).status == 409);
    times.push_back(
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begun)
            .count());
  }
  is_over = true;
  for (std::thread& buyer : buyers) buyer.join();
  CHECK(sold > 0);
  std::ranges::sort(times);
  CHECK(times[990] < 20.0 * kSlow);
}
