#include "sluice/server/changes.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <vector>

namespace sluice::server {

namespace {

struct Words {
  std::string_view thing, added, removed;
};

template <typename T>
const T* find(const std::vector<T>& list, const std::string& name) {
  const auto it =
      std::find_if(list.begin(), list.end(), [&](const T& x) { return x.name == name; });
  return it == list.end() ? nullptr : &*it;
}

template <typename T>
void compare(const std::vector<T>& before, const std::vector<T>& now, const Words& words,
             std::vector<std::string>& changes) {
  for (const T& each : now) {
    const T* old = find(before, each.name);
    if (old == nullptr) {
      changes.push_back(fmt::format("{} {} {}", words.thing, each.name, words.added));
    } else if (!(*old == each)) {
      changes.push_back(fmt::format("{} {} changed", words.thing, each.name));
    }
  }
  for (const T& each : before) {
    if (find(now, each.name) != nullptr) continue;
    changes.push_back(fmt::format("{} {} {}", words.thing, each.name, words.removed));
  }
}

std::string workers_text(uint32_t workers) {
  return workers == 0 ? "auto" : std::to_string(workers);
}

std::string secret_of(const config::Config& config) {
  return config.cache.redis ? config.cache.redis->secret : std::string();
}

}  // namespace

std::string describe_changes(const config::Config& before, const config::Config& now) {
  std::vector<std::string> changes;
  compare(before.listeners, now.listeners, {"listener", "opened", "drained"}, changes);
  compare(before.pools, now.pools, {"pool", "added", "removed"}, changes);
  if (before.routes != now.routes) changes.emplace_back("routes changed");
  if (before.cache != now.cache) changes.emplace_back("cache changed");
  if (before.access_log != now.access_log) changes.emplace_back("access_log changed");
  if (before.admin != now.admin) changes.emplace_back("admin changed");
  if (before.drain_timeout != now.drain_timeout) changes.emplace_back("drain_timeout changed");
  if (before.shutdown_delay != now.shutdown_delay) changes.emplace_back("shutdown_delay changed");
  return changes.empty() ? "nothing changed" : fmt::format("{}", fmt::join(changes, "; "));
}

std::string describe_restart(const config::Config& before, const config::Config& now) {
  std::vector<std::string> changes;
  if (before.workers != now.workers) {
    changes.push_back(fmt::format("workers: {} to {} needs a restart", workers_text(before.workers),
                                  workers_text(now.workers)));
  }
  // It is in the hash of all that the memory tier has.
  if (now.cache.redis && secret_of(before) != secret_of(now)) {
    changes.emplace_back(
        "cache.redis.secret needs a restart: until then nothing is shared with hosts that have it");
  }
  return fmt::format("{}", fmt::join(changes, "; "));
}

}  // namespace sluice::server
