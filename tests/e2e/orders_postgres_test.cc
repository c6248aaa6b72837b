// Orders in PostgreSQL, from outside: several servers and workers on one database, and what
// happens to it. Whatever it is, exactly what is there is sold, and each event has its effect once.
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <thread>

#include "tests/e2e/harness/e2e.h"
#include "tests/e2e/harness/postgres.h"

using namespace e2e;

namespace {

// For tests that do not hurt it.
Postgres& shared_server() {
  static Postgres server({"max_connections=60"});
  return server;
}

// A `serve` or `work` on one database.
class Program {
 public:
  Program(std::vector<std::string> words, const TempDir& dir, const std::string& name)
      : words_(std::move(words)), out_(dir.path(name + ".out")), err_(dir.path(name + ".err")) {
    words_.insert(words_.begin(), program("SLUICE_ORDERS"));
    words_.insert(words_.end(), {"--name", name});
    start();
  }
  ~Program() {
    if (process_->poll_exit()) return;
    process_->signal(SIGTERM);
    CHECK(process_->wait(kPatience * 2) == 0);
  }
  void start() {
    process_ = std::make_unique<Process>(words_, out_, err_);
    const auto is_up = [&] {
      return read_file(out_).find(", database postgres:") != std::string::npos;
    };
    if (!eventually(is_up)) throw Failure("sluice-orders is not up: " + read_file(err_));
  }
  void kill() {
    process_->signal(SIGKILL);
    process_->wait(kPatience);
  }
  void restart() {
    kill();
    write_file(out_, "");
    start();
  }
  std::string log() const { return read_file(err_); }

 private:
  std::vector<std::string> words_;
  std::string out_, err_;
  std::unique_ptr<Process> process_;
};

class Server : public Program {
 public:
  Server(const std::string& url, const TempDir& dir, const std::string& name,
         const std::vector<std::string>& more = {})
      : Program(words(url, dir.path(name + ".sock"), more), dir, name),
        socket_(dir.path(name + ".sock")) {}

  Message get(const std::string& path) const {
    Wire wire = Wire::to_unix(socket_);
    wire.send(request_text(path));
    return wire.read_response();
  }
  Json status() const { return Json::parse(get("/status").body); }
  Message order(const std::string& key, const std::string& items,
                const std::string& user = "u1") const {
    const std::string body = R"({"user_id":")" + user + R"(","items":)" + items + "}";
    Wire wire = Wire::to_unix(socket_);
    wire.send(request_text("/orders",
                           "Content-Type: application/json\r\nIdempotency-Key: " + key +
                               "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n",
                           "POST") +
              body);
    return wire.read_response("POST");
  }

