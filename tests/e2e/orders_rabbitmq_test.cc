// Orders whose events go through a real RabbitMQ, and what its death costs: no order, and no event
// handled twice.
#include <signal.h>
#include <sqlite3.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "tests/e2e/harness/e2e.h"
#include "tests/e2e/harness/rabbitmq.h"

using namespace e2e;

namespace {

// One for all tests. Who stops, freezes or kills it starts or thaws it again.
RabbitMq& rabbitmq() {
  static RabbitMq broker;
  return broker;
}

// A server or a worker of sluice-orders.
class Program {
 public:
  Program(const TempDir& dir, const std::string& name, std::vector<std::string> words)
      : out_(dir.path(name + ".out")), err_(dir.path(name + ".err")), words_(std::move(words)) {
    words_.insert(words_.begin(), program("SLUICE_ORDERS"));
    process_ = std::make_unique<Process>(words_, out_, err_);
    if (!eventually([&] { return out().find("queue amqp://") != std::string::npos; })) {
      throw Failure(name + " is not up: " + log());
    }
  }
  ~Program() {
    if (process_->poll_exit()) return;
    process_->signal(SIGTERM);
    CHECK(process_->wait(kPatience * 2) == 0);
  }
  void kill() {
    process_->signal(SIGKILL);
    process_->wait(kPatience);
  }
  std::string out() const { return read_file(out_); }
  std::string log() const { return read_file(err_); }

 private:
  std::string out_, err_;
  std::vector<std::string> words_;
  std::unique_ptr<Process> process_;
};

// A server at a virtual host of its own, with its database.
class Shop {
 public:
  Shop() : vhost(broker.make_vhost()) {
    write_file(dir.path("seed.json"),
               R"({"products":[{"id":"p1","name":"P","price_cents":1,"stock":1000000}]})");
    backend = std::make_unique<Program>(
        dir, "a",
        std::vector<std::string>{"serve", "--listen", "unix:" + dir.path("s"), "--db", database(),
                                 "--queue", url(), "--seed", dir.path("seed.json")});
  }
  std::string database() const { return "sqlite:" + dir.path("orders.db"); }
  std::string url() const { return broker.url(vhost); }

  std::unique_ptr<Program> work(const std::string& name) {
    return std::make_unique<Program>(
        dir, name,
        std::vector<std::string>{"work", "--db", database(), "--queue", url(), "--name", name});
  }
  Message get(const std::string& path) const {
    Wire wire = Wire::to_unix(dir.path("s"));
    wire.send(request_text(path));
    return wire.read_response();
  }
  Json status() const { return Json::parse(get("/status").body); }
  int order(const std::string& key) const {
    const std::string body = R"({"user_id":"u1","items":[{"product_id":"p1","quantity":1}]})";
    Wire wire = Wire::to_unix(dir.path("s"));
    wire.send(request_text("/orders",
                           "Content-Type: application/json\r\nIdempotency-Key: " + key +
                               "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n",
                           "POST") +
              body);
    return wire.read_response("POST").status;
  }
  // Each must be accepted.
  void order_some(int count) {
    for (int i = 0; i < count; ++i) CHECK(order("some-" + std::to_string(++orders_)) == 201);
  }
  bool ships(int count) const {
    return eventually(
        [&] {
          const Json now = status();
          return now.at("orders").at("shipped") == count && now.at("queue_depth") == 0;
        },
        seconds(40 * kSlow));
  }
  // All of `count` orders went their whole way, each event was handled once, and nothing is left.
  void expect_all_shipped(int count) {
    CHECK(ships(count));
    const Json now = status();
    CAPTURE(now.dump());
    CHECK(now.at("orders").at("accepted") == 0);
    CHECK(now.at("orders").at("paid") == 0);
    CHECK(now.at("drift") == 0);
    CHECK(now.at("stock").at(0).at("sold") == count);
    CHECK(eventually([&] { return number("SELECT count(*) FROM inbox") == 3 * count; }));
    CHECK(number("SELECT count(DISTINCT event_id) FROM inbox") == 3 * count);
    CHECK(number("SELECT count(*) FROM outbox") == 3 * count);
    CHECK(number("SELECT count(*) FROM order_states") == 3 * count);
    CHECK(number("SELECT count(*) FROM outbox WHERE sent_ms IS NULL") == 0);
  }
  int64_t number(const std::string& statement) const {
    sqlite3* db = nullptr;
    sqlite3_stmt* ready = nullptr;
    int64_t value = -1;
    if (sqlite3_open_v2(dir.path("orders.db").c_str(), &db, SQLITE_OPEN_READONLY, nullptr) ==
            SQLITE_OK &&
        sqlite3_prepare_v2(db, statement.c_str(), -1, &ready, nullptr) == SQLITE_OK &&
        sqlite3_step(ready) == SQLITE_ROW) {
      value = sqlite3_column_int64(ready, 0);
    }
    sqlite3_finalize(ready);
    sqlite3_close(db);
    return value;
  }

