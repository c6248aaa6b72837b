// One worker: a thread with its loop, listeners, connections and the site of the present snapshot.
//
// Owner: control (server/fleet.h). All public calls come from the control thread and go to the
// worker as messages (Loop::post); a callback that is handed in runs on the worker's thread and
// posts on by itself. What the worker's thread alone touches is in Inside.
//
//   thread starts   Inside is made
//   install()       the new Site serves requests that begin from now on; the old one is freed when
//                   its last exchange has ended
//   drain()         listeners close, connections end after their answer; on_drained when none is
//                   left
//   stop()          closes what is left, frees Inside, ends the thread
//   ~Worker         joins
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "sluice/base/clock.h"
#include "sluice/base/log_ring.h"
#include "sluice/cache/cache.h"
#include "sluice/cache/purge_hub.h"
#include "sluice/cache/shared_tier.h"
#include "sluice/config/snapshot.h"
#include "sluice/downstream/listener.h"
#include "sluice/loop/loop.h"
#include "sluice/proxy/access_log.h"
#include "sluice/server/sockets.h"
#include "sluice/stats/collect.h"
#include "sluice/upstream/registry.h"

namespace sluice::server {

// A listener as all workers get it; `shared` is its identity.
struct Door {
  config::Listener configured;
  std::shared_ptr<downstream::ListenerShared> shared;
  std::shared_ptr<Sockets> sockets;
};

// One generation, as all workers get it.
struct Installation {
  config::SnapshotPtr snapshot;
  std::vector<upstream::PoolParts> pools;
  std::vector<Door> doors;
  std::vector<std::shared_ptr<upstream::Endpoint>> retired;
  std::shared_ptr<cache::SharedTier> tier;  // nullptr: none
};
using InstallationPtr = std::shared_ptr<const Installation>;

class Worker;

// What all workers of a process share; outlives them.
struct WorkerDeps {
  stats::Collect& stats;
  stats::NameTable& names;
  cache::Cache& cache;
  cache::PurgeHub& purges;
  const std::vector<std::unique_ptr<Worker>>& all;
};

class Worker {
 public:
  Worker(uint32_t index, const WorkerDeps& deps, LogRing& diagnostics);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void start();
  void install(InstallationPtr installation, std::function<void()> installed);
  // nullptr: off. After `switched` was called the log before it is in no use here any more.
  void set_access_log(proxy::AccessLog* log, std::function<void()> switched);
  void meet(std::function<void()> met);
  void drain(std::function<void()> on_drained);
  // Both are idempotent, and nothing before start().
  void stop();
  void join();

  // Asks for a sign of life and the lag of the loop.
  void pulse();
  // Any thread.
  TimePoint last_answer() const noexcept { return TimePoint(Duration(answered_.load())); }
  Duration lag() const noexcept { return Duration(lag_.load()); }
  uint32_t connections() const noexcept;  // open, and on their way here

  uint32_t index() const noexcept { return index_; }

 private:
  struct Inside;

  void run();
  bool hand_over(const std::shared_ptr<downstream::ListenerShared>& door, int fd,
                 const SocketAddress& peer) noexcept;
  // From another worker's thread.
  void take_over(Worker& from, std::shared_ptr<downstream::ListenerShared> door, int fd,
                 const SocketAddress& peer);
  void take_back(const std::shared_ptr<downstream::ListenerShared>& door, int fd,
                 const SocketAddress& peer);

  uint32_t index_;
  WorkerDeps deps_;
  LogRing& diagnostics_;
  stats::Block& block_;
  loop::Loop loop_;
  std::unique_ptr<Inside> inside_;
  std::thread thread_;
  std::atomic<uint32_t> arriving_{0};  // handed over and not here yet
  std::atomic<int64_t> answered_{0};
  std::atomic<int64_t> lag_{0};
};

// Whether a connection that this worker has accepted is better off at the least loaded one: it has
// more than 1.25 times the mean, and the gain is worth a wake-up. Pure.
struct LoadVerdict {
  bool hand_over = false;
  size_t to = 0;
};
LoadVerdict judge_load(size_t mine, const std::vector<uint32_t>& connections) noexcept;

}  // namespace sluice::server
