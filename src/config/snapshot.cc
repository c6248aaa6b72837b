#include "sluice/config/snapshot.h"

#include <utility>

#include "sluice/base/check.h"

namespace sluice::config {

namespace {

uint8_t asks_of(const Match& match) noexcept {
  uint8_t asks = kAsksNothing;
  if (match.path_kind != Match::PathKind::kAny) asks |= kAsksPath;
  if (match.host_kind != Match::HostKind::kAny) asks |= kAsksHost;
  if (!match.methods.empty()) asks |= kAsksMethod;
  if (!match.headers.empty()) asks |= kAsksHeaders;
  return asks;
}

}  // namespace

Snapshot::Snapshot(Config from, uint64_t number) : config(std::move(from)), generation(number) {
  compiled_.reserve(config.routes.size());
  for (const Route& route : config.routes) {
    CompiledRoute compiled;
    compiled.route = &route;
    compiled.index = static_cast<uint32_t>(compiled_.size());
    compiled.asks = asks_of(route.match);
    if (route.action == Route::Action::kPool) {
      SL_CHECK(route.pool_index < config.pools.size());
      compiled.pool = &config.pools[route.pool_index];
    }
    asks_ |= compiled.asks;
    compiled_.push_back(compiled);
  }
}

SnapshotPtr make_snapshot(Config config, uint64_t generation) {
  return std::make_shared<const Snapshot>(std::move(config), generation);
}

}  // namespace sluice::config
