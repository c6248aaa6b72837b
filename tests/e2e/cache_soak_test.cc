// Many distinct URLs, each asked for once: what the cache keeps, and all that it knows about what
// it does not keep, stays within its budget. `make soak` does the same with ten million.
#include <algorithm>
#include <thread>

#include "tests/e2e/harness/e2e.h"

using namespace e2e;

namespace {

constexpr const char* kSmall = R"(
workers: 2
cache: {memory: {size: 16MiB}}
pools:
  app: {endpoints: [{address: "@a", name: a}], health: {type: off}}
routes:
  - {match: {path: /}, pool: app, cache: {default_ttl: 600s}}
access_log: {path: stdout, format: "off"}
)";

constexpr size_t kUrls = kSanitized ? 40'000 : 1'000'000;
constexpr size_t kConnections = 32, kBatch = 50, kAskers = 2;
constexpr size_t kBudgetKib = 16 * 1024;
// Beside the budget: chunks of connections, and what malloc cannot give back between entries.
constexpr size_t kSlackKib = 16 * 1024;

// Asks for every kAskers-th batch of URLs from `first` on, on connections of its own.
struct Asker {
  explicit Asker(Sluice& sluice) {
    for (size_t i = 0; i < kConnections; ++i) clients.push_back(Wire::to_port(sluice.port()));
  }
  void ask(size_t first, size_t end) {
    constexpr size_t kTurn = kConnections * kBatch;
    for (; first < end; first += kTurn * kAskers) {
      const size_t last = std::min(first + kTurn, end);
      for (size_t at = first; at < last; at += kBatch) {
        clients[(at - first) / kBatch].send(requests(at, std::min(at + kBatch, last)));
      }
      for (size_t at = first; at < last; ++at) count(clients[(at - first) / kBatch]);
    }
  }
  static std::string requests(size_t first, size_t end) {
    std::string text;
    for (; first < end; ++first) {
      text += "GET /product/" + std::to_string(first) + "?page=1 HTTP/1.1\r\nHost: test\r\n\r\n";
    }
    return text;
  }
  void count(Wire& client) {
    const Message message = client.read_response();
    const bool is_miss = message.field("Cache-Status") == "sluice; fwd=uri-miss; stored";
    ++(message.status == 200 && message.body == "hello" && is_miss ? good : bad);
  }

  std::vector<Wire> clients;
  size_t good = 0, bad = 0;
  std::string failure;
};

// All of [first, end), by several threads at once; no answer may be wrong.
void ask_all(Sluice& sluice, std::vector<Asker>& askers, size_t first, size_t end) {
  std::vector<std::thread> threads;
  for (size_t i = 0; i < askers.size(); ++i) {
    threads.emplace_back([&, i] {
      try {
        askers[i].ask(first + i * kConnections * kBatch, end);
      } catch (const std::exception& error) {
        askers[i].failure = error.what();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  size_t good = 0;
  for (const Asker& asker : askers) {
    CAPTURE(asker.failure);
    CHECK(asker.bad == 0);
    good += asker.good;
  }
  REQUIRE(good == end);
  const Json cache = sluice.status()["cache"];
  CAPTURE(cache.dump());
  CHECK(cache["bytes"] <= cache["limit"]);
}

}  // namespace

TEST_CASE("e2e/soak: a million distinct URLs leave the cache within its budget") {
  SimpleOrigin origin;
  Sluice sluice(kSmall, {{"a", origin.address()}});
  std::vector<Asker> askers;
  for (size_t i = 0; i < kAskers; ++i) askers.emplace_back(sluice);
  size_t asked = kConnections * kBatch * kAskers;
  ask_all(sluice, askers, 0, asked);
  const uint64_t before = sluice.rss_kib();
  while (asked < kUrls) {
    const size_t end = std::min(asked + kUrls / 10, kUrls);
    ask_all(sluice, askers, asked, end);
    asked = end;
  }

  // Misses are counted a moment after the answer has left.
  sluice.wait_for_value("sluice_cache_requests_total", R"(tier="memory",result="miss")",
                        static_cast<double>(kUrls));
  const Json cache = sluice.status()["cache"];
  CAPTURE(cache.dump());
  CHECK(cache["limit"] == kBudgetKib * 1024);
  CHECK(cache["hits"] == 0);
  CHECK(cache["misses"] == kUrls);
  CHECK(cache["entries"] > 1000);
  CHECK(cache["entries"].get<size_t>() + cache["evicted"].get<size_t>() == kUrls);
  CHECK(sluice.value("sluice_errors_total") == 0);
  CHECK(origin.requests() == kUrls);
  const uint64_t peak = sluice.peak_rss_kib();
  CAPTURE(before);
  CAPTURE(peak);
  if (!kSanitized) CHECK(peak < before + kBudgetKib + kSlackKib);
  MESSAGE(kUrls, " URLs: resident before ", before, " KiB, at most ", peak, " KiB");
}
