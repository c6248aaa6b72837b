// The promise of purges while everything goes wrong: after the answer to an unsafe request, the
// host that passed it on serves nothing older (RFC 9111 section 4.4), and soon no other host does.
#include <random>
#include <thread>

#include "tests/e2e/harness/shared.h"

using namespace e2e;

namespace {

constexpr size_t kUrls = 12;

std::string path_of(size_t url) { return "/c/" + std::to_string(url); }

// A version for each URL, which an unsafe request raises.
struct Versions {
  std::string answer_to(const Message& request) {
    std::atomic<int>& version = of[std::stoul(request.target.substr(3)) % kUrls];
    if (request.method != "GET") return answer(200, std::to_string(++version));
    return answer(200, std::to_string(version), "Cache-Control: max-age=600\r\n");
  }
  std::atomic<int> of[kUrls] = {};
};

// Changes URLs of its own at one host and reads them there; and reads the others.
class Actor {
 public:
  Actor(uint16_t port, size_t first) : port_(port), first_(first), thread_([this] { run(); }) {}
  ~Actor() { finish(); }
  void finish() {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
  }
  size_t rounds() const { return rounds_; }
  std::string failure() const { return failure_; }  // after finish()

 private:
  void run() {
    std::minstd_rand random(static_cast<unsigned>(first_) + 1);
    try {
      while (!stopping_ && failure_.empty()) act(random() % (kUrls / 2) * 2 + first_, random());
    } catch (const Failure& failure) {
      failure_ = failure.what();
    }
  }
  void act(size_t own, unsigned chance) {
    const std::string path = path_of(own);
    if (chance % 4 == 0) {
      Wire client = Wire::to_port(port_);
      client.send(request_text(path, "Content-Length: 0\r\n", "POST"));
      known_[own] = std::stoi(client.read_response().body);
    }
    const Message got = get(port_, path);
    if (got.status != 200 || std::stoi(got.body) < known_[own]) {
      failure_ =
          path + " is " + got.body + " after " + std::to_string(known_[own]) + "\n" + got.raw_head;
    }
    if (get(port_, path_of(chance % kUrls)).status != 200) failure_ = "another one failed";
    ++rounds_;
  }

  const uint16_t port_;
  const size_t first_;
  int known_[kUrls] = {};
  std::atomic<bool> stopping_{false};
  std::atomic<size_t> rounds_{0};
  std::string failure_;
  std::thread thread_;
};

struct Chaos {
  explicit Chaos(const std::vector<std::string>& words)
      : hosts([this](const Message& request) { return versions.answer_to(request); },
              {{"workers", "2"}}, words),
        at_a(hosts.a.port(), 0),
        at_b(hosts.b.port(), 1) {}
  void expect_promise_kept() {
    at_a.finish();
    at_b.finish();
    CHECK(at_a.failure() == "");
    CHECK(at_b.failure() == "");
    CHECK(at_a.rounds() > 50);
    CHECK(at_b.rounds() > 50);
    for (size_t url = 0; url < kUrls; ++url) {
      CAPTURE(url);
      const std::string version = std::to_string(versions.of[url]);
      for (Sluice* sluice : {&hosts.a, &hosts.b}) {
        CHECK(eventually([&] { return ask(*sluice, path_of(url)).body == version; }));
        CHECK(ask(*sluice, path_of(url)).body == version);
      }
    }
    const auto third = hosts.another();
    for (size_t url = 0; url < kUrls; ++url) {
      CHECK(ask(*third, path_of(url)).body == std::to_string(versions.of[url]));
    }
  }

  Versions versions;
  Hosts hosts;
  Actor at_a, at_b;
};

void hold(milliseconds time) {
  eventually([] { return false; }, time);
}

}  // namespace

TEST_CASE("e2e/redis_chaos: nothing older than a purge at its own host, with a good Redis") {
  Chaos chaos({});
  hold(seconds(4));
  chaos.expect_promise_kept();
}

TEST_CASE("e2e/redis_chaos: ... while connections are cut and the state is deleted") {
  Chaos chaos({});
  for (int i = 0; i < 60; ++i) {
    hold(milliseconds(50));
    if (i % 3 == 0) chaos.hosts.redis.ask({"CLIENT", "KILL", "TYPE", "pubsub"});
    if (i % 4 == 0) chaos.hosts.redis.ask({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
    if (i % 10 == 9) chaos.hosts.redis.ask({"DEL", "sluice:state"});
    if (i % 10 == 4) chaos.hosts.redis.ask({"DEL", "sluice:purges"});
  }
  chaos.expect_promise_kept();
}

TEST_CASE("e2e/redis_chaos: ... while Redis freezes, and is killed and started with what it had") {
  Chaos chaos({"--appendonly", "yes", "--appendfsync", "everysec"});
  for (int i = 0; i < 6; ++i) {
    hold(milliseconds(300));
    chaos.hosts.redis.freeze();
    hold(milliseconds(i * 200));
    chaos.hosts.redis.thaw();
    hold(milliseconds(100));
    chaos.hosts.redis.kill();
    hold(milliseconds(100));
    chaos.hosts.redis.start();
  }
  chaos.expect_promise_kept();
}

TEST_CASE("e2e/redis_chaos: ... while Redis goes back to an old snapshot again and again") {
  Chaos chaos({"--dbfilename", "dump.rdb"});
  for (int i = 0; i < 6; ++i) {
    CHECK(chaos.hosts.redis.ask({"SAVE"}) == "OK");
    hold(milliseconds(400));
    chaos.hosts.redis.kill();
    chaos.hosts.redis.start();
    hold(milliseconds(400));
  }
  chaos.expect_promise_kept();
}

TEST_CASE("e2e/redis_chaos: who asks after a purge does not share a fetch from before it") {
  Gate go_on;
  std::atomic<int> gets{0};
  Hosts hosts([&](const Message& request) {
    if (request.method != "GET") return answer(200, "done");
    const int number = ++gets;
    if (number == 1) go_on.wait();
    return answer(200, "v" + std::to_string(number), "Cache-Control: max-age=600\r\n");
  });
  Wire early = Wire::to_port(hosts.a.port()), late = Wire::to_port(hosts.a.port());
  early.send(request_text("/x"));
  REQUIRE(eventually([&] { return gets == 1; }));
  CHECK(ask(hosts.a, "/x", "Content-Length: 0\r\n", "POST").status == 200);
  late.send(request_text("/x"));
  eventually([&] { return gets == 2; }, seconds(2));
  go_on.open();
  CHECK(early.read_response().body == "v1");
  CHECK(late.read_response().body == "v2");
}
