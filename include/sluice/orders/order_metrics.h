// What the order backend counts, as Prometheus reads it.
//
// Owner: the API; thread: its loop.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "sluice/orders/order.h"
#include "sluice/orders/problem.h"
#include "sluice/orders/reply_json.h"
#include "sluice/stats/prometheus.h"

namespace sluice::orders {

// Of this process, since it started.
struct ApiCounts {
  uint64_t accepted = 0;
  uint64_t replayed = 0;
  std::array<uint64_t, static_cast<size_t>(Problem::kCount)> refused{};
};

// What another part of the process has to add.
using MetricsPart = std::function<void(stats::PrometheusWriter&)>;

std::string metrics_text(const StatusFacts& facts, const ApiCounts& counts, const Totals& totals,
                         const std::vector<MetricsPart>& more = {});

}  // namespace sluice::orders
