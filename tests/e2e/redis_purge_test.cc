// Purges across hosts that share a Redis: what one host was told is gone, none serves again,
// whatever becomes of its connections meanwhile (RFC 9111 section 4.4).
#include <filesystem>

#include "tests/e2e/harness/shared.h"

using namespace e2e;

namespace {

const std::string kFresh = "Cache-Control: max-age=600\r\n";
constexpr milliseconds kSoon(1000 * kSlow);

// GET is answered with how many unsafe requests came to that path before; the lines of `to_post`
// are those of the answer to them.
Answers versioned(const std::string& to_post = "", const std::string& to_get = "") {
  struct Counts {
    std::mutex mutex;
    std::map<std::string, int> of;
  };
  auto counts = std::make_shared<Counts>();
  return [=](const Message& request) {
    const std::lock_guard lock(counts->mutex);
    int& count = counts->of[request.target];
    if (request.method != "GET") {
      ++count;
      return answer(200, "done", to_post);
    }
    return answer(200, "v" + std::to_string(count), kFresh + to_get);
  };
}

void post(Sluice& sluice, const std::string& path) {
  CHECK(ask(sluice, path, "Content-Length: 0\r\n", "POST").status == 200);
}

// In the memory of both, and in Redis.
void store_at_both(Hosts& hosts, const std::string& path) {
  CHECK(store(hosts.a, path).body == "v0");
  CHECK(is_from_redis(ask(hosts.b, path)));
  CHECK(is_from_memory(ask(hosts.a, path)));
  CHECK(is_from_memory(ask(hosts.b, path)));
}

// Gone at once where it was purged, soon everywhere, and never back.
void expect_purged(Hosts& hosts, const std::string& path, milliseconds within = kSoon) {
  CAPTURE(path);
  CHECK(ask(hosts.a, path).body == "v1");
  CHECK(eventually([&] { return ask(hosts.b, path).body == "v1"; }, within));
  for (int i = 0; i < 5; ++i) {
    CHECK(ask(hosts.a, path).body == "v1");
    CHECK(ask(hosts.b, path).body == "v1");
  }
  CHECK(ask(*hosts.another(), path).body == "v1");
}

}  // namespace

TEST_CASE("e2e/redis: an unsafe request at one host purges at all within a second (RFC 9111 4.4)") {
  Hosts hosts(versioned());
  for (const char* path : {"/x", "/y?a=b", "/z"}) {
    store_at_both(hosts, path);
    post(hosts.a, path);
    expect_purged(hosts, path);
  }
  CHECK(hosts.a.value("sluice_shared_purges_total", "sent") == 3);
  CHECK(hosts.b.value("sluice_shared_purges_total", "received") == 3);
  CHECK(hosts.b.value("sluice_cache_memory_flushes_total") == 0);
}

TEST_CASE("e2e/redis: all variants of a purged URL are gone at all hosts") {
  Hosts hosts(versioned("", "Vary: X-V\r\n"));
  for (const char* lines : {"X-V: 1\r\n", "X-V: 2\r\n"}) {
    store(hosts.a, "/x", lines);
    CHECK(is_from_redis(ask(hosts.b, "/x", lines)));
  }
  post(hosts.b, "/x");
  for (const char* lines : {"X-V: 1\r\n", "X-V: 2\r\n"}) {
    CHECK(eventually([&] { return ask(hosts.a, "/x", lines).body == "v1"; }, kSoon));
    CHECK(ask(hosts.b, "/x", lines).body == "v1");
  }
}

