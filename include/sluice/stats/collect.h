// All workers' numbers, and their sums.
//
// Owner: server (or orders, tests). Thread: any. Blocks are made at start-up and never freed before
// the registry, so that sums never fall.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "sluice/stats/counters.h"
#include "sluice/stats/name_table.h"
#include "sluice/stats/prometheus.h"
#include "sluice/stats/request_table.h"

namespace sluice::stats {

// What one thread writes: a worker or the control thread.
struct Block {
  Counters counters;
  RequestTable requests;
};

class Collect {
 public:
  Collect() = default;
  Collect(const Collect&) = delete;
  Collect& operator=(const Collect&) = delete;

  // A new block for one writing thread; valid as long as the registry.
  Block& add_block();
  size_t block_count() const;

  uint64_t sum(Counter id) const;
  uint64_t sum_errors(Errc code) const;
  uint64_t sum_closes(Side side, CloseReason reason) const;
  HistogramSnapshot merged(Timing id) const;
  std::map<RequestKey, uint64_t> requests() const;
  std::map<RouteKey, HistogramSnapshot> latencies() const;
  // By the number of the route; those where the cache did anything.
  std::map<uint16_t, CacheSums> cache_by_route() const;

 private:
  template <typename F>
  void for_each_block(F&& f) const;

  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<Block>> blocks_;
};

// All families of this module.
void write_stats(PrometheusWriter& out, const Collect& collect, const NameTable& names);

}  // namespace sluice::stats
