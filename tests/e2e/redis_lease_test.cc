// The lease of who fetches: hosts that miss the same key at once ask the endpoint once, as far as
// they may wait, and nobody is held up by a host that is gone.
#include <thread>

#include "tests/e2e/harness/shared.h"

using namespace e2e;

namespace {

constexpr milliseconds kOriginTime(300);

Answers slow_answers() {
  return [](const Message& request) {
    eventually([] { return false; }, kOriginTime);
    return answer(200, request.target, "Cache-Control: max-age=600\r\n");
  };
}

std::string redis_with(const Redis& redis, const std::string& lease_wait) {
  return "url: \"" + redis.url() + "\", timeout: 2s, lease_wait: " + lease_wait;
}

struct Pair {
  explicit Pair(const std::string& lease_wait)
      : origin(serving(slow_answers())),
        values(shared_values(origin.address(), redis.url())),
        a(kSharedYaml, set(lease_wait)),
        b(kSharedYaml, values) {
    await_shared(a, b);
    await_shared(b, a);
  }
  const Values& set(const std::string& lease_wait) {
    values["redis"] = redis_with(redis, lease_wait);
    return values;
  }
  // Both at once.
  void ask_both(const std::string& path) {
    Message from_a;
    const uint16_t port = a.port();
    std::thread other([&] { from_a = get(port, path); });
    const Message from_b = get(b.port(), path);
    other.join();
    CHECK(from_a.body == path);
    CHECK(from_b.body == path);
  }
  // Of what is then only in the memory of a.
  std::string hash_name_of(const std::string& path) {
    const std::string key = store_and_name(a, redis, path);
    redis.ask({"UNLINK", key});
    return key;
  }

  Redis redis;
  Origin origin;
  Values values;
  Sluice a, b;
};

}  // namespace

TEST_CASE("e2e/redis: a cold key asked at two hosts at once goes to the endpoint once") {
  Pair hosts("5s");
  for (int i = 0; i < 10; ++i) {
    const std::string path = "/cold/" + std::to_string(i);
    hosts.ask_both(path);
    CHECK(count_of(hosts.origin, path) == 1);
  }
  const double waited = hosts.a.value("sluice_cache_redis_leases_total", "waited") +
                        hosts.b.value("sluice_cache_redis_leases_total", "waited");
  CHECK(waited >= 1);
}

TEST_CASE("e2e/redis: who may not wait so long asks the endpoint itself, at most one a host") {
  Pair hosts("50ms");
  for (int i = 0; i < 10; ++i) {
    const std::string path = "/cold/" + std::to_string(i);
    hosts.ask_both(path);
    CHECK(count_of(hosts.origin, path) <= 2);
  }
}

TEST_CASE("e2e/redis: lease_wait off: nobody waits for another host") {
  Pair hosts("off");
  hosts.ask_both("/cold");
  CHECK(count_of(hosts.origin, "/cold") <= 2);
  CHECK(hosts.a.value("sluice_cache_redis_leases_total", "waited") == 0);
  CHECK(hosts.b.value("sluice_cache_redis_leases_total", "waited") == 0);
}

TEST_CASE("e2e/redis: the lease of a host that died costs others no more than their wait") {
  Pair hosts("200ms");
  const std::string key = hosts.hash_name_of("/x");
  CHECK(hosts.redis.ask({"SET", key + ":l", "somebody", "PX", "60000"}) == "OK");
  Message response;
  const milliseconds time = time_of([&] { response = store(hosts.b, "/x"); });
  CHECK(response.status == 200);
  CHECK(response.body == "/x");
  CHECK(time < milliseconds(3000 * kSlow));
  CHECK(hosts.b.value("sluice_cache_redis_leases_total", "waited") == 1);
  CHECK(hosts.redis.ask({"GET", key + ":l"}) == "somebody");  // none of ours
  CHECK(hosts.redis.number({"EXISTS", key}) == 1);            // but what it brought is there
}

