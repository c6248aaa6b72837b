// Orders through Kafka: serve publishes, workers of one group consume, and whoever is killed or
// away meanwhile, each event is handled once. The brokers are the mock cluster of
// harness/kafka.h, which says what it cannot show.
#include <signal.h>

#include <atomic>
#include <thread>

#include "tests/e2e/harness/e2e.h"
#include "tests/e2e/harness/kafka.h"
#include "tests/e2e/harness/postgres.h"

using namespace e2e;

namespace {

constexpr int kPartitions = 4;
// A member that died without a word is missed for 6 s, and the mock takes 5 s more to share anew.
constexpr milliseconds kHandOver{60'000 * kSlow};

// The places that the processes of one test share.
struct Shop {
  Shop() : database(postgres().make_database()) {
    write_file(dir.path("seed.json"),
               R"({"products":[{"id":"p1","name":"P","price_cents":1,"stock":1000000}]})");
  }
  static Postgres& postgres() {
    static Postgres server;
    return server;
  }
  std::string queue() const { return kafka.url("orders"); }
  std::string db() const { return postgres().url(database); }
  int64_t count(const std::string& from) const {
    return postgres().number(database, "SELECT count(*) FROM " + from);
  }

  TempDir dir;
  KafkaCluster kafka;
  std::string database;
};

// serve or work, which can be killed and started again.
class Program {
 public:
  Program(const Shop& shop, const std::string& name, std::vector<std::string> words)
      : words_(std::move(words)), out_(shop.dir.path(name + ".out")), err_(out_ + ".err") {
    words_.insert(words_.begin(), program("SLUICE_ORDERS"));
    for (const std::string& word : {std::string("--db"), shop.db(), std::string("--queue"),
                                    shop.queue(), std::string("--name"), name}) {
      words_.push_back(word);
    }
    start();
  }
  ~Program() {
    if (!process_->poll_exit()) CHECK(stop() == 0);
  }
  void start() {
    const std::string before = out();
    process_ = std::make_unique<Process>(words_, out_, err_);
    const auto is_up = [&] { return out().size() > before.size() || process_->poll_exit(); };
    if (!eventually(is_up) || process_->poll_exit()) throw Failure("it does not start: " + log());
  }
  int stop() {
    process_->signal(SIGTERM);
    return process_->wait(kPatience).value_or(-1);
  }
  void kill() {
    process_->signal(SIGKILL);
    process_->wait(kPatience);
  }
  std::string out() const { return read_file(out_); }
  std::string log() const { return read_file(err_); }
  bool says(const std::string& what) const { return log().find(what) != std::string::npos; }

 private:
  std::vector<std::string> words_;
  std::string out_, err_;
  std::unique_ptr<Process> process_;
};

struct Worker : Program {
  Worker(const Shop& shop, const std::string& name, std::vector<std::string> more = {})
      : Program(shop, name, [&] {
          more.insert(more.begin(), "work");
          return more;
        }()) {}
};

struct Backend : Program {
  explicit Backend(const Shop& shop)
      : Program(shop, "a",
                {"serve", "--listen", "unix:" + shop.dir.path("a.sock"), "--seed",
                 shop.dir.path("seed.json")}),
        socket(shop.dir.path("a.sock")) {}

  Message get(const std::string& path) const {
    Wire wire = Wire::to_unix(socket);
    wire.send(request_text(path));
    return wire.read_response();
  }
  int order(const std::string& key) const {
    const std::string body = R"({"user_id":"u1","items":[{"product_id":"p1","quantity":1}]})";
    Wire wire = Wire::to_unix(socket);
    wire.send(request_text("/orders",
                           "Content-Type: application/json\r\nIdempotency-Key: " + key +
                               "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n",
                           "POST") +
              body);
    return wire.read_response("POST").status;
  }
  void place(int count, const std::string& prefix) const {
    for (int i = 0; i < count; ++i) REQUIRE(order(prefix + std::to_string(i)) == 201);
  }

  std::string socket;
};

// One buys without pause, again with the same key when no answer came.
class Buyer {
 public:
  explicit Buyer(const Backend& backend)
      : thread_([this, &backend] {
          for (int i = 0; !is_over_; ++i) buy(backend, "b" + std::to_string(i));
        }) {}
  ~Buyer() { finish(); }
  int finish() {
    is_over_ = true;
    if (thread_.joinable()) thread_.join();
    return placed;
  }
  std::atomic<int> placed{0}, broken{0}, other{0};

 private:
  void buy(const Backend& backend, const std::string& key) {
    for (const Deadline deadline(kPatience * 2); !deadline.is_over();) {
      try {
        ++(backend.order(key) == 201 ? placed : other);
        return;
      } catch (const Failure&) {
        ++broken;
      }
    }
    ++other;
  }
  std::atomic<bool> is_over_{false};
  std::thread thread_;
};

bool are_all_shipped(const Shop& shop, int64_t orders, milliseconds within = kHandOver) {
  return eventually(
      [&] {
        return shop.count("inbox") == 3 * orders && shop.count("outbox WHERE sent_ms IS NULL") == 0;
      },
      within);
}

// Each event of each order once, in order, and nothing else.
void check_books(const Shop& shop, const Backend& backend, int64_t orders) {
  const Json status = Json::parse(backend.get("/status").body);
  CAPTURE(status.dump());
  CHECK(status.at("orders").at("shipped") == orders);
  CHECK(status.at("drift") == 0);
  CHECK(status.at("parked") == 0);
  CHECK(shop.count("orders") == orders);
  CHECK(shop.count("outbox") == 3 * orders);
  CHECK(shop.count("inbox") == 3 * orders);
  CHECK(shop.count("inbox i JOIN outbox o ON i.event_id = o.event_id") == 3 * orders);
  CHECK(shop.count("order_states") == 3 * orders);
}

}  // namespace

TEST_CASE("e2e/orders over Kafka: orders are shipped, an order's events stay in order") {
  constexpr int kOrders = 30;
  Shop shop;
  Backend backend(shop);
  Worker worker(shop, "w");
  CHECK(backend.out().find("queue " + shop.queue() + "\n") != std::string::npos);
  CHECK(worker.out().find("queue " + shop.queue() + "\n") != std::string::npos);
  backend.place(kOrders, "k");
  REQUIRE(are_all_shipped(shop, kOrders));
  check_books(shop, backend, kOrders);
  // Of each order, as the worker tells it.
  const std::string log = worker.log();
  const Json orders = Json::parse(backend.get("/orders?user=u1").body).at("orders");
  CHECK(orders.size() == kOrders);
  for (const Json& order : orders) {
    const std::string id = order.at("order_id");
    const size_t first = log.find("event=" + id + "-1 "), second = log.find("event=" + id + "-2 "),
                 third = log.find("event=" + id + "-3 ");
    CHECK(first < second);
    CHECK(second < third);
    CHECK(third != std::string::npos);
  }
  CHECK(worker.stop() == 0);
  CHECK(worker.out().find("moved 60, recorded 30, duplicates 0, old 0, parked 0, tried again 0") !=
        std::string::npos);
  int64_t events = 0;
  for (int partition = 0; partition < kPartitions; ++partition) {
    const int64_t end = shop.kafka.end_of("orders", partition);
    events += end;
    // Written off when it stopped; a partition without events has no offset.
    CHECK(shop.kafka.done("orders", partition) == (end == 0 ? -1001 : end));
  }
  CHECK(events == 3 * kOrders);
}

TEST_CASE(
    "e2e/orders over Kafka: server and worker killed while they sell, nothing lost or twice") {
  Shop shop;
  Backend backend(shop);
  Worker worker(shop, "w");
  Buyer buyer(backend);
  for (int round = 1; round <= 2; ++round) {
    const int64_t handled = shop.count("inbox");
    REQUIRE(eventually([&] { return shop.count("inbox") > handled + 20; }, kHandOver));
    worker.kill();
    REQUIRE(eventually([&] { return buyer.placed >= 100 * round; }));
    backend.kill();
    backend.start();
    worker.start();
  }
  const int64_t placed = buyer.finish();
  CHECK(buyer.other == 0);
  REQUIRE(are_all_shipped(shop, placed));
  check_books(shop, backend, placed);
}

TEST_CASE("e2e/orders over Kafka: orders go on while no broker is there, and are shipped later") {
  constexpr int kOrders = 20;
  Shop shop;
  Backend backend(shop);
  Worker worker(shop, "w");
  backend.place(kOrders, "before");
  REQUIRE(are_all_shipped(shop, kOrders));
  shop.kafka.down();
  const auto is_told = [&] {
    return backend.says("no broker of kafka://") && worker.says("no broker of kafka://");
  };
  CHECK(eventually(is_told));
  const milliseconds took = time_of([&] { backend.place(kOrders, "during"); });
  CHECK(took < kPatience);
  const Json status = Json::parse(backend.get("/status").body);
  CHECK(status.at("queue_depth") == kOrders);
  CHECK(backend.get("/readyz").status == 200);
  shop.kafka.up();
  backend.place(kOrders, "after");
  REQUIRE(are_all_shipped(shop, 3 * kOrders));
  check_books(shop, backend, 3 * kOrders);
  CHECK(backend.says(" is back"));
}

TEST_CASE("e2e/orders over Kafka: brokers that come and go while orders are placed lose nothing") {
  Shop shop;
  Backend backend(shop);
  Worker worker(shop, "w");
  Buyer buyer(backend);
  for (int round = 1; round <= 3; ++round) {
    REQUIRE(eventually([&] { return buyer.placed >= 60 * round; }));
    shop.kafka.down();
    REQUIRE(eventually([&] { return buyer.placed >= 60 * round + 30; }));
    shop.kafka.up();
    const int64_t handled = shop.count("inbox");
    REQUIRE(eventually([&] { return shop.count("inbox") > handled; }, kHandOver));
  }
  const int64_t placed = buyer.finish();
  CHECK(buyer.other + buyer.broken == 0);
  REQUIRE(are_all_shipped(shop, placed));
  check_books(shop, backend, placed);
}

TEST_CASE("e2e/orders over Kafka: two workers share the partitions, and one takes over all") {
  constexpr int kOrders = 40;
  Shop shop;
  Backend backend(shop);
  Worker one(shop, "one");
  Worker two(shop, "two");
  const auto share = [](const Worker& worker) {
    return worker.log().rfind("reads 2 partitions") != std::string::npos;
  };
  REQUIRE(eventually([&] { return share(one) && share(two); }, kHandOver));
  backend.place(kOrders, "both");
  REQUIRE(are_all_shipped(shop, kOrders));
  CHECK(one.says("the order is shipped"));
  CHECK(two.says("the order is shipped"));
  one.kill();
  backend.place(kOrders, "one");
  REQUIRE(are_all_shipped(shop, 2 * kOrders));
  CHECK(two.says("reads 4 partitions"));
  check_books(shop, backend, 2 * kOrders);
}

TEST_CASE("e2e/orders over Kafka: what nobody can handle is parked, and stops nothing") {
  constexpr int kOrders = 10;
  const std::string unknown = "01890000-0000-7000-8000-000000000001";
  Shop shop;
  shop.kafka.ask("topic orders " + std::to_string(kPartitions));
  Backend backend(shop);
  shop.kafka.ask("put orders - no event at all");
  shop.kafka.ask("put orders " + unknown + R"( {"event_id":")" + unknown +
                 R"(-1","type":"order.accepted","order_id":")" + unknown +
                 R"(","version":1,"user_id":"u","status":"accepted","total_cents":1,"items":[],)"
                 R"("at":"2026-01-01T00:00:00Z","request_id":"r"})");
  Worker worker(shop, "w", {"--attempts", "2"});
  backend.place(kOrders, "k");
  REQUIRE(eventually([&] { return shop.count("parked") == 2; }, kHandOver));
  CHECK(shop.count("parked WHERE event_id = '" + unknown + "-1' AND reason LIKE '%attempt 2%'") ==
        1);
  REQUIRE(are_all_shipped(shop, kOrders));
  CHECK(worker.stop() == 0);
  CHECK(worker.out().find("parked 2, tried again 1") != std::string::npos);
  // Parked ones are settled: they do not come again.
  for (int partition = 0; partition < kPartitions; ++partition) {
    const int64_t end = shop.kafka.end_of("orders", partition);
    CHECK(shop.kafka.done("orders", partition) == (end == 0 ? -1001 : end));
  }
}

