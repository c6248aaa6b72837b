#include "sluice/stats/counters.h"

#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "sluice/base/log.h"
#include "sluice/base/log_ring.h"

using namespace sluice;
using namespace sluice::stats;
using namespace std::chrono_literals;

namespace {

std::vector<MetricRow> all_rows() {
  std::vector<MetricRow> rows;
  for (size_t i = 0; i < kCounters; ++i) rows.push_back(metric_row(static_cast<Counter>(i)));
  for (size_t i = 0; i < kTimings; ++i) rows.push_back(metric_row(static_cast<Timing>(i)));
  return rows;
}

}  // namespace

TEST_CASE("stats/counters: rows have Prometheus names by type, and help") {
  for (const MetricRow& row : all_rows()) {
    CAPTURE(row.family);
    CHECK(row.family.starts_with("sluice_"));
    CHECK(row.family.ends_with("_total") == (row.type == MetricType::counter));
    CHECK(row.family.ends_with("_seconds") == (row.type == MetricType::histogram));
    CHECK(row.family.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == row.family.npos);
    CHECK(!row.help.empty());
  }
}

TEST_CASE("stats/counters: rows of one family stand together, with one help and different labels") {
  std::set<std::string_view> ended;
  std::set<std::pair<std::string_view, std::string_view>> seen;
  MetricRow last{};
  for (const MetricRow& row : all_rows()) {
    CAPTURE(row.family);
    CHECK(seen.insert({row.family, row.labels}).second);
    if (row.family == last.family) {
      CHECK(row.help == last.help);
      CHECK(row.type == last.type);
    } else {
      CHECK(ended.insert(last.family).second);
      CHECK(!ended.contains(row.family));
    }
    last = row;
  }
}

TEST_CASE("stats/counters: cells count apart") {
  auto counters = std::make_unique<Counters>();
  counters->add(Counter::requests);
  counters->add(Counter::bytes_in, 1000);
  counters->add(Counter::connections_open, 3);
  counters->subtract(Counter::connections_open);
  counters->set(Counter::upstream_connections_idle, 9);
  counters->add_error(Errc::kConnectRefused);
  counters->add_close(Side::upstream, CloseReason::kDirty);
  counters->record(Timing::queue_seconds, 5ms);
  CHECK(counters->get(Counter::requests) == 1);
  CHECK(counters->get(Counter::bytes_in) == 1000);
  CHECK(counters->get(Counter::connections_open) == 2);
  CHECK(counters->get(Counter::upstream_connections_idle) == 9);
  CHECK(counters->get(Counter::bytes_out) == 0);
  CHECK(counters->errors(Errc::kConnectRefused) == 1);
  CHECK(counters->errors(Errc::kConnectTimeout) == 0);
  CHECK(counters->closes(Side::upstream, CloseReason::kDirty) == 1);
  CHECK(counters->closes(Side::downstream, CloseReason::kDirty) == 0);
  CHECK(counters->timing(Timing::queue_seconds).snapshot().count() == 1);
  CHECK(counters->timing(Timing::redis_seconds).snapshot().count() == 0);
}

TEST_CASE("stats/counters: SL_COUNT_IF counts, logs once, and yields the condition") {
  LogRing ring(4096);
  log_attach(&ring);
  auto counters = std::make_unique<Counters>();
  for (int i = 0; i < 3; ++i) {
    CHECK(SL_COUNT_IF(*counters, i >= 0));
    CHECK(!SL_COUNT_IF(*counters, i < 0));
  }
  log_attach(nullptr);
  CHECK(counters->get(Counter::surprises) == 3);
  const std::string log(ring.peek().first);
  CHECK(log.starts_with("warn surprise: i >= 0 at "));
  CHECK(log.find('\n') == log.size() - 1);
}
