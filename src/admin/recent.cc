#include "sluice/admin/recent.h"

namespace sluice::admin {

void Recent::look(const stats::Collect& collect, TimePoint now) {
  newest_ = (newest_ + 1) % kLooks;
  Look& look = looks_[newest_];
  look.at = now;
  look.sums = {};
  for (const auto& [key, histogram] : collect.latencies()) look.sums.merge(histogram);
}

RecentFacts Recent::facts() const {
  const Look& newest = looks_[newest_];
  const Look* oldest = &newest;
  for (const Look& look : looks_) {
    if (look.at != TimePoint{} && look.at < oldest->at) oldest = &look;
  }
  if (oldest == &newest) return {};
  const stats::HistogramSnapshot between = newest.sums.since(oldest->sums);
  RecentFacts facts;
  facts.seconds = to_seconds(newest.at - oldest->at);
  facts.requests_per_s = static_cast<double>(between.count()) / facts.seconds;
  facts.p50 = between.quantile(0.50);
  facts.p95 = between.quantile(0.95);
  facts.p99 = between.quantile(0.99);
  return facts;
}

TotalFacts collect_totals(const stats::Collect& collect) {
  using stats::Counter;
  TotalFacts totals;
  totals.requests = collect.sum(Counter::requests);
  totals.retries = collect.sum(Counter::retries);
  totals.bytes_in = collect.sum(Counter::bytes_in);
  totals.bytes_out = collect.sum(Counter::bytes_out);
  for (size_t i = 1; i < stats::kErrors; ++i) {
    const auto code = static_cast<Errc>(i);
    const uint64_t count = collect.sum_errors(code);
    if (count > 0) totals.errors.emplace_back(error_row(code).token, count);
  }
  return totals;
}

}  // namespace sluice::admin
