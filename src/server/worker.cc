#include "sluice/server/worker.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>

#include "sluice/base/check.h"
#include "sluice/base/log.h"
#include "sluice/cache/store_redis.h"
#include "sluice/loop/timer.h"
#include "sluice/proxy/site.h"
#include "sluice/upstream/connection_pool.h"

namespace sluice::server {

using downstream::Listener;
using downstream::ListenerShared;
using DoorId = std::shared_ptr<ListenerShared>;

namespace {

constexpr Duration kFirstSweep = std::chrono::milliseconds(10);
constexpr Duration kLastSweep = std::chrono::seconds(1);
constexpr int kLastTurns = 100;
constexpr uint32_t kWorthAWakeUp = 4;  // connections

}  // namespace

// What the worker's thread alone touches. Order: what is above outlives what is below.
struct Worker::Inside {
  struct Open {
    DoorId id;
    std::unique_ptr<Listener> listener;
  };

  Inside(loop::Loop& loop, stats::Block& block, const WorkerDeps& deps, uint32_t index);
  ~Inside();

  void install(const Installation& installation, Worker& worker);
  void switch_tier(const std::shared_ptr<cache::SharedTier>& tier);
  Open* find(const DoorId& id) noexcept;
  void drain_listener(Open open);
  void drain_all();
  bool is_idle() const noexcept;  // no exchange is under way
  bool is_empty() const noexcept;
  void close_everything();
  void sweep_soon();
  void sweep() noexcept;

