#include "sluice/stats/counters.h"

#include <iterator>

#include "sluice/base/log.h"

namespace sluice::stats {

namespace {

constexpr MetricRow kCounterRows[] = {
#define SL_COUNTER(id, family, labels, help) \
  {"sluice_" family "_total", MetricType::counter, labels, help},
#define SL_GAUGE(id, family, labels, help) {"sluice_" family, MetricType::gauge, labels, help},
#define SL_HISTOGRAM(id, ...)
#include "sluice/stats/counters.def"
#undef SL_COUNTER
#undef SL_GAUGE
#undef SL_HISTOGRAM
};
static_assert(std::size(kCounterRows) == kCounters);

constexpr MetricRow kTimingRows[] = {
#define SL_COUNTER(id, ...)
#define SL_GAUGE(id, ...)
#define SL_HISTOGRAM(id, family, labels, help) \
  {"sluice_" family "_seconds", MetricType::histogram, labels, help},
#include "sluice/stats/counters.def"
#undef SL_COUNTER
#undef SL_GAUGE
#undef SL_HISTOGRAM
};
static_assert(std::size(kTimingRows) == kTimings);

}  // namespace

const MetricRow& metric_row(Counter id) noexcept {
  SL_CHECK(id < Counter::kCount);
  return kCounterRows[static_cast<size_t>(id)];
}

const MetricRow& metric_row(Timing id) noexcept {
  SL_CHECK(id < Timing::kCount);
  return kTimingRows[static_cast<size_t>(id)];
}

std::string_view to_string(Side side) noexcept {
  return side == Side::downstream ? "downstream" : "upstream";
}

bool on_surprise(Counters& counters, const char* what, const char* file, int line) noexcept {
  counters.add(Counter::surprises);
  static LogLimiter limiter;
  log_limited(limiter, LogLevel::warn, "surprise", "{} at {}:{}", what, file, line);
  return true;
}

}  // namespace sluice::stats
