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