TEST_CASE("e2e/redis: a group that an answer invalidates is gone at all hosts (RFC 9875)") {
  std::atomic<int> version{0};
  Hosts hosts([&](const Message& request) {
    if (request.method != "GET") {
      ++version;
      return answer(200, "done", "Cache-Group-Invalidation: \"shoes\"\r\n");
    }
    const bool is_shoe = request.target.starts_with("/shoes/");
    return answer(200, "v" + std::to_string(version),
                  kFresh + (is_shoe ? "Cache-Groups: \"all\", \"shoes\"\r\n" : ""));
  });
  for (const char* path : {"/shoes/1", "/shoes/2", "/hat"}) store_at_both(hosts, path);
  const auto third = hosts.another();
  post(hosts.a, "/shoes/list");
  for (const char* path : {"/shoes/1", "/shoes/2"}) expect_purged(hosts, path);
  CHECK(is_from_memory(ask(hosts.b, "/hat")));
  CHECK(is_from_redis(ask(*third, "/hat")));
  CHECK(ask(*third, "/hat").body == "v0");
}

TEST_CASE("e2e/redis: a purge is heard of by who has just lost its subscription") {
  Hosts hosts(versioned());
  for (int i = 0; i < 5; ++i) {
    const std::string path = "/" + std::to_string(i);
    store_at_both(hosts, path);
    CHECK(hosts.redis.number({"CLIENT", "KILL", "TYPE", "pubsub"}) >= 1);
    post(hosts.a, path);
    expect_purged(hosts, path, 2 * kSoon);
  }
}

