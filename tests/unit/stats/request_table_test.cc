#include "sluice/stats/request_table.h"

#include <doctest/doctest.h>

#include <atomic>
#include <map>
#include <thread>

#include "sluice/base/random.h"
#include "sluice/stats/name_table.h"

using namespace sluice;
using namespace sluice::stats;
using namespace std::chrono_literals;

namespace {

std::map<RequestKey, uint64_t> rows(const RequestTable& table) {
  std::map<RequestKey, uint64_t> out;
  table.for_each_row(
      [&out](const RequestKey& key, uint64_t count) { CHECK(out.emplace(key, count).second); });
  return out;
}

std::map<RouteKey, uint64_t> routes(const RequestTable& table) {
  std::map<RouteKey, uint64_t> out;
  table.for_each_route([&out](const RouteKey& key, const Histogram& histogram) {
    CHECK(out.emplace(key, histogram.snapshot().count()).second);
  });
  return out;
}

}  // namespace

TEST_CASE("stats/request_table: each part of the key tells rows apart, code 0 too") {
  RequestTable table;
  CHECK(rows(table).empty());
  const RequestKey base{1, 2, 3, 4, 200};
  const RequestKey keys[] = {base,
                             {9, 2, 3, 4, 200},
                             {1, 9, 3, 4, 200},
                             {1, 2, 9, 4, 200},
                             {1, 2, 3, 9, 200},
                             {1, 2, 3, 4, 0},
                             {0, 0, 0, 0, 0},
                             {65535, 65535, 65535, 65535, 65535}};
  for (const RequestKey& key : keys) table.record(key, 1ms);
  table.record(base, 1ms);
  const auto all = rows(table);
  CHECK(all.size() == 8);
  CHECK(all.at(base) == 2);
  CHECK(all.at({1, 2, 3, 4, 0}) == 1);
}

TEST_CASE("stats/request_table: a route's latencies go over its endpoints and codes") {
  RequestTable table;
  table.record({1, 2, 3, 4, 200}, 1ms);
  table.record({1, 2, 3, 5, 502}, 1ms);
  table.record({1, 7, 3, 4, 200}, 1ms);
  const auto all = routes(table);
  CHECK(all.size() == 2);
  CHECK(all.at({1, 2, 3}) == 2);
  CHECK(all.at({1, 7, 3}) == 1);
}

TEST_CASE("stats/request_table: it grows, and agrees with a map") {
  RequestTable table;
  std::map<RequestKey, uint64_t> model;
  Random random(3);
  for (int i = 0; i < 20'000; ++i) {
    const RequestKey key{
        static_cast<uint16_t>(random.below(2)), static_cast<uint16_t>(random.below(10)),
        static_cast<uint16_t>(random.below(5)), static_cast<uint16_t>(random.below(20)),
        static_cast<uint16_t>(200 + random.below(4))};
    table.record(key, 1ms);
    ++model[key];
  }
  CHECK(rows(table) == model);
}

TEST_CASE("stats/request_table: above its limits it counts as other and loses nothing") {
  RequestTable table;
  const uint64_t total = RequestTable::kMostRows + 100;
  for (uint64_t i = 0; i < total; ++i) {
    table.record({0, static_cast<uint16_t>(i / 32), 0, static_cast<uint16_t>(i % 32), 200}, 1ms);
  }
  const auto all = rows(table);
  CHECK(all.size() == RequestTable::kMostRows + 1);
  constexpr uint16_t kOther = NameTable::kOther;
  CHECK(all.at({kOther, kOther, kOther, kOther, 0}) == 100);
  const auto latencies = routes(table);
  CHECK(latencies.size() == RequestTable::kMostRoutes + 1);
  uint64_t recorded = 0;
  for (const auto& [key, count] : latencies) recorded += count;
  CHECK(recorded == total);
}

TEST_CASE("stats/request_table: read while written, sums never fall and keys are never torn") {
  RequestTable table;
  std::atomic<bool> is_done{false};
  constexpr uint16_t kKeys = 2000;
  std::thread writer([&] {
    for (int round = 0; round < 20; ++round) {
      for (uint16_t i = 0; i < kKeys; ++i) {
        table.record({i, static_cast<uint16_t>(i % 7), i, i, i}, 1ms);
      }
    }
    is_done.store(true);
  });
  uint64_t last = 0;
  bool is_right = true;
  bool is_final = false;
  while (!is_final) {
    is_final = is_done.load();
    uint64_t sum = 0;
    table.for_each_row([&](const RequestKey& key, uint64_t count) {
      sum += count;
      is_right = is_right && key.listener == key.code && key.pool == key.endpoint &&
                 key.listener == key.pool && key.route == key.listener % 7;
    });
    is_right = is_right && sum >= last;
    last = sum;
    table.for_each_route([&](const RouteKey& key, const Histogram&) {
      is_right = is_right && (key.listener == key.pool || key.listener == NameTable::kOther);
    });
  }
  writer.join();
  CHECK(is_right);
  CHECK(last == uint64_t{kKeys} * 20);
}

TEST_CASE("stats/request_table: what the cache did, by route") {
  RequestTable table;
  table.record({1, 2, 3, 4, 200}, 1ms, CacheResult::miss);
  table.record({1, 2, 3, 0, 200}, 1ms, CacheResult::hit);
  table.record({1, 2, 3, 0, 304}, 1ms, CacheResult::stale);
  table.record({1, 2, 3, 4, 200}, 1ms, CacheResult::bypass);
  table.record({1, 9, 3, 4, 200}, 1ms);
  size_t routes = 0;
  table.for_each_cache([&](const RouteKey& key, const CacheSums& sums) {
    ++routes;
    CHECK(key == RouteKey{1, 2, 3});
    CHECK(sums.hits() == 2);
    CHECK(sums.misses() == 1);
    CHECK(sums.of(CacheResult::bypass) == 1);
  });
  CHECK(routes == 1);
}

TEST_CASE("stats/request_table: every word of the log has its result, others have none") {
  for (size_t i = 0; i < kCacheResults; ++i) {
    const auto result = static_cast<CacheResult>(i);
    CHECK(cache_result(to_string(result)) == result);
  }
  CHECK(cache_result("hot") == CacheResult::none);
  CHECK(cache_result("x") == CacheResult::none);
}