  RabbitMq& broker = rabbitmq();
  std::string vhost;
  TempDir dir;
  std::unique_ptr<Program> backend;

 private:
  int orders_ = 0;
};

// Clients that buy, one unit after the other, as many as they are asked to.
class Buyers {
 public:
  explicit Buyers(const Shop& shop) : shop_(shop) {
    for (int buyer = 0; buyer < 2; ++buyer) {
      threads_.emplace_back([this] { run(); });
    }
  }
  ~Buyers() {
    {
      const std::lock_guard lock(mutex_);
      wanted_ = 0;
      is_over_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }
  void ask(int more) {
    {
      const std::lock_guard lock(mutex_);
      wanted_ += more;
    }
    changed_.notify_all();
  }
  // So many are placed altogether, and none has failed.
  bool have(int count) {
    return eventually([&] { return placed >= count || failed > 0; }) && failed == 0;
  }
  std::atomic<int> placed{0}, failed{0};

 private:
  void run() {
    for (;;) {
      int number = 0;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return wanted_ > 0 || is_over_; });
        if (is_over_) return;
        --wanted_;
        number = ++asked_;
      }
      int status = 0;
      try {
        status = shop_.order("buyer-" + std::to_string(number));
      } catch (const Failure&) {
      }
      ++(status == 201 ? placed : failed);
    }
  }

  const Shop& shop_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int wanted_ = 0, asked_ = 0;
  bool is_over_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace

TEST_CASE("e2e/orders: with RabbitMQ orders are shipped, and no program shows its password") {
  Shop shop;
  auto worker = shop.work("w");
  shop.order_some(5);
  shop.expect_all_shipped(5);
  const std::string queue = "queue amqp://shop@127.0.0.1:" + std::to_string(shop.broker.port()) +
                            "/v%2F" + shop.vhost.substr(2) + "\n";
  for (const Program* each : {shop.backend.get(), worker.get()}) {
    CHECK(each->out().find(queue) != std::string::npos);
    CHECK((each->out() + each->log()).find("4711") == std::string::npos);
  }
}

TEST_CASE("e2e/orders: RabbitMQ killed while orders are placed fails none, and all are shipped") {
  constexpr int kMany = 300;
  Shop shop;
  auto worker = shop.work("w");
  shop.order_some(1);
  REQUIRE(shop.ships(1));
  Buyers buyers(shop);
  for (int round = 0; round < 2; ++round) {
    shop.broker.settle();
    const int before = buyers.placed;
    buyers.ask(kMany);
    REQUIRE(buyers.have(before + 20));
    shop.broker.kill();
    REQUIRE(buyers.have(before + kMany));
    shop.broker.start();
  }
  shop.expect_all_shipped(2 * kMany + 1);
}

TEST_CASE("e2e/orders: workers killed with RabbitMQ's messages in their hands lose none") {
  constexpr int kMany = 100;
  Shop shop;
  Buyers buyers(shop);
  for (int round = 1; round <= 3; ++round) {
    buyers.ask(kMany);
    auto worker = shop.work("killed" + std::to_string(round));
    REQUIRE(eventually([&] { return worker->log().find("the order is ") != std::string::npos; }));
    worker->kill();
    REQUIRE(buyers.have(round * kMany));
  }
  auto last = shop.work("last");
  shop.expect_all_shipped(3 * kMany);
}

