#include "sluice/upstream/health_checker.h"

#include <map>
#include <utility>

#include "sluice/base/random.h"
#include "sluice/upstream/endpoint_watch.h"

namespace sluice::upstream {

struct HealthChecker::State {
  loop::Loop& loop;
  stats::Counters& counters;
  Random random;
  std::map<const Endpoint*, std::unique_ptr<EndpointWatch>> watches;  // each keeps its endpoint
};

HealthChecker::HealthChecker(loop::Loop& loop, stats::Counters& counters)
    : state_(new State{.loop = loop, .counters = counters, .random = {}, .watches = {}}) {}

HealthChecker::~HealthChecker() = default;

void HealthChecker::apply(const std::shared_ptr<const config::Snapshot>& snapshot,
                          const std::vector<PoolParts>& pools) {
  const auto& configured = snapshot->config.pools;
  SL_CHECK(configured.size() == pools.size());
  std::map<const Endpoint*, std::unique_ptr<EndpointWatch>> now;
  std::vector<EndpointWatch*> fresh;
  for (size_t p = 0; p < pools.size(); ++p) {
    for (size_t e = 0; e < pools[p].endpoints.size(); ++e) {
      const std::shared_ptr<Endpoint>& endpoint = pools[p].endpoints[e];
      const Duration resolve = configured[p].endpoints[e].resolve;
      auto before = state_->watches.find(endpoint.get());
      auto& watch = now[endpoint.get()];
      if (before != state_->watches.end() && before->second != nullptr &&
          before->second->is_for(configured[p].health, resolve)) {
        watch = std::move(before->second);
        continue;
      }
      watch = std::make_unique<EndpointWatch>(
          EndpointWatch::Tools{state_->loop, state_->counters, state_->random}, endpoint,
          configured[p].health, resolve);
      fresh.push_back(watch.get());
    }
  }
  state_->watches = std::move(now);
  for (EndpointWatch* watch : fresh) watch->start();
}

}  // namespace sluice::upstream
