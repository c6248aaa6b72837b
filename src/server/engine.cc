#include "sluice/server/engine.h"

#include <sys/resource.h>

#include <utility>

#include "sluice/base/log.h"
#include "sluice/server/listener_plan.h"

namespace sluice::server {
namespace {

uint64_t open_files_limit() {
  rlimit limit{};
  return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 1024;
}

}  // namespace

Engine::Engine(loop::Loop& loop, uint32_t workers)
    : loop_(loop),
      logs_(std::make_shared<Logs>(workers)),
      block_(stats_.add_block()),
      registry_(workers, names_),
      health_(loop, block_.counters),
      ceiling_(std::make_shared<downstream::ClientCeiling>(
          downstream::ClientCeiling::for_limit(open_files_limit(), workers))),
      cache_({}, "sluice:", workers),
      purges_(loop, cache_, block_.counters),
      fleet_(workers, {loop, stats_, names_, *logs_, cache_, purges_}) {
  log_attach(&logs_->diagnostics(workers));
}

Engine::~Engine() {
  fleet_.stop();
  logs_->retire(access_);
  log_attach(nullptr);
}

// Preparing ---------------------------------------------------------------------------------------

PreparedDoors Engine::prepare_doors(const std::vector<config::Listener>& wanted,
                                    PassedSockets& passed) {
  std::vector<ListenerKey> have, want;
  for (const Door& door : doors_) have.push_back({door.shared->name(), door.sockets->bind()});
  for (const config::Listener& listener : wanted) want.push_back({listener.name, listener.bind});
  const ListenerPlan plan = plan_listeners(have, want);

  PreparedDoors prepared;
  for (size_t i = 0; i < wanted.size(); ++i) {
    const ListenerStep& step = plan.steps[i];
    Door door{wanted[i], nullptr, nullptr};
    if (step.kind == ListenerStep::Kind::kOpen) {
      OpenedSockets opened =
          open_sockets({.bind = wanted[i].bind, .workers = fleet_.size(), .passed = &passed});
      door.sockets = std::move(opened.sockets);
      if (door.sockets == nullptr) {
        prepared.problems += "listener " + wanted[i].name + ": " + opened.problem + "\n";
      }
    } else {
      door.sockets = doors_[step.have].sockets;
    }
    door.shared = step.kind == ListenerStep::Kind::kKeep
                      ? doors_[step.have].shared
                      : std::make_shared<downstream::ListenerShared>(
                            wanted[i].name, names_.intern(wanted[i].name), ceiling_);
    prepared.doors.push_back(std::move(door));
  }
  return prepared;
}

// Publishing --------------------------------------------------------------------------------------

void Engine::publish(config::Config config, Needs needs, std::function<void()> done) {
  const uint64_t generation = snapshot_ == nullptr ? 1 : snapshot_->generation + 1;
  snapshot_ = config::make_snapshot(std::move(config), generation);
  auto installation = std::make_shared<Installation>();
  installation->snapshot = snapshot_;
  installation->pools = registry_.apply(*snapshot_);
  installation->retired = registry_.take_retired();
  installation->doors = needs.doors;
  const config::CacheMemory& memory = snapshot_->config.cache.memory;
  cache_.store.set_limits(memory.size, memory.max_object);
  doors_ = std::move(needs.doors);
  health_.apply(snapshot_, installation->pools);
  // The log first, so that the first request of a generation is in it.
  if (needs.access_changes) switch_access(std::move(needs.access));
  fleet_.install(installation, std::move(done));
}

// The rings that go are emptied off the loop, because that waits for the writer, and so for a disk.
// Whatever becomes of that work, they are never freed while the writer knows them.
void Engine::switch_access(OpenedAccess access) {
  auto* before = new AccessOutputs(std::move(access_));
  const std::shared_ptr<AccessOutputs> old(before, [logs = logs_](AccessOutputs* outputs) {
    logs->retire(*outputs);
    delete outputs;
  });
  access_ = std::move(access.outputs);
  fleet_.set_access_logs(access_, [this, old] {
    if (old->empty()) return;
    retiring_ = loop::run_work(
        loop_, [logs = logs_, old] { logs->retire(*old); }, [] {});
  });
}

}  // namespace sluice::server