TEST_CASE("e2e/orders: a frozen RabbitMQ holds up no order, and gets the events when it thaws") {
  Shop shop;
  auto worker = shop.work("w");
  shop.order_some(3);
  REQUIRE(shop.ships(3));
  shop.broker.freeze();
  CHECK(time_of([&] { shop.order_some(20); }) < seconds(4 * kSlow));
  const auto is_noticed = [&] {
    return shop.backend->log().find("the next try") != std::string::npos;
  };
  CHECK(eventually(is_noticed));
  shop.order_some(3);
  shop.broker.thaw();
  shop.expect_all_shipped(26);
}

TEST_CASE("e2e/orders: a RabbitMQ that blocks publishers blocks no order") {
  Shop shop;
  auto worker = shop.work("w");
  shop.order_some(1);
  REQUIRE(shop.ships(1));
  shop.broker.set_alarm(true);
  shop.order_some(10);
  CHECK(eventually(
      [&] { return shop.backend->log().find("takes no more events") != std::string::npos; }));
  CHECK(shop.status().at("orders").at("accepted") == 10);
  shop.order_some(10);
  CHECK(shop.status().at("queue_depth") == 20);
  shop.broker.set_alarm(false);
  shop.expect_all_shipped(21);
}

TEST_CASE("e2e/orders: events for queues that somebody deleted are published again") {
  Shop shop;
  shop.order_some(1);  // so the queues are there
  CHECK(eventually([&] { return shop.status().at("queue_depth") == 0; }));
  auto worker = shop.work("w");
  REQUIRE(shop.ships(1));
  worker->kill();  // or it would declare them first
  for (int shard = 0; shard < 4; ++shard) {
    shop.broker.delete_queue(shop.vhost, "sluice.orders." + std::to_string(shard));
  }
  shop.order_some(10);
  CHECK(eventually([&] { return shop.status().at("queue_depth") == 0; }));
  CHECK(shop.backend->log().find("basic.return") != std::string::npos);
  worker = shop.work("w2");
  shop.expect_all_shipped(11);
}

TEST_CASE("e2e/orders: a message that is no event is parked once, and holds up nothing") {
  Shop shop;
  auto worker = shop.work("w");
  shop.order_some(1);
  REQUIRE(shop.ships(1));
  for (int shard = 0; shard < 4; ++shard) {
    shop.broker.publish(shop.vhost, "sluice.orders", std::to_string(shard), "{\"poison\":1}");
  }
  shop.order_some(10);
  REQUIRE(shop.ships(11));
  CHECK(eventually([&] { return shop.status().at("parked") == 1; }));  // four times the same
  for (int shard = 0; shard < 4; ++shard) {
    CHECK(shop.broker.depth(shop.vhost, "sluice.orders." + std::to_string(shard)) == 0);
  }
  CHECK(shop.broker.depth(shop.vhost, "sluice.orders.dead") == 0);
}

TEST_CASE("e2e/orders: of two workers one has a queue at a time, and each order keeps its order") {
  Shop shop;
  auto first = shop.work("first");
  REQUIRE(eventually([&] { return first->log().find("connected") != std::string::npos; }));
  auto second = shop.work("second");
  REQUIRE(eventually([&] { return second->log().find("connected") != std::string::npos; }));
  Buyers buyers(shop);
  buyers.ask(100);
  REQUIRE(eventually([&] { return first->log().find("is shipped") != std::string::npos; }));
  CHECK(second->log().find("event=") == std::string::npos);
  first->kill();
  buyers.ask(100);
  REQUIRE(buyers.have(200));
  shop.expect_all_shipped(200);
  CHECK(second->log().find("no such order") == std::string::npos);  // none before its turn
}

TEST_CASE("e2e/orders: a wrong --queue is usage, and its password is not shown") {
  for (const char* url : {"amqp://shop:s3cret@mq:port/v", "amqps://shop:s3cret@mq/v",
                          "amqp://shop:s3cret@mq/v?shards=0", "rabbit://shop:s3cret@mq"}) {
    CAPTURE(url);
    const Finished done =
        run({program("SLUICE_ORDERS"), "work", "--db", "sqlite:/nonexistent/o", "--queue", url});
    CHECK(done.exit_code == 2);
    CHECK(done.err.find("--queue: ") != std::string::npos);
    CHECK((done.out + done.err).find("s3cret") == std::string::npos);
  }
}
