// GET /metrics: what the workers counted, and what is known of endpoints and of the process, in
// Prometheus' text format.
//
// Thread: control.
#pragma once

#include <string>

#include "sluice/admin/status.h"
#include "sluice/stats/collect.h"

namespace sluice::admin {

std::string metrics_text(const StatusFacts& facts, const stats::Collect& collect,
                         const stats::NameTable& names);

// The families that do not come from counters. Pure but for the process numbers.
void write_endpoints(stats::PrometheusWriter& out, const std::vector<PoolFacts>& pools);
void write_server(stats::PrometheusWriter& out, const StatusFacts& facts);

struct ProcessFacts {
  uint64_t open_fds = 0;
  uint64_t max_fds = 0;
  uint64_t resident_bytes = 0;
  double cpu_seconds = 0;
};
ProcessFacts process_facts();

}  // namespace sluice::admin