TEST_CASE("e2e/orders over Kafka: TERM ends both in time, whatever the cluster does") {
  for (const char* what : {"down", "frozen", "killed"}) {
    CAPTURE(what);
    Shop shop;
    Backend backend(shop);
    Worker worker(shop, "w");
    backend.place(5, "k");
    REQUIRE(are_all_shipped(shop, 5));
    const std::string how = what;
    if (how == "down") shop.kafka.down();
    if (how == "frozen") shop.kafka.freeze();
    if (how == "killed") shop.kafka.kill();
    backend.place(5, "unsent");
    const milliseconds worker_took = time_of([&] { CHECK(worker.stop() == 0); });
    const milliseconds backend_took = time_of([&] { CHECK(backend.stop() == 0); });
    CHECK(worker_took < seconds(7 * kSlow));
    CHECK(backend_took < seconds(7 * kSlow));
    CHECK(shop.count("outbox WHERE sent_ms IS NULL") == 5);  // they wait for the next server
    if (how == "frozen") shop.kafka.thaw();
  }
}

TEST_CASE("e2e/orders over Kafka: a server that finds no cluster sells nonetheless") {
  Shop shop;
  shop.kafka.kill();
  Backend backend(shop);
  Worker worker(shop, "w");
  backend.place(5, "k");
  CHECK(eventually([&] { return backend.says("no broker of kafka://"); }));
  CHECK(worker.stop() == 0);
  CHECK(backend.stop() == 0);
  CHECK(shop.count("outbox WHERE sent_ms IS NULL") == 5);
}

TEST_CASE("e2e/orders over Kafka: a URL that cannot be used is one line, without a password") {
  for (const char* command : {"serve --listen 127.0.0.1:0", "work"}) {
    std::vector<std::string> words{program("SLUICE_ORDERS")};
    for (std::string rest = command; !rest.empty();) {
      const size_t space = std::min(rest.find(' '), rest.size());
      words.push_back(rest.substr(0, space));
      rest.erase(0, std::min(space + 1, rest.size()));
    }
    for (const char* word :
         {"--db", "sqlite:/nowhere/o.db", "--queue", "kafka://shop:s3cret@127.0.0.1:9092/orders"}) {
      words.emplace_back(word);
    }
    const Finished finished = run(words);
    CHECK(finished.exit_code == 2);
    CHECK(finished.err.find("--queue: user and password are not supported") != std::string::npos);
    CHECK((finished.out + finished.err).find("s3cret") == std::string::npos);
  }
}
