// Everything a worker's exchanges need: the kit that lasts as long as the worker, and the Site of
// one snapshot generation.
//
// Owner: server/worker (or admin, orders, tests). Thread: the worker's. Exchanges count themselves
// in the Site's plain integer; a Site that was replaced is freed when its last exchange ended.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sluice/base/list.h"
#include "sluice/base/random.h"
#include "sluice/config/snapshot.h"
#include "sluice/http/forwarding.h"
#include "sluice/loop/loop.h"
#include "sluice/proxy/access_log.h"
#include "sluice/proxy/handler.h"
#include "sluice/proxy/site_cache.h"
#include "sluice/stats/counters.h"
#include "sluice/stats/name_table.h"
#include "sluice/stats/request_table.h"
#include "sluice/upstream/connection_pool.h"
#include "sluice/upstream/pool.h"
#include "sluice/upstream/registry.h"

namespace sluice::cache {
struct Cache;
class PurgeHub;
class SharedStore;
}  // namespace sluice::cache

namespace sluice::proxy {

class Exchange;

// Work of a worker that no connection ends; linked in the kit while it runs.
class Background : public ListNode<Background> {
 public:
  // At once; it unlinks itself.
  virtual void cancel() noexcept = 0;

 protected:
  ~Background() = default;
};

// Lasts as long as the worker.
struct WorkerKit {
  uint32_t index = 0;
  loop::Loop& loop;
  stats::Counters& counters;
  stats::RequestTable& requests;
  upstream::ConnectionPool& connections;
  AccessLog* access_log = nullptr;       // nullptr: off
  cache::Cache* cache = nullptr;         // nullptr: routes do not cache
  cache::PurgeHub* purges = nullptr;     // with the cache
  cache::SharedStore* shared = nullptr;  // the tier that hosts share; nullptr: there is none
  Random random{};
  bool draining = false;  // answers carry Connection: close

  List<Background> background{};
  void cancel_background() noexcept {
    while (Background* each = background.front()) each->cancel();
  }

  // "Sun, 06 Nov 1994 08:49:37 GMT", made once a second. Good until the next call.
  std::string_view http_date() noexcept;
  // Ids: 32 hex digits, unique over workers and restarts.
  void write_id(char out[32]) noexcept;

  // Storage for exchanges, reused; at most kMostFree pieces are kept. ASan sees a use after give.
  static constexpr size_t kMostFree = 1024;
  void* take_exchange_storage(size_t size);
  void give_exchange_storage(void* storage) noexcept;
  ~WorkerKit();

  int64_t date_second_ = -1;
  char date_[29] = {};
  void* free_exchanges_ = nullptr;
  size_t free_count_ = 0;
};

struct SiteRoute {
  const config::Route* route = nullptr;
  upstream::Pool* pool = nullptr;  // Action::kPool
  uint16_t id = 0;                 // for stats::RequestTable
  http::FieldEdits request_edits, response_edits;
  std::optional<SiteCache> cache;
};

class Site {
 public:
  // The pools are made here, from the parts that the registry found for this snapshot.
  Site(WorkerKit& kit, config::SnapshotPtr snapshot, const std::vector<upstream::PoolParts>& parts,
       stats::NameTable& names);
  // Every request goes to `handler`, which must outlive the Site. There is no snapshot and no
  // route.
  Site(WorkerKit& kit, Handler& handler, stats::NameTable& names);
  ~Site();  // no exchange is active any more
  Site(const Site&) = delete;
  Site& operator=(const Site&) = delete;

  WorkerKit& kit() noexcept { return kit_; }
  Handler* handler() noexcept { return handler_; }
  bool has_cache() const noexcept { return has_cache_; }  // on one route at least
  // One of those stores under another URL than the one that clients ask for.
  bool changes_urls() const noexcept { return changes_urls_; }
  const config::Snapshot* snapshot() const noexcept { return snapshot_.get(); }
  const SiteRoute& route(uint32_t index) const noexcept { return routes_[index]; }
  std::vector<std::unique_ptr<upstream::Pool>>& pools() noexcept { return pools_; }

  void enter() noexcept { ++active_; }
  void leave() noexcept { --active_; }
  uint64_t active() const noexcept { return active_; }

 private:
  WorkerKit& kit_;
  config::SnapshotPtr snapshot_;
  Handler* handler_ = nullptr;
  bool has_cache_ = false;
  bool changes_urls_ = false;
  std::vector<std::unique_ptr<upstream::Pool>> pools_;
  std::vector<SiteRoute> routes_;
  uint64_t active_ = 0;
};

}  // namespace sluice::proxy
