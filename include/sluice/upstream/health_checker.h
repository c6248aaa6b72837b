// Probes every endpoint from the control thread and keeps names resolved.
//
// Keyed by (pool, address, check), so that a reload keeps what is known. The first probes go out at
// once and in parallel; later ones at the interval with jitter, faster while the state is changing.
// Owner: the server. Thread: control (its loop); a busy worker cannot delay a probe.
#pragma once

#include <functional>
#include <memory>

#include "sluice/config/snapshot.h"
#include "sluice/loop/loop.h"
#include "sluice/stats/counters.h"
#include "sluice/upstream/registry.h"

namespace sluice::upstream {

class HealthChecker {
 public:
  HealthChecker(loop::Loop& loop, stats::Counters& counters);
  ~HealthChecker();  // stops all probes
  // The pools of a new snapshot: keeps probes that are the same, starts new ones, ends the rest.
  void apply(const std::shared_ptr<const config::Snapshot>& snapshot,
             const std::vector<PoolParts>& pools);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sluice::upstream
