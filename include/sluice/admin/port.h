// What the admin API asks of the server, which stands above it in the layers and implements this.
//
// Thread: control; every call is made there. Lifetime: the server outlives the Api.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sluice/base/clock.h"
#include "sluice/cache/cache.h"
#include "sluice/cache/purge.h"
#include "sluice/cache/purge_hub.h"
#include "sluice/cache/shared_inspect.h"
#include "sluice/config/snapshot.h"
#include "sluice/stats/counters.h"
#include "sluice/stats/request_table.h"
#include "sluice/upstream/registry.h"

namespace sluice::admin {

// How far the life of the process has come; only forward.
enum class Phase : uint8_t { starting, serving, leaving, draining, stopping };
std::string_view to_string(Phase phase) noexcept;

struct ReloadOutcome {
  bool ok = false;
  uint64_t generation = 0;  // in force now
  std::string text;         // what changed; or the problems as `check` prints them
  std::string problems;     // JSON array of config::Diagnostic
  WallTime at{};
};

struct ListenerFacts {
  std::string name;
  std::string bind;  // where it really listens
  uint32_t connections = 0;
  uint16_t id = 0;
  bool operator==(const ListenerFacts&) const = default;
};

// Traffic of clients in the last seconds.
struct RecentFacts {
  double seconds = 0;  // how many of them; 0: too early to tell
  double requests_per_s = 0;
  Duration p50{0}, p95{0}, p99{0};
};

// Since the start.
struct TotalFacts {
  uint64_t requests = 0;
  uint64_t retries = 0;
  uint64_t bytes_in = 0;
  uint64_t bytes_out = 0;
  std::vector<std::pair<std::string_view, uint64_t>> errors;  // by reason, those that happened
};

// Since the start where it counts.
struct CacheFacts {
  struct Tier {
    uint64_t hits = 0;    // found, stale ones that were served included
    uint64_t misses = 0;  // looked up, and not found or of no use
  };
  uint64_t hits = 0;    // requests answered from the cache, stale ones included
  uint64_t misses = 0;  // requests for which an endpoint had to be asked
  Tier memory_tier, shared_tier;
  cache::SharedFacts shared;  // no server: there is none
  // Of the memory tier:
  uint64_t entries = 0;
  uint64_t bytes = 0;  // all memory that it takes
  uint64_t limit = 0;  // the most that it may take
  uint64_t evicted = 0, purged = 0, refused = 0;
  struct Route {
    std::string name;
    stats::CacheSums sums;
  };
  std::vector<Route> routes;  // those where it did anything
};

struct ServerFacts {
  std::string version;
  int64_t pid = 0;
  Duration uptime{0};
  WallTime started{};
  uint32_t workers = 0;
  Phase phase = Phase::starting;
  uint64_t generation = 0;
  WallTime loaded{};
  uint64_t reloads_ok = 0;
  uint64_t reloads_failed = 0;
  ReloadOutcome last_reload;          // at is 0 when there was none
  uint64_t log_dropped = 0;           // lines of either log that were lost
  std::vector<Duration> loop_lag;     // worst of the last second, one a worker, control last
  std::vector<uint32_t> connections;  // open client connections, one a worker
  std::vector<ListenerFacts> listeners;
  RecentFacts recent;
  TotalFacts totals;
  CacheFacts cache;
};

class Port {
 public:
  virtual ~Port() = default;
  virtual ServerFacts facts() const = 0;
  virtual const config::Snapshot& snapshot() const = 0;
  virtual upstream::Registry& registry() = 0;
  // Parallel reloads are served one after the other; `done` is called once, never inside.
  virtual void reload(std::function<void(const ReloadOutcome&)> done) = 0;
  virtual cache::Cache& cache() = 0;
  // Whom to ask what the shared tier has under a key; nothing without one.
  virtual std::optional<cache::SharedAccess> shared_access(const Hash128& key) = 0;
  // In force in this process when it returns; how many entries of the memory tier it named.
  virtual size_t purge(const cache::PurgeOrder& order) = 0;
  // Once for each request of a person or program, whatever it came to.
  virtual void count_purge(cache::PurgeKind kind) = 0;
};

}  // namespace sluice::admin