TEST_CASE("e2e/redis: a lease without an end, or of another type, holds nobody up") {
  Pair hosts("100ms");
  const std::string key = hosts.hash_name_of("/x");
  hosts.redis.ask({"SADD", key + ":l", "x"});
  CHECK(ask(hosts.b, "/x").body == "/x");
  hosts.redis.ask({"UNLINK", key});
  Message response;
  const milliseconds time =
      time_of([&] { response = ask(hosts.b, "/x", "Cache-Control: no-cache\r\n"); });
  CHECK(response.body == "/x");
  CHECK(time < milliseconds(3000 * kSlow));
}

TEST_CASE("e2e/redis: a host that stands still with the lease blocks nobody") {
  Pair hosts("200ms");
  Wire client = Wire::to_port(hosts.a.port());
  client.send(request_text("/x"));
  REQUIRE(eventually([&] { return count_of(hosts.origin, "/x") == 1; }));
  hosts.a.signal(SIGSTOP);
  Message response;
  const milliseconds time = time_of([&] { response = ask(hosts.b, "/x"); });
  hosts.a.signal(SIGCONT);
  CHECK(response.body == "/x");
  CHECK(time < milliseconds(3000 * kSlow));
  CHECK(client.read_response().body == "/x");
}

TEST_CASE("e2e/redis: leases are given back, also after an answer that is not stored") {
  std::atomic<bool> is_private{true};
  Hosts hosts([&](const Message&) {
    return answer(200, "x",
                  is_private ? "Cache-Control: private\r\n" : "Cache-Control: max-age=600\r\n");
  });
  ask(hosts.a, "/x");
  CHECK(eventually([&] { return hosts.redis.keys("*:l").empty(); }));
  is_private = false;
  const double waited = hosts.b.value("sluice_cache_redis_leases_total", "waited");
  store(hosts.b, "/x");
  CHECK(hosts.b.value("sluice_cache_redis_leases_total", "waited") == waited);
  CHECK(eventually([&] { return hosts.redis.keys("*:l").empty(); }));
}

TEST_CASE("e2e/redis: nobody waits for a fetch that is known not to be stored") {
  Gate go_on;
  Redis redis;
  Origin origin([&](OriginConn& c) {
    for (;;) {
      const Message request = c.expect_request();
      if (request.target != "/x") {
        c.send(answer(200, "warm", "Cache-Control: max-age=600\r\n"));
        continue;
      }
      c.send("HTTP/1.1 200 OK\r\nCache-Control: private\r\nContent-Length: 2\r\n\r\no");
      go_on.wait();
      c.send("k");
    }
  });
  Values values = shared_values(origin.address(), redis.url());
  values["redis"] = redis_with(redis, "5s");
  Sluice a(kSharedYaml, values), b(kSharedYaml, values);
  await_shared(a, b);
  Wire first = Wire::to_port(a.port()), second = Wire::to_port(b.port());
  first.send(request_text("/x"));
  first.read_until("\r\n\r\no");
  second.send(request_text("/x"));
  const milliseconds time = time_of([&] { second.read_until("\r\n\r\no"); });
  go_on.open();
  CHECK(time < milliseconds(2500 * kSlow));
  CHECK(first.read_exactly(1) == "k");
  CHECK(second.read_exactly(1) == "k");
}

TEST_CASE("e2e/redis: a lease that was lost costs nobody the answer") {
  Pair hosts("300ms");
  for (int i = 0; i < 3; ++i) {
    const std::string path = "/cold/" + std::to_string(i);
    Wire client = Wire::to_port(hosts.a.port());
    client.send(request_text(path));
    REQUIRE(eventually([&] { return count_of(hosts.origin, path) == 1; }));
    hosts.redis.ask({"FLUSHALL"});
    CHECK(ask(hosts.b, path).body == path);
    CHECK(client.read_response().body == path);
  }
}