TEST_CASE("e2e/redis: a purge comes through when every connection has just been cut") {
  Hosts hosts(versioned());
  for (int i = 0; i < 5; ++i) {
    const std::string path = "/" + std::to_string(i);
    store_at_both(hosts, path);
    hosts.redis.ask({"CLIENT", "KILL", "TYPE", "pubsub"});
    hosts.redis.ask({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
    post(hosts.a, path);
    CHECK(ask(hosts.a, path).body == "v1");
    CHECK(eventually([&] { return ask(hosts.b, path).body == "v1"; }));
    await_shared(hosts.a, hosts.b);
    await_shared(hosts.b, hosts.a);
    expect_purged(hosts, path);
  }
}

// One host comes to Redis by a name of its own, which is taken away.
TEST_CASE("e2e/redis: a purge without a connection is held back, and nothing purged comes back") {
  Hosts hosts(versioned());
  TempDir dir;
  const std::string door = dir.path("door");
  std::filesystem::create_symlink(hosts.redis.socket(), door);
  Sluice away(kSharedYaml, hosts.values({{"redis", "url: \"unix:" + door + "\", timeout: 2s"}}));
  await_shared(hosts.a, away);
  await_shared(away, hosts.a);
  store_at_both(hosts, "/x");
  CHECK(is_from_redis(ask(away, "/x")));

  std::filesystem::remove(door);
  hosts.redis.ask({"CLIENT", "KILL", "TYPE", "pubsub"});
  hosts.redis.ask({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
  post(away, "/x");
  for (int i = 0; i < 5; ++i) CHECK(ask(away, "/x").body == "v1");
  await_shared(hosts.a, hosts.b);  // they are back, and know nothing
  CHECK(ask(hosts.b, "/x").body == "v0");
  std::filesystem::create_symlink(hosts.redis.socket(), door);
  for (int i = 0; i < 20; ++i) CHECK(ask(away, "/x").body == "v1");
  CHECK(eventually([&] { return ask(hosts.b, "/x").body == "v1"; }));
  CHECK(eventually([&] { return ask(hosts.a, "/x").body == "v1"; }, kSoon));
  await_shared(hosts.a, away);
  for (int i = 0; i < 5; ++i) CHECK(ask(away, "/x").body == "v1");
  expect_purged(hosts, "/x");
}

TEST_CASE("e2e/redis: a purge while Redis is down is in force before anything comes from it") {
  Hosts hosts(versioned(), {}, {"--appendonly", "yes", "--appendfsync", "always"});
  store_at_both(hosts, "/x");
  hosts.redis.kill();
  post(hosts.a, "/x");
  CHECK(ask(hosts.a, "/x").body == "v1");
  hosts.redis.start();  // with what it had
  REQUIRE_FALSE(hosts.redis.entries().empty());
  CHECK(eventually([&] { return ask(hosts.b, "/x").body == "v1"; }));
  await_shared(hosts.a, hosts.b);
  await_shared(hosts.b, hosts.a);
  expect_purged(hosts, "/x");
}

TEST_CASE("e2e/redis: a host that starts later does not serve what was purged before") {
  Hosts hosts(versioned(), {}, {"--appendonly", "yes", "--appendfsync", "always"});
  const std::string key = store_and_name(hosts.a, hosts.redis, "/x");
  CHECK(is_from_redis(ask(hosts.b, "/x")));
  // Only the record of the purge says so: the entry comes back as somebody's late write would.
  const std::vector<std::string> record = hosts.redis.list({"HGETALL", key});
  post(hosts.a, "/x");
  CHECK(eventually([&] { return hosts.redis.number({"EXISTS", key}) == 0; }));
  hosts.redis.ask({"HSET", key, record.at(0), record.at(1)});
  CHECK(ask(*hosts.another(), "/x").body == "v1");
  CHECK(ask(hosts.a, "/x").body == "v1");
  CHECK(ask(hosts.b, "/x").body == "v1");
}

TEST_CASE("e2e/redis: purges and stores that race leave nothing old behind") {
  Hosts hosts(versioned(), {{"workers", "2"}});
  std::atomic<bool> stopping{false};
  // One client at each host keeps the entry warm while it is purged over and over.
  std::vector<std::thread> readers;
  for (Sluice* sluice : {&hosts.a, &hosts.b}) {
    readers.emplace_back([&stopping, port = sluice->port()] {
      while (!stopping) get(port, "/x");
    });
  }
  for (int turn = 1; turn <= 40; ++turn) {
    post(turn % 2 == 0 ? hosts.a : hosts.b, "/x");
    const std::string expected = "v" + std::to_string(turn);
    const auto is_new = [&] {
      return ask(hosts.a, "/x").body == expected && ask(hosts.b, "/x").body == expected;
    };
    if (!eventually(is_new, 2 * kSoon)) {
      CHECK(ask(hosts.a, "/x").body == expected);
      CHECK(ask(hosts.b, "/x").body == expected);
    }
    for (int i = 0; i < 5; ++i) {
      CHECK(ask(hosts.a, "/x").body == expected);
      CHECK(ask(hosts.b, "/x").body == expected);
    }
  }
  stopping = true;
  for (std::thread& reader : readers) reader.join();
}

// In flight, and away for long
// ---------------------------------------------------------------------

TEST_CASE("e2e/redis: what was asked for before another host purged it is not kept as good") {
  Gate go_on;
  std::atomic<int> gets{0};
  Hosts hosts([&](const Message& request) {
    if (request.method != "GET") return answer(200, "done");
    const int number = ++gets;
    if (number == 1) go_on.wait();
    return answer(200, "v" + std::to_string(number), kFresh);
  });
  Wire client = Wire::to_port(hosts.a.port());
  client.send(request_text("/x"));
  REQUIRE(eventually([&] { return gets == 1; }));
  post(hosts.b, "/x");
  hosts.a.wait_for_value("sluice_shared_purges_total", "received", 1);
  go_on.open();
  CHECK(client.read_response().body == "v1");
  CHECK(ask(hosts.a, "/x").body == "v2");
  CHECK(ask(hosts.b, "/x").body == "v2");
  CHECK(ask(*hosts.another(), "/x").body == "v2");
}

namespace {

constexpr const char* kPosts = R"(
local n = 0
wrk.headers["Host"] = "test"
wrk.headers["Content-Length"] = "0"
request = function()
  n = n + 1
  return wrk.format("POST", n == 2 and "/x" or "/p/" .. n)
end
)";

// As many purges at that host as wrk makes, "/x" among them.
size_t purge_many(Sluice& sluice) {
  TempDir dir;
  write_file(dir.path("posts.lua"), kPosts);
  const Load load = Wrk(sluice.url(), 16, seconds(3), {"-s", dir.path("posts.lua")}).finish();
  CHECK(load.errors() == 0);
  return load.requests;
}

}  // namespace

TEST_CASE("e2e/redis: more purges than a host can hold back while Redis is down") {
  Hosts hosts(versioned(), {}, {"--appendonly", "yes", "--appendfsync", "always"});
  store_at_both(hosts, "/x");
  hosts.redis.kill();
  const uint64_t rss = hosts.a.rss_kib();
  const size_t count = purge_many(hosts.a);
  if (!kSanitized) {
    CHECK(count > 10'000);
    CHECK(hosts.a.rss_kib() < rss + 64 * 1024);
  }
  CHECK(ask(hosts.b, "/x").body == "v0");
  hosts.redis.start();
  CHECK(eventually([&] { return ask(hosts.b, "/x").body == "v1"; }));
  CHECK(ask(hosts.a, "/x").body == "v1");
  await_shared(hosts.a, hosts.b);
  CHECK(ask(*hosts.another(), "/x").body == "v1");
  CHECK(hosts.a.err().size() < 20'000);
}

TEST_CASE("e2e/redis: more purges than are on record while a host is away") {
  Hosts hosts(versioned());
  TempDir dir;
  const std::string door = dir.path("door");
  std::filesystem::create_symlink(hosts.redis.socket(), door);
  Sluice away(kSharedYaml, hosts.values({{"redis", "url: \"unix:" + door + "\", timeout: 2s"}}));
  await_shared(hosts.a, away);
  store_at_both(hosts, "/x");
  CHECK(is_from_redis(ask(away, "/x")));
  std::filesystem::remove(door);
  hosts.redis.ask({"CLIENT", "KILL", "TYPE", "pubsub"});
  hosts.redis.ask({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
  const size_t count = purge_many(hosts.a);
  if (!kSanitized) CHECK(count > 5000);
  CHECK(ask(away, "/x").body == "v0");
  std::filesystem::create_symlink(hosts.redis.socket(), door);
  CHECK(eventually([&] { return ask(away, "/x").body == "v1"; }));
  CHECK(away.value("sluice_cache_memory_flushes_total", "gap") >= 1);
  CHECK(eventually([&] { return ask(hosts.b, "/x").body == "v1"; }));
  await_shared(hosts.a, away);
  CHECK(ask(away, "/x").body == "v1");
}

TEST_CASE("e2e/redis: of two servers one was down at the purge, nothing comes back with it") {
  const std::vector<std::string> kept = {"--appendonly", "yes", "--appendfsync", "always"};
  Redis first(kept), second(kept);
  Origin origin(serving(versioned()));
  Values values = shared_values(origin.address(), "");
  values["redis"] = "urls: [\"" + first.url() + "\", \"" + second.url() + "\"], timeout: 2s";
  Sluice a(kSharedYaml, values), b(kSharedYaml, values);
  await_shared(a, b);
  await_shared(b, a);
  for (int i = 0; i < 20; ++i) {
    const std::string path = "/k" + std::to_string(i);
    store(a, path);
    CHECK(is_from_redis(ask(b, path)));
  }
  first.kill();
  for (int i = 0; i < 20; ++i) post(a, "/k" + std::to_string(i));
  const auto all_new = [&](Sluice& sluice) {
    for (int i = 0; i < 20; ++i) {
      if (ask(sluice, "/k" + std::to_string(i)).body != "v1") return false;
    }
    return true;
  };
  CHECK(all_new(a));
  CHECK(eventually([&] { return all_new(b); }, 2 * kSoon));
  first.start();
  await_shared(a, b);
  CHECK(all_new(a));
  CHECK(all_new(b));
  Sluice late(kSharedYaml, values);
  await_shared(a, late);
  CHECK(all_new(late));
}
