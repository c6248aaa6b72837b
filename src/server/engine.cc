#include "sluice/server/engine.h"

#include <sys/resource.h>

#include <utility>

#include "sluice/base/check.h"
#include "sluice/base/log.h"
#include "sluice/server/listener_plan.h"

namespace sluice::server {
namespace {

uint64_t open_files_limit() {
  rlimit limit{};
  return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 1024;
}

const std::string kSecret = "sluice:";

cache::SharedSettings shared_settings(const config::CacheRedis& redis) {
  cache::SharedSettings settings;
  settings.timeout = redis.timeout;
  settings.lease_wait = redis.lease_wait;
  settings.prefix = redis.prefix;
  std::vector<std::string> urls = redis.urls;
  if (!redis.url.empty()) urls.push_back(redis.url);
  for (const std::string& url : urls) {
    Result<redis::Address> address = redis::parse_address(url);
    SL_CHECK(address);  // checked with the configuration
    settings.servers.push_back(std::move(*address));
  }
  return settings;
}

}  // namespace

Engine::Engine(loop::Loop& loop, uint32_t workers, size_t cache_size)
    : loop_(loop),
      logs_(std::make_shared<Logs>(workers)),
      block_(stats_.add_block()),
      registry_(workers, names_),
      health_(loop, block_.counters),
      ceiling_(std::make_shared<downstream::ClientCeiling>(
          downstream::ClientCeiling::for_limit(open_files_limit(), workers))),
      cache_({.size = cache_size}, kSecret, workers),
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
  const config::SnapshotPtr before = std::move(snapshot_);
  snapshot_ = config::make_snapshot(std::move(config), generation);
  auto installation = std::make_shared<Installation>();
  installation->snapshot = snapshot_;
  installation->pools = registry_.apply(*snapshot_);
  installation->retired = registry_.take_retired();
  installation->doors = needs.doors;
  const config::CacheMemory& memory = snapshot_->config.cache.memory;
  cache_.store.set_limits(memory.size, memory.max_object);
  switch_tier(before == nullptr ? nullptr : &before->config);
  installation->tier = tier_;
  doors_ = std::move(needs.doors);
  health_.apply(snapshot_, installation->pools);
  // The log first, so that the first request of a generation is in it.
  if (needs.access_changes) switch_access(std::move(needs.access));
  fleet_.install(installation, std::move(done));
}

void Engine::switch_tier(const config::Config* before) {
  const std::optional<config::CacheRedis>& redis = snapshot_->config.cache.redis;
  if (before == nullptr && redis) cache_.secret = HashSecret(kSecret + redis->secret);
  if (before != nullptr && before->cache.redis == redis) return;
  tier_ = nullptr;
  if (redis) tier_ = std::make_shared<cache::SharedTier>(shared_settings(*redis), cache_.secret);
  purges_.connect(tier_);
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
