// Where every purge of this process goes through, and those of other hosts come in.
//
// Owner: the engine. Thread: purge() any; everything else control. A purge is in force in this
// process when purge() returns; with a shared tier it is then written to every server of it, which
// tell the other hosts. A server that is away gets what it missed when it is back. While all of
// them are away this host hears of no purge: then the memory tier is marked stale again and again,
// so that a purge of another host is missed for a bounded time only.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "sluice/base/arena.h"
#include "sluice/base/clock.h"
#include "sluice/cache/cache.h"
#include "sluice/cache/purge.h"
#include "sluice/cache/shared_tier.h"
#include "sluice/loop/loop.h"
#include "sluice/loop/timer.h"
#include "sluice/stats/counters.h"

namespace sluice::cache {

class PurgeLink;
class PurgeOutbox;
struct SharedAccess;

// What operators need not set; tests do.
struct PurgeHubOptions {
  Duration watch = std::chrono::seconds(1);               // how often the state is looked at
  Duration watch_alone = std::chrono::milliseconds(250);  // ... without a subscription
  Duration patience = std::chrono::seconds(1);            // for the answer to a command, a PING
  Duration longest_pause = std::chrono::seconds(1);       // between attempts to connect
  // So long without a look at any server, and as often while that lasts, the memory tier is marked
  // stale. All of it is then asked for anew, so this is no shorter than a restart of Redis.
  Duration cut_off = std::chrono::seconds(60);
  size_t kept = 16'384;          // purges that a server has on record
  size_t most_waiting = 10'000;  // purges for a server that is away; and as bytes:
  size_t most_waiting_bytes = 4 * 1024 * 1024;
};

// One server of the tier, for the status.
struct SharedServerFacts {
  std::string address;  // without user and password
  bool is_up = false;   // else degraded: not connected, or its purges cannot be read or written
  std::string last_error;
  WallTime since;
  bool is_subscribed = false;
  bool is_epoch_known = false;  // else nothing that it gives is used
  size_t purges_waiting = 0;    // of ours, for it to acknowledge
  uint64_t purges_sent = 0;
  uint64_t purges_received = 0;
  uint32_t degraded_workers = 0;
  std::string warning;  // of how it handles its memory
  // It can be written to and read from by all of this process.
  bool is_well() const noexcept { return is_up && is_epoch_known && degraded_workers == 0; }
};
struct SharedFacts {
  std::vector<SharedServerFacts> servers;
};

class PurgeHub {
 public:
  PurgeHub(loop::Loop& control, Cache& cache, stats::Counters& counters,
           PurgeHubOptions options = {});
  ~PurgeHub();
  PurgeHub(const PurgeHub&) = delete;
  PurgeHub& operator=(const PurgeHub&) = delete;

  // From now on purges go to that tier and come from it; nullptr: none. Before any worker has it.
  // Purges that wait for a server which the new tier has too go on waiting. Whatever a worker still
  // finds by the old tier counts as purged.
  void connect(const std::shared_ptr<SharedTier>& tier);
  // At the end: turns the loop, at most so long, until the servers that are there have what waits
  // for them. Not inside a turn.
  void finish(Duration most);
  void stop() { connect(nullptr); }

  // Any thread; how many entries of the memory tier it named.
  size_t purge(const PurgeOrder& order, Arena& arena);

  SharedFacts facts() const;
  // Whom to ask what is stored under a key, until the next connect(); nothing without a tier.
  std::optional<SharedAccess> access(const Hash128& key) const;

 private:
  void send(const PurgeOrder& order, Arena& arena);
  void wake();
  void pump();
  void on_timer() noexcept;
  bool is_writing() const noexcept;

  loop::Loop& loop_;
  Cache& cache_;
  stats::Counters& counters_;
  const PurgeHubOptions options_;
  std::vector<std::unique_ptr<PurgeLink>> links_;
  loop::Timer timer_;    // while there is a tier
  TimePoint seen_at_{};  // the last look at a server, or since when there is one
  bool is_cut_off_ = false;
  std::mutex mutex_;  // of the next
  std::vector<std::shared_ptr<PurgeOutbox>> outboxes_;
  std::atomic<bool> is_woken_{false};
  std::shared_ptr<PurgeHub*> self_;  // what is posted asks whether it is still there
};

}  // namespace sluice::cache
