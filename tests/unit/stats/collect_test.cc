#include "sluice/stats/collect.h"

#include <doctest/doctest.h>

#include <atomic>
#include <set>
#include <sstream>
#include <thread>
#include <vector>

using namespace sluice;
using namespace sluice::stats;
using namespace std::chrono_literals;

TEST_CASE("stats/collect: sums go over all blocks") {
  Collect collect;
  Block& one = collect.add_block();
  Block& two = collect.add_block();
  CHECK(collect.block_count() == 2);
  one.counters.add(Counter::retries, 2);
  two.counters.add(Counter::retries, 3);
  two.counters.add_error(Errc::kDnsFailed);
  one.counters.add_close(Side::downstream, CloseReason::kIdle);
  two.counters.add_close(Side::downstream, CloseReason::kIdle);
  one.counters.record(Timing::loop_lag_seconds, 1ms);
  two.counters.record(Timing::loop_lag_seconds, 3ms);
  one.requests.record({1, 1, 1, 1, 200}, 1ms);
  two.requests.record({1, 1, 1, 1, 200}, 2ms);
  two.requests.record({1, 1, 1, 2, 200}, 3ms);
  CHECK(collect.sum(Counter::retries) == 5);
  CHECK(collect.sum_errors(Errc::kDnsFailed) == 1);
  CHECK(collect.sum_closes(Side::downstream, CloseReason::kIdle) == 2);
  CHECK((collect.merged(Timing::loop_lag_seconds).sum() == 4ms));
  CHECK(collect.requests() ==
        std::map<RequestKey, uint64_t>{{{1, 1, 1, 1, 200}, 2}, {{1, 1, 1, 2, 200}, 1}});
  CHECK((collect.latencies().at({1, 1, 1}).sum() == 6ms));
}

TEST_CASE("stats/collect: the page is well formed: one family a name, samples under their family") {
  Collect collect;
  NameTable names;
  Block& block = collect.add_block();
  block.requests.record({names.intern("web"), names.intern("api"), names.intern("orders"),
                         names.intern("127.0.0.1:9002"), 503},
                        10ms);
  block.counters.add_error(Errc::kNoHealthyEndpoint);
  block.counters.subtract(Counter::exchanges_open);  // between two reads: shown as none
  PrometheusWriter out;
  write_stats(out, collect, names);
  const std::string text = out.take();
  for (const char* line :
       {"sluice_requests_total{listener=\"web\",route=\"api\",pool=\"orders\","
        "endpoint=\"127.0.0.1:9002\",code=\"503\"} 1\n",
        "sluice_request_seconds_count{listener=\"web\",route=\"api\",pool=\"orders\"} 1\n",
        "sluice_errors_total{reason=\"no_healthy_endpoint\"} 1\n", "sluice_exchanges_open 0\n",
        "sluice_connections_closed_total{side=\"downstream\",reason=\"idle\"} 0\n",
        "sluice_config_reloads_total{result=\"ok\"} 0\n", "sluice_loop_lag_seconds_count 0\n"}) {
    CAPTURE(line);
    CHECK(text.find(line) != std::string::npos);
  }
  std::set<std::string> families;
  std::string family, line;
  for (std::istringstream in(text); std::getline(in, line);) {
    CAPTURE(line);
    if (line.starts_with("# HELP ")) {
      family = line.substr(7, line.find(' ', 7) - 7);
      CHECK(families.insert(family).second);
    } else if (!line.starts_with("# TYPE ")) {
      CHECK(line.starts_with(family));
    }
  }
}

TEST_CASE("stats/collect: read while written, sums never fall") {
  Collect collect;
  std::atomic<int> done{0};
  std::vector<std::thread> writers;
  constexpr uint64_t kTurns = 20'000;
  for (int w = 0; w < 2; ++w) {
    Block& block = collect.add_block();
    writers.emplace_back([&block, &done] {
      for (uint64_t i = 0; i < kTurns; ++i) {
        block.counters.add(Counter::requests);
        block.counters.add_error(Errc::kQueueFull);
        block.counters.record(Timing::queue_seconds, Duration(static_cast<int64_t>(i)));
      }
      ++done;
    });
  }
  uint64_t last = 0;
  bool is_rising = true;
  bool is_final = false;
  while (!is_final) {
    is_final = done.load() == 2;
    const uint64_t sum = collect.sum(Counter::requests);
    is_rising = is_rising && sum >= last;
    last = sum;
    if (collect.merged(Timing::queue_seconds).count() > 2 * kTurns) is_rising = false;
  }
  for (std::thread& writer : writers) writer.join();
  CHECK(is_rising);
  CHECK(last == 2 * kTurns);
  CHECK(collect.sum_errors(Errc::kQueueFull) == 2 * kTurns);
  CHECK(collect.merged(Timing::queue_seconds).count() == 2 * kTurns);
}
