// What sluice keeps in memory stays within its bound, whatever is asked for and however Redis does.
#include "tests/e2e/harness/shared.h"

using namespace e2e;

namespace {

// wrk's URLs: each once.
constexpr const char* kDistinctUrls = R"(
local n = 0
request = function()
  n = n + 1
  return wrk.format("GET", "/u/" .. n .. "?q=" .. n * 7919)
end
)";

struct Flood {
  explicit Flood(const Redis& redis)
      : origin("a", std::string(1000, 'x')),
        sluice(kSharedYaml, {{"a", origin.address()},
                             {"workers", "2"},
                             {"cache", "default_ttl: 600s"},
                             {"memory", "16MiB"},
                             {"max_object", "1MiB"},
                             {"redis", "url: \"" + redis.url() + "\", timeout: 20ms"}}) {
    for (int i = 0; i < 20; ++i) get(sluice.port(), "/first");
    baseline = sluice.rss_kib();
    write_file(dir.path("urls.lua"), kDistinctUrls);
  }
  void expect_bounded(const Load& load) {
    CAPTURE(load.text);
    CHECK(load.errors() == 0);
    MESSAGE(load.requests << " URLs, " << baseline << " -> " << sluice.peak_rss_kib() << " KiB");
    if (!kSanitized) CHECK(sluice.peak_rss_kib() < baseline + (16 + 32) * 1024);
  }

  SimpleOrigin origin;
  Sluice sluice;
  TempDir dir;
  uint64_t baseline = 0;
};

}  // namespace

TEST_CASE("e2e/redis_memory: very many distinct URLs") {
  Redis redis({"--maxmemory", "32mb", "--maxmemory-policy", "allkeys-lru"});
  Flood flood(redis);
  const seconds duration(kSanitized ? 5 : 20);
  Wrk wrk(flood.sluice.url(), 32, duration, {"-s", flood.dir.path("urls.lua")});
  flood.expect_bounded(wrk.finish());
  CHECK(flood.sluice.value("sluice_cache_redis_writes_total") > 1000);
}

TEST_CASE("e2e/redis_memory: very many distinct URLs while Redis freezes and comes back") {
  Redis redis({"--maxmemory", "32mb", "--maxmemory-policy", "allkeys-lru"});
  Flood flood(redis);
  Wrk wrk(flood.sluice.url(), 64, seconds(10), {"-s", flood.dir.path("urls.lua")});
  for (int i = 0; i < 3; ++i) {
    flood.sluice.wait_for_value("sluice_cache_redis_writes_total", "", (i + 1) * 200);
    redis.freeze();
    eventually([] { return false; }, seconds(1));
    redis.thaw();
  }
  flood.expect_bounded(wrk.finish());
}

TEST_CASE(
    "e2e/redis_memory: large bodies while Redis freezes: what waits to be written is bounded") {
  Redis redis({"--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"});
  SimpleOrigin origin("a", std::string(400'000, 'x'));
  Sluice sluice(kSharedYaml, {{"a", origin.address()},
                              {"workers", "2"},
                              {"cache", "default_ttl: 600s"},
                              {"memory", "16MiB"},
                              {"max_object", "1MiB"},
                              {"redis", "url: \"" + redis.url() + "\", timeout: 20ms"}});
  get(sluice.port());
  const uint64_t baseline = sluice.rss_kib();
  TempDir dir;
  write_file(dir.path("urls.lua"), kDistinctUrls);
  Wrk wrk(sluice.url(), 16, seconds(6), {"-s", dir.path("urls.lua")});
  for (int i = 0; i < 4; ++i) {
    sluice.wait_for_value("sluice_cache_redis_writes_total", "", (i + 1) * 20);
    redis.freeze();
    eventually([] { return false; }, milliseconds(600));
    redis.thaw();
  }
  const Load load = wrk.finish();
  CAPTURE(load.text);
  CHECK(load.errors() == 0);
  MESSAGE(load.requests << " URLs, " << baseline << " -> " << sluice.peak_rss_kib() << " KiB");
  if (!kSanitized) CHECK(sluice.peak_rss_kib() < baseline + (16 + 64) * 1024);
}

TEST_CASE("e2e/redis_memory: clients that do not read what comes from Redis") {
  const std::string body(2'000'000, 'x');
  Hosts hosts([&](const Message&) { return answer(200, body, "Cache-Control: max-age=600\r\n"); });
  for (int i = 0; i < 40; ++i) store(hosts.a, "/" + std::to_string(i));
  Sluice small(kSharedYaml, hosts.values({{"memory", "16MiB"}, {"max_object", "8MiB"}}));
  await_shared(hosts.a, small);
  const uint64_t baseline = small.rss_kib();
  std::vector<Wire> clients;
  for (int i = 0; i < 40; ++i) {
    clients.push_back(Wire::to_port(small.port()));
    clients.back().set_receive_buffer(65536);
    clients.back().send(request_text("/" + std::to_string(i)));
    CHECK(clients.back().is_readable(kPatience));
  }
  MESSAGE(baseline << " -> " << small.peak_rss_kib() << " KiB");
  if (!kSanitized) CHECK(small.peak_rss_kib() < baseline + (16 + 48) * 1024);
  for (Wire& client : clients) {
    const Message got = client.read_response();
    CHECK(got.status == 200);
    CHECK((got.body == body));
  }
}
