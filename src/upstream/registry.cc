#include "sluice/upstream/registry.h"

#include <map>
#include <unordered_set>
#include <utility>

#include "sluice/upstream/pool_shared.h"

namespace sluice::upstream {

struct Registry::State {
  uint32_t workers;
  stats::NameTable& names;
  std::map<std::string, std::shared_ptr<PoolShared>, std::less<>> shared;  // never forgotten
  std::vector<PoolParts> pools;
  std::vector<std::shared_ptr<Endpoint>> retired;

  std::shared_ptr<Endpoint> find_same(std::string_view pool, const config::Endpoint& configured);
  std::shared_ptr<Endpoint> keep_or_make(const config::Pool& pool,
                                         const config::Endpoint& configured);
  std::shared_ptr<PoolShared> shared_of(const std::string& pool);
  void retire_all_but(const std::vector<PoolParts>& now);
};

Registry::Registry(uint32_t workers, stats::NameTable& names)
    : state_(
          new State{.workers = workers, .names = names, .shared = {}, .pools = {}, .retired = {}}) {
  SL_CHECK(workers > 0);
}

Registry::~Registry() = default;

std::vector<PoolParts> Registry::apply(const config::Snapshot& snapshot) {
  std::vector<PoolParts> now;
  for (const config::Pool& pool : snapshot.config.pools) {
    PoolParts& parts = now.emplace_back();
    for (const config::Endpoint& configured : pool.endpoints) {
      parts.endpoints.push_back(state_->keep_or_make(pool, configured));
    }
    parts.shared = state_->shared_of(pool.name);
    parts.shared->configure(pool, parts.endpoints);
  }
  state_->retire_all_but(now);
  state_->pools = now;
  return now;
}

std::shared_ptr<Endpoint> Registry::State::keep_or_make(const config::Pool& pool,
                                                        const config::Endpoint& configured) {
  if (auto same = find_same(pool.name, configured)) {
    same->reconfigure(configured);
    return same;
  }
  auto made =
      std::make_shared<Endpoint>(pool.name, configured, workers, names.intern(configured.name));
  // Before the first probe; a start is no change to up, so without slow start.
  if (pool.health.type != config::Health::Type::kOff && !pool.health.initial_up) {
    made->set_healthy(false, TimePoint{});
  }
  return made;
}

std::shared_ptr<Endpoint> Registry::State::find_same(std::string_view pool,
                                                     const config::Endpoint& configured) {
  for (const PoolParts& parts : pools) {
    if (parts.shared->name() != pool) continue;
    for (const auto& endpoint : parts.endpoints) {
      if (endpoint->name() == configured.name &&
          endpoint->configured_address() == configured.address) {
        return endpoint;
      }
    }
  }
  return nullptr;
}

std::shared_ptr<PoolShared> Registry::State::shared_of(const std::string& pool) {
  auto& found = shared[pool];
  if (found == nullptr) found = std::make_shared<PoolShared>(pool, names.intern(pool), workers);
  return found;
}

void Registry::State::retire_all_but(const std::vector<PoolParts>& now) {
  std::unordered_set<const Endpoint*> staying;
  for (const PoolParts& parts : now) {
    for (const auto& endpoint : parts.endpoints) staying.insert(endpoint.get());
  }
  for (const PoolParts& before : pools) {
    for (const auto& endpoint : before.endpoints) {
      if (staying.contains(endpoint.get())) continue;
      endpoint->retire();
      retired.push_back(endpoint);
    }
  }
}

std::vector<std::shared_ptr<Endpoint>> Registry::take_retired() {
  return std::exchange(state_->retired, {});
}

Endpoint* Registry::find(std::string_view pool_slash_endpoint) const {
  const size_t slash = pool_slash_endpoint.find('/');
  if (slash == std::string_view::npos) return nullptr;
  for (const PoolParts& parts : state_->pools) {
    if (parts.shared->name() != pool_slash_endpoint.substr(0, slash)) continue;
    for (const auto& endpoint : parts.endpoints) {
      if (endpoint->name() == pool_slash_endpoint.substr(slash + 1)) return endpoint.get();
    }
  }
  return nullptr;
}

const std::vector<PoolParts>& Registry::pools() const noexcept { return state_->pools; }

}  // namespace sluice::upstream