 private:
  static std::vector<std::string> words(const std::string& url, const std::string& socket,
                                        const std::vector<std::string>& more) {
    std::vector<std::string> all{"serve", "--listen", "unix:" + socket, "--db", url};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  std::string socket_;
};

class Worker : public Program {
 public:
  Worker(const std::string& url, const TempDir& dir, const std::string& name)
      : Program({"work", "--db", url}, dir, name) {}
};

const std::string kOne = R"([{"product_id":"p1","quantity":1}])";
const std::string kBoth = R"([{"product_id":"p1","quantity":1},{"product_id":"p2","quantity":1}])";
const std::string kTurned =
    R"([{"product_id":"p2","quantity":1},{"product_id":"p1","quantity":1}])";

// Two products with so many units each.
std::vector<std::string> seed(const TempDir& dir, int stock) {
  const auto product = [stock](const std::string& id) {
    return R"({"id":")" + id + R"(","name":"P","price_cents":1,"stock":)" + std::to_string(stock) +
           "}";
  };
  write_file(dir.path("seed.json"),
             R"({"products":[)" + product("p1") + "," + product("p2") + "]}");
  return {"--seed", dir.path("seed.json")};
}

// Clients that buy until all is sold. Who gets no answer, or 503, asks any server again with the
// same key, as a careful client does.
class Buyers {
 public:
  using Items = std::function<std::string(int buyer)>;
  Buyers(
      std::vector<const Server*> servers, int count, Items items = [](int) { return kOne; })
      : servers_(std::move(servers)), items_(std::move(items)) {
    for (int buyer = 0; buyer < count; ++buyer) {
      threads_.emplace_back([this, buyer] {
        for (int i = 0; !is_over_ && buy(buyer, i); ++i) {
        }
      });
    }
  }
  ~Buyers() {
    is_over_ = true;
    finish();
  }
  void finish() {
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  size_t sold() {
    std::lock_guard lock(mutex_);
    return ids_.size();
  }
  std::atomic<int> placed{0}, replayed{0}, sold_out{0}, other{0}, broken{0};

 private:
  // False: there is no more.
  bool buy(int buyer, int number) {
    const std::string key = std::to_string(buyer) + "-" + std::to_string(number);
    size_t turn = static_cast<size_t>(buyer);
    for (const Deadline deadline(kPatience * 3); !deadline.is_over(); ++turn) {
      try {
        const Message answer = servers_[turn % servers_.size()]->order(key, items_(buyer));
        if (answer.status == 503 || answer.status == 409) {
          CHECK(answer.field("Content-Type") == "application/problem+json");
          const bool is_sold_out = answer.body.find("/sold_out") != std::string::npos;
          if (is_sold_out) return ++sold_out, false;
          CHECK(answer.has("Retry-After"));
          ++broken;
          continue;
        }
        if (answer.status != 201) return ++other, true;
        ++(answer.has("Idempotency-Replayed") ? replayed : placed);
        std::lock_guard lock(mutex_);
        ids_.insert(answer.field("Location"));
        return true;
      } catch (const Failure&) {
        ++broken;
      }
    }
    return ++other, false;
  }

  std::vector<const Server*> servers_;
  Items items_;
  std::mutex mutex_;
  std::set<std::string> ids_;
  std::atomic<bool> is_over_{false};
  std::vector<std::thread> threads_;
};

bool all_are_done(Postgres& server, const std::string& database) {
  return server.number(database, "SELECT count(*) FROM outbox WHERE sent_ms IS NULL") == 0;
}

// Exactly `sold` orders of one unit of p1, each shipped, each event handled once.
void check_books(Postgres& server, const std::string& database, int sold) {
  const auto number = [&](const std::string& what) { return server.number(database, what); };
  CHECK(number("SELECT count(*) FROM orders WHERE status = 'shipped'") == sold);
  CHECK(number("SELECT count(*) FROM orders") == sold);
  CHECK(number("SELECT count(*) FROM order_states") == 3 * sold);
  CHECK(number("SELECT count(*) FROM inbox") == 3 * sold);
  CHECK(number("SELECT count(*) FROM outbox") == 3 * sold);
  CHECK(number("SELECT count(*) FROM idempotency_keys") == sold);
  CHECK(number("SELECT count(*) FROM parked") == 0);
  CHECK(number("SELECT count(*) FROM stock s WHERE available <> (SELECT sum(delta) FROM "
               "stock_ledger l WHERE l.product_id = s.product_id)") == 0);
}

}  // namespace

TEST_CASE("e2e/orders_postgres: servers, workers and PostgreSQL are killed; exactly N are sold") {
  constexpr int kStock = 1200;
  Postgres server({"max_connections=60"});
  const std::string database = server.make_database();
  const std::string url = server.url(database);
  TempDir dir;
  Server a(url, dir, "a", seed(dir, kStock)), b(url, dir, "b"), c(url, dir, "c");
  Worker first(url, dir, "w1"), second(url, dir, "w2");
  Buyers buyers({&a, &b, &c}, 24);
  const auto await_sold = [&](size_t sold) {
    REQUIRE(eventually([&] { return buyers.sold() >= sold; }, kPatience * 2));
  };
  await_sold(100);
  first.kill();
  b.restart();
  await_sold(250);
  server.kill();
  server.start();
  await_sold(400);
  first.start();
  second.kill();
  c.restart();
  server.sql("postgres",
             "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
             "application_name = 'sluice-orders'");
  await_sold(550);
  server.kill();
  server.start();
  buyers.finish();
  CHECK(buyers.other == 0);
  CHECK(buyers.broken > 0);
  CHECK(buyers.sold_out == 24);
  CHECK(buyers.sold() == kStock);
  CHECK(buyers.placed + buyers.replayed == kStock);
  // What killed workers held comes back when their leases are over.
  REQUIRE(eventually([&] { return all_are_done(server, database); }, seconds(40 * kSlow)));
  check_books(server, database, kStock);
  const Json status = a.status();
  CHECK(status.at("drift") == 0);
  CHECK(status.at("stock").at(0).at("sold") == kStock);
  CHECK(status.at("stock").at(0).at("available") == 0);
}

TEST_CASE(
    "e2e/orders_postgres: while PostgreSQL is frozen nobody waits for long, nothing is lost") {
  Postgres server;
  const std::string database = server.make_database();
  TempDir dir;
  Server a(server.url(database), dir, "a");
  REQUIRE(a.order("k0", kOne).status == 201);
  server.freeze();
  Message order, health;
  std::thread buyer([&] { order = a.order("k1", kOne); });
  const milliseconds took = time_of([&] { health = a.get("/healthz"); });
  // What needs no database is answered meanwhile: the loop is not held up.
  const milliseconds other = time_of([&] { CHECK(a.get("/openapi.json").status == 200); });
  buyer.join();
  CHECK(health.status == 503);
  CHECK(took < milliseconds(3500 * kSlow));
  CHECK(other < milliseconds(500 * kSlow));
  CHECK(order.status == 503);
  CHECK(order.has("Retry-After"));
  CHECK(time_of([&] { CHECK(a.order("k2", kOne).status == 503); }) < milliseconds(3500 * kSlow));
  server.thaw();
  REQUIRE(eventually([&] { return a.get("/healthz").status == 200; }));
  CHECK(a.order("k1", kOne).status == 201);
  CHECK(a.order("k2", kOne).status == 201);
  CHECK(server.number(database, "SELECT count(*) FROM orders") == 3);
  CHECK(a.status().at("drift") == 0);
}

TEST_CASE("e2e/orders_postgres: at each isolation level, whatever conflicts, it comes out exact") {
  constexpr int kStock = 150;
  Postgres& server = shared_server();
  for (const char* isolation : {"repeatable-read", "serializable"}) {
    CAPTURE(isolation);
    const std::string database = server.make_database();
    const std::string url = server.url(database, std::string("&isolation=") + isolation);
    TempDir dir;
    Server a(url, dir, "a", seed(dir, kStock)), b(url, dir, "b"), c(url, dir, "c");
    Worker worker(url, dir, "w");
    {
      Buyers buyers({&a, &b, &c}, 12, [](int buyer) { return buyer % 2 == 0 ? kBoth : kTurned; });
      buyers.finish();
      CHECK(buyers.other == 0);
      CHECK(buyers.sold() == kStock);
    }
    REQUIRE(eventually([&] { return all_are_done(server, database); }, seconds(20 * kSlow)));
    check_books(server, database, kStock);
    CHECK(a.status().at("drift") == 0);
  }
}

TEST_CASE("e2e/orders_postgres: a user's limit is exact over three processes at once") {
  Postgres& server = shared_server();
  const std::string database = server.make_database();
  TempDir dir;
  const std::string url = server.url(database);
  const std::vector<std::string> limit{"--user-limit", "5"};
  Server a(url, dir, "a", limit), b(url, dir, "b", limit), c(url, dir, "c", limit);
  const Server* servers[] = {&a, &b, &c};
  std::atomic<int> placed{0}, limited{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 36; ++i) {
    threads.emplace_back([&, i] {
      const std::string user = i % 2 == 0 ? "u1" : "u2";
      const int status = servers[i % 3]->order("k" + std::to_string(i), kOne, user).status;
      ++(status == 201 ? placed : limited);
      CHECK((status == 201 || status == 429));
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(placed == 10);
  CHECK(limited == 26);
  CHECK(server.number(database, "SELECT count(*) FROM orders WHERE user_id = 'u1'") == 5);
}

TEST_CASE("e2e/orders_postgres: a key is known for a day, on every server, and then no more") {
  Postgres& server = shared_server();
  const std::string database = server.make_database();
  TempDir dir;
  Server a(server.url(database), dir, "a"), b(server.tcp_url(database), dir, "b");
  const Message first = a.order("k1", kOne), again = b.order("k1", kOne);
  CHECK(first.status == 201);
  CHECK(again.field("Idempotency-Replayed") == "true");
  CHECK(again.body == first.body);
  CHECK(b.order("k1", kBoth).status == 422);
  server.sql(database, "UPDATE idempotency_keys SET at_ms = at_ms - 86400001");
  const Message new_one = b.order("k1", kBoth);
  CHECK(new_one.status == 201);
  CHECK_FALSE(new_one.has("Idempotency-Replayed"));
  CHECK(new_one.field("Location") != first.field("Location"));
}

TEST_CASE("e2e/orders_postgres: a server that refuses is one line, without the password") {
  Postgres& server = shared_server();
  TempDir dir;
  const std::string fine = server.make_database(), newer = server.make_database(),
                    read_only = server.make_database(), full = server.make_database(),
                    bare = server.make_database();
  const auto put = [](std::string url, const std::string& from, const std::string& to) {
    return url.replace(url.find(from), from.size(), to);
  };
  const auto as_other = [&](const std::string& database) {
    return put(put(server.tcp_url(database), "shop:", "shop2:"), Postgres::kPasswordInUrl,
               "secret");
  };
  for (const std::string& database : {fine, newer}) Server(server.url(database), dir, database);
  for (const std::string& statement :
       {std::string("CREATE ROLE shop2 LOGIN PASSWORD 'secret'"),
        "ALTER DATABASE " + read_only + " SET default_transaction_read_only = on",
        "ALTER DATABASE " + full + " CONNECTION LIMIT 0"}) {
    server.sql("postgres", statement);
  }
  server.sql(newer, "INSERT INTO schema_version VALUES (99)");
  const std::pair<std::string, const char*> refusals[] = {
      {put(server.tcp_url(fine), Postgres::kPasswordInUrl, "secret"),
       "password authentication failed for user \"shop\""},
      {server.url("no_such_shop"), "database \"no_such_shop\" does not exist"},
      {put(server.tcp_url(fine), ":" + std::to_string(server.port()), ":1"), "refused"},
      {server.url(newer), "its tables are of version 99, this program knows version 2"},
      {server.url(read_only), "session is read-only"},
      {as_other(full), "too many connections for database"},
      {as_other(bare), "permission denied for schema public"},
      {as_other(fine), "permission denied for table schema_version"}};
  // All at once: some are waited for, as a server that starts.
  std::vector<std::unique_ptr<Process>> processes;
  for (const auto& [url, what] : refusals) {
    const std::string name = dir.path(std::to_string(processes.size()));
    const std::vector<std::string> words =
        processes.size() % 2 == 0
            ? std::vector<std::string>{"serve", "--listen", "unix:" + name + ".sock"}
            : std::vector<std::string>{"work"};
    std::vector<std::string> all{program("SLUICE_ORDERS")};
    all.insert(all.end(), words.begin(), words.end());
    all.insert(all.end(), {"--db", url});
    processes.push_back(std::make_unique<Process>(all, name, name + ".err"));
  }
  for (size_t i = 0; i < processes.size(); ++i) {
    CHECK(processes[i]->wait(kPatience * 2) == 1);
    const std::string name = dir.path(std::to_string(i)), said = read_file(name + ".err");
    CAPTURE(said);
    CHECK(said.find(refusals[i].second) != std::string::npos);
    CHECK(said.starts_with("sluice-orders: cannot use the database postgres://shop"));
    CHECK(std::ranges::count(said, '\n') == 1);
    CHECK(read_file(name) == "");
    for (const char* secret : {Postgres::kPassword, Postgres::kPasswordInUrl, "secret"}) {
      CHECK(said.find(secret) == std::string::npos);
    }
  }
}
