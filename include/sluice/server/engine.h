// Everything that serves traffic: workers, endpoints, probes, logs, and the one operation on them,
// to put a configuration into force. Start and reload both go through it.
//
// Owner and thread: control. Lifetime: as long as the process serves; the destructor stops the
// workers first.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sluice/cache/cache.h"
#include "sluice/cache/purge_hub.h"
#include "sluice/cache/shared_tier.h"
#include "sluice/config/config.h"
#include "sluice/config/snapshot.h"
#include "sluice/loop/loop.h"
#include "sluice/loop/work.h"
#include "sluice/server/fleet.h"
#include "sluice/server/logs.h"
#include "sluice/server/sockets.h"
#include "sluice/stats/collect.h"
#include "sluice/upstream/health_checker.h"
#include "sluice/upstream/registry.h"

namespace sluice::server {

// What a configuration needs beside itself, opened but not in use.
struct Needs {
  std::vector<Door> doors;
  OpenedAccess access;
  bool access_changes = true;  // false: the present outputs stay
};

// The doors for `wanted`: those of `have` that stay, the others opened. All problems, one a line.
struct PreparedDoors {
  std::vector<Door> doors;
  std::string problems;
};

class Engine {
 public:
  // `cache_size`: of the memory tier at the start, by which its tables are sized.
  Engine(loop::Loop& loop, uint32_t workers, size_t cache_size);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Opens what is missing; changes nothing that is in force.
  PreparedDoors prepare_doors(const std::vector<config::Listener>& wanted, PassedSockets& passed);
  // Puts it into force; `done` when every worker serves by it.
  void publish(config::Config config, Needs needs, std::function<void()> done);

  const config::Snapshot& snapshot() const noexcept { return *snapshot_; }
  const std::vector<Door>& doors() const noexcept { return doors_; }
  upstream::Registry& registry() noexcept { return registry_; }
  Fleet& fleet() noexcept { return fleet_; }
  const Fleet& fleet() const noexcept { return fleet_; }
  const std::shared_ptr<Logs>& logs() noexcept { return logs_; }
  cache::Cache& cache() noexcept { return cache_; }
  const cache::Cache& cache() const noexcept { return cache_; }
  cache::PurgeHub& purges() noexcept { return purges_; }
  const cache::PurgeHub& purges() const noexcept { return purges_; }
  uint64_t log_dropped() const noexcept { return logs_->dropped(access_); }
  const stats::Collect& stats() const noexcept { return stats_; }
  stats::NameTable& names() noexcept { return names_; }
  const stats::NameTable& names() const noexcept { return names_; }
  stats::Counters& counters() noexcept { return block_.counters; }  // of the control thread

 private:
  void switch_access(OpenedAccess access);
  void switch_tier(const config::Config* before);

  loop::Loop& loop_;
  std::shared_ptr<Logs> logs_;  // shared with work that waits for it
  stats::Collect stats_;
  stats::NameTable names_;
  stats::Block& block_;
  upstream::Registry registry_;
  upstream::HealthChecker health_;
  config::SnapshotPtr snapshot_;
  std::shared_ptr<downstream::ClientCeiling> ceiling_;
  std::vector<Door> doors_;
  AccessOutputs access_;
  cache::Cache cache_;  // beyond the workers, as is the next
  cache::PurgeHub purges_;
  std::shared_ptr<cache::SharedTier> tier_;  // nullptr: none
  Fleet fleet_;
  std::unique_ptr<loop::Work> retiring_;
};

}  // namespace sluice::server