  loop::Loop& loop;
  stats::NameTable& names;
  upstream::ConnectionPool pool;
  proxy::WorkerKit kit;
  std::unique_ptr<cache::SharedStore> shared;
  std::vector<std::unique_ptr<cache::SharedStore>> old_shared;  // stopped
  std::vector<std::unique_ptr<proxy::Site>> old_sites;          // with exchanges under way
  std::unique_ptr<proxy::Site> site;
  std::vector<Open> open;
  std::vector<Open> leaving;  // drained, with connections
  std::function<void()> on_drained;
  Duration next_sweep = kFirstSweep;
  loop::Timer sweeper;
};

Worker::Inside::Inside(loop::Loop& own, stats::Block& block, const WorkerDeps& deps, uint32_t index)
    : loop(own),
      names(deps.names),
      pool(own, block.counters),
      kit{.index = index,
          .loop = own,
          .counters = block.counters,
          .requests = block.requests,
          .connections = pool,
          .cache = &deps.cache,
          .purges = &deps.purges},
      sweeper(loop::Timer::make<&Inside::sweep>(own, this)) {}

// All connections are gone before their listeners, all exchanges before their sites.
Worker::Inside::~Inside() { close_everything(); }

// The thread --------------------------------------------------------------------------------------

Worker::Worker(uint32_t index, const WorkerDeps& deps, LogRing& diagnostics)
    : index_(index), deps_(deps), diagnostics_(diagnostics), block_(deps.stats.add_block()) {}

Worker::~Worker() {
  stop();
  join();
}

void Worker::start() {
  // Signals are the control thread's.
  sigset_t all, before;
  sigfillset(&all);
  for (int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) sigdelset(&all, fault);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Worker::run() {
  const std::string name = "sluice-w" + std::to_string(index_);
  pthread_setname_np(pthread_self(), name.c_str());
  log_attach(&diagnostics_);
  inside_ = std::make_unique<Inside>(loop_, block_, deps_, index_);
  answered_.store(monotonic_now().time_since_epoch().count());
  loop_.set_resident(true);
  loop_.run();
  // What was closed is buried at the end of a turn, and still needs what is inside.
  int turn = 0;
  do {
    loop_.run_once(false);
  } while (!inside_->is_idle() && ++turn < kLastTurns);
  inside_.reset();
  log_attach(nullptr);
}

void Worker::stop() {
  if (!thread_.joinable()) return;
  loop_.post([this] {
    inside_->close_everything();
    loop_.stop();
  });
}

void Worker::join() {
  if (thread_.joinable()) thread_.join();
}

// Messages ----------------------------------------------------------------------------------------

void Worker::install(InstallationPtr installation, std::function<void()> installed) {
  loop_.post([this, installation = std::move(installation), installed = std::move(installed)] {
    inside_->install(*installation, *this);
    installed();
  });
}

void Worker::set_access_log(proxy::AccessLog* log, std::function<void()> switched) {
  loop_.post([this, log, switched = std::move(switched)] {
    inside_->kit.access_log = log;
    switched();
  });
}

void Worker::meet(std::function<void()> met) { loop_.post(std::move(met)); }

void Worker::drain(std::function<void()> on_drained) {
  loop_.post([this, on_drained = std::move(on_drained)]() mutable {
    inside_->on_drained = std::move(on_drained);
    inside_->drain_all();
  });
}

void Worker::pulse() {
  loop_.post([this] {
    const Duration lag = loop_.take_lag();
    lag_.store(lag.count(), std::memory_order_relaxed);
    block_.counters.record(stats::Timing::loop_lag_seconds, lag);
    answered_.store(monotonic_now().time_since_epoch().count());
  });
}

uint32_t Worker::connections() const noexcept {
  return static_cast<uint32_t>(block_.counters.get(stats::Counter::connections_open)) +
         arriving_.load(std::memory_order_relaxed);
}

// Installing --------------------------------------------------------------------------------------

void Worker::Inside::install(const Installation& installation, Worker& worker) {
  if (kit.draining) return;  // a reload that TERM overtook opens nothing
  switch_tier(installation.tier);
  auto fresh = std::make_unique<proxy::Site>(kit, installation.snapshot, installation.pools, names);
  for (Open& each : open) each.listener->set_site(*fresh);
  for (Open& each : leaving) each.listener->set_site(*fresh);
  if (site != nullptr) old_sites.push_back(std::move(site));
  site = std::move(fresh);

  std::vector<Open> before;
  before.swap(open);
  for (const Door& door : installation.doors) {
    const auto kept = std::find_if(before.begin(), before.end(),
                                   [&](const Open& each) { return each.id == door.shared; });
    if (kept != before.end()) {
      kept->listener->configure(door.configured);
      open.push_back(std::move(*kept));
      before.erase(kept);
      continue;
    }
    auto listener = std::make_unique<Listener>(kit, *site, door.configured, door.shared,
                                               door.sockets->fd_for(kit.index));
    listener->set_hand_over([&worker, id = door.shared](int fd, const SocketAddress& from) {
      return worker.hand_over(id, fd, from);
    });
    open.push_back({door.shared, std::move(listener)});
  }
  for (Open& gone : before) drain_listener(std::move(gone));
  for (const auto& endpoint : installation.retired) pool.retire(*endpoint);
  sweep_soon();
}

// What still looks in the old one hears that there is none, at the end of this turn.
void Worker::Inside::switch_tier(const std::shared_ptr<cache::SharedTier>& tier) {
  if (shared != nullptr ? &shared->tier() == tier.get() : tier == nullptr) return;
  if (shared != nullptr) {
    shared->stop();
    old_shared.push_back(std::move(shared));
  }
  if (tier != nullptr) {
    shared = std::make_unique<cache::SharedStore>(loop, *kit.cache, tier, kit.counters);
    shared->start();
  }
  kit.shared = shared.get();
}

Worker::Inside::Open* Worker::Inside::find(const DoorId& id) noexcept {
  for (auto* list : {&open, &leaving}) {
    for (Open& each : *list) {
      if (each.id == id) return &each;
    }
  }
  return nullptr;
}

void Worker::Inside::drain_listener(Open gone) {
  gone.listener->set_hand_over({});
  gone.listener->drain();
  leaving.push_back(std::move(gone));
}

void Worker::Inside::drain_all() {
  kit.draining = true;
  for (Open& each : open) drain_listener(std::move(each));
  open.clear();
  pool.close_idle();
  sweep_soon();
}

// A listener or a site cannot be freed inside its own last callback, so somebody looks from time to
// time, ever more seldom.
void Worker::Inside::sweep_soon() {
  // One that is due that soon stays: reloads in quick succession would put it off for ever.
  if (sweeper.is_set() && next_sweep == kFirstSweep) return;
  next_sweep = kFirstSweep;
  sweeper.set_after(next_sweep);
}

void Worker::Inside::sweep() noexcept {
  old_shared.clear();
  std::erase_if(leaving, [](const Open& each) { return each.listener->is_empty(); });
  std::erase_if(old_sites, [](const auto& each) { return each->active() == 0; });
  if (on_drained && open.empty() && leaving.empty()) kit.cancel_background();
  if (on_drained && is_empty()) std::exchange(on_drained, nullptr)();
  if (leaving.empty() && old_sites.empty() && !on_drained) return;
  next_sweep = on_drained ? kFirstSweep : std::min(next_sweep * 2, kLastSweep);
  sweeper.set_after(next_sweep);
}

bool Worker::Inside::is_idle() const noexcept {
  const auto is_used = [](const auto& each) { return each != nullptr && each->active() > 0; };
  return !is_used(site) && std::none_of(old_sites.begin(), old_sites.end(), is_used);
}

bool Worker::Inside::is_empty() const noexcept {
  return open.empty() && leaving.empty() && is_idle();
}

// Leaves no connection; what they leave behind is buried at the end of the turn.
void Worker::Inside::close_everything() {
  for (auto* list : {&open, &leaving}) {
    for (Open& each : *list) {
      each.listener->set_hand_over({});
      each.listener->drain();
      each.listener->close_all(CloseReason::kShutdown);
    }
  }
  kit.cancel_background();
  if (shared != nullptr) shared->stop();
}

// Sharing connections -----------------------------------------------------------------------------

LoadVerdict judge_load(size_t mine, const std::vector<uint32_t>& connections) noexcept {
  if (connections.size() < 2) return {};
  uint64_t sum = 0;
  for (const uint32_t each : connections) sum += each;
  const auto least = std::min_element(connections.begin(), connections.end());
  // In quarters, so that 1.25 times the mean is exact: 4 * mine * n > 5 * sum.
  const bool is_above = 4 * uint64_t{connections[mine]} * connections.size() > 5 * sum;
  const bool is_worth = connections[mine] >= *least + kWorthAWakeUp;
  if (!is_above || !is_worth) return {};
  return {true, static_cast<size_t>(least - connections.begin())};
}

bool Worker::hand_over(const DoorId& door, int fd, const SocketAddress& peer) noexcept {
  if (deps_.all.size() < 2) return false;
  thread_local std::vector<uint32_t> loads;
  loads.clear();
  for (const auto& each : deps_.all) loads.push_back(each->connections());
  const LoadVerdict verdict = judge_load(index_, loads);
  if (!verdict.hand_over) return false;
  deps_.all[verdict.to]->take_over(*this, door, fd, peer);
  return true;
}

void Worker::take_over(Worker& from, DoorId door, int fd, const SocketAddress& peer) {
  arriving_.fetch_add(1, std::memory_order_relaxed);
  loop_.post([this, &from, door = std::move(door), fd, peer] {
    arriving_.fetch_sub(1, std::memory_order_relaxed);
    Inside::Open* mine = inside_->find(door);
    if (mine != nullptr && !mine->listener->is_draining()) return mine->listener->adopt(fd, peer);
    // Not installed here yet, or not any more; whoever accepted it still has the listener.
    from.loop_.post([&from, door, fd, peer] { from.take_back(door, fd, peer); });
  });
}

void Worker::take_back(const DoorId& door, int fd, const SocketAddress& peer) {
  Inside::Open* mine = inside_->find(door);
  if (mine != nullptr) return mine->listener->adopt(fd, peer);
  close(fd);
}

}  // namespace sluice::server
