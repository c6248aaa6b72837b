#include "sluice/stats/collect.h"

namespace sluice::stats {

Block& Collect::add_block() {
  std::lock_guard lock(mutex_);
  blocks_.push_back(std::make_unique<Block>());
  return *blocks_.back();
}

size_t Collect::block_count() const {
  std::lock_guard lock(mutex_);
  return blocks_.size();
}

template <typename F>
void Collect::for_each_block(F&& f) const {
  std::lock_guard lock(mutex_);
  for (const auto& block : blocks_) f(*block);
}

uint64_t Collect::sum(Counter id) const {
  uint64_t total = 0;
  for_each_block([&](const Block& block) { total += block.counters.get(id); });
  return total;
}

uint64_t Collect::sum_errors(Errc code) const {
  uint64_t total = 0;
  for_each_block([&](const Block& block) { total += block.counters.errors(code); });
  return total;
}

uint64_t Collect::sum_closes(Side side, CloseReason reason) const {
  uint64_t total = 0;
  for_each_block([&](const Block& block) { total += block.counters.closes(side, reason); });
  return total;
}

HistogramSnapshot Collect::merged(Timing id) const {
  HistogramSnapshot total;
  for_each_block([&](const Block& block) { block.counters.timing(id).add_to(total); });
  return total;
}

std::map<RequestKey, uint64_t> Collect::requests() const {
  std::map<RequestKey, uint64_t> total;
  for_each_block([&](const Block& block) {
    block.requests.for_each_row(
        [&](const RequestKey& key, uint64_t count) { total[key] += count; });
  });
  return total;
}

std::map<RouteKey, HistogramSnapshot> Collect::latencies() const {
  std::map<RouteKey, HistogramSnapshot> total;
  for_each_block([&](const Block& block) {
    block.requests.for_each_route(
        [&](const RouteKey& key, const Histogram& histogram) { histogram.add_to(total[key]); });
  });
  return total;
}

std::map<uint16_t, CacheSums> Collect::cache_by_route() const {
  std::map<uint16_t, CacheSums> total;
  for_each_block([&](const Block& block) {
    block.requests.for_each_cache([&](const RouteKey& key, const CacheSums& sums) {
      CacheSums& route = total[key.route];
      for (size_t i = 0; i < kCacheResults; ++i) route.by_result[i] += sums.by_result[i];
    });
  });
  return total;
}

// Export
// -------------------------------------------------------------------------------------------

namespace {

void write_counters(PrometheusWriter& out, const Collect& collect) {
  std::string_view family;
  for (size_t i = 0; i < kCounters; ++i) {
    const auto id = static_cast<Counter>(i);
    const MetricRow& row = metric_row(id);
    if (row.family != family) out.family(row.family, row.type, row.help);
    family = row.family;
    // A gauge that falls below zero for a moment is none: its workers were read one after another.
    const uint64_t sum = collect.sum(id);
    const bool is_below_zero = row.type == MetricType::gauge && static_cast<int64_t>(sum) < 0;
    out.sample_raw(row.labels, is_below_zero ? 0 : sum);
  }
}

void write_timings(PrometheusWriter& out, const Collect& collect) {
  std::string_view family;
  for (size_t i = 0; i < kTimings; ++i) {
    const MetricRow& row = metric_row(static_cast<Timing>(i));
    if (row.family != family) out.family(row.family, row.type, row.help);
    family = row.family;
    out.histogram_raw(row.labels, collect.merged(static_cast<Timing>(i)));
  }
}

void write_reasons(PrometheusWriter& out, const Collect& collect) {
  out.family("sluice_errors_total", MetricType::counter, "Exchanges that failed, by reason");
  for (size_t i = 1; i < kErrors; ++i) {
    const auto code = static_cast<Errc>(i);
    out.sample({{"reason", error_row(code).token}}, collect.sum_errors(code));
  }
  out.family("sluice_connections_closed_total", MetricType::counter,
             "Connections closed, by side and reason");
  for (size_t s = 0; s < kSides; ++s) {
    for (size_t r = 0; r < kCloseReasons; ++r) {
      const auto side = static_cast<Side>(s);
      const auto reason = static_cast<CloseReason>(r);
      out.sample({{"side", to_string(side)}, {"reason", to_string(reason)}},
                 collect.sum_closes(side, reason));
    }
  }
}

void write_requests(PrometheusWriter& out, const Collect& collect, const NameTable& names) {
  out.family("sluice_requests_total", MetricType::counter,
             "Requests by listener, route, pool, endpoint and status; code 0: no answer was sent");
  for (const auto& [key, count] : collect.requests()) {
    out.sample({{"listener", names.name(key.listener)},
                {"route", names.name(key.route)},
                {"pool", names.name(key.pool)},
                {"endpoint", names.name(key.endpoint)},
                {"code", std::to_string(key.code)}},
               count);
  }
  out.family("sluice_request_seconds", MetricType::histogram,
             "Time from the first byte of a request to the last of its answer");
  for (const auto& [key, snapshot] : collect.latencies()) {
    out.histogram({{"listener", names.name(key.listener)},
                   {"route", names.name(key.route)},
                   {"pool", names.name(key.pool)}},
                  snapshot);
  }
}

void write_cache_routes(PrometheusWriter& out, const Collect& collect, const NameTable& names) {
  out.family("sluice_cache_route_requests_total", MetricType::counter,
             "Requests on routes with a cache, by what the cache did");
  for (const auto& [route, sums] : collect.cache_by_route()) {
    for (size_t i = 1; i < kCacheResults; ++i) {
      const auto result = static_cast<CacheResult>(i);
      out.sample({{"route", names.name(route)}, {"result", to_string(result)}}, sums.of(result));
    }
  }
}

}  // namespace

void write_stats(PrometheusWriter& out, const Collect& collect, const NameTable& names) {
  write_requests(out, collect, names);
  write_cache_routes(out, collect, names);
  write_reasons(out, collect);
  write_counters(out, collect);
  write_timings(out, collect);
}

}  // namespace sluice::stats
