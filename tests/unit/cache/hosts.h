// What the tests of the shared tier share: hosts, each with a memory tier and a hub, on one loop
// with real servers.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "entries.h"
#include "sluice/cache/cache.h"
#include "sluice/cache/purge_hub.h"
#include "sluice/cache/shared_tier.h"
#include "sluice/stats/counters.h"
#include "tests/unit/redis/support.h"

namespace sluice::cache::test {

using redis::test::RedisServer;
using redis::test::run_until;
using std::chrono::milliseconds;
using std::chrono::seconds;
using What = PurgeOrder::What;

inline const std::string kSite = "http://shop.example:80";

inline PurgeOrder order_of(std::string_view text) {
  auto order = parse_purge(text);
  REQUIRE(order);
  return *order;
}

// Quick to notice, slow to give up.
inline PurgeHubOptions quick() {
  PurgeHubOptions options;
  options.watch = milliseconds(50);
  options.watch_alone = milliseconds(20);
  options.patience = milliseconds(500);
  options.longest_pause = milliseconds(50);
  options.kept = 16;
  return options;
}

// Looks at connections only: what comes, comes by message.
inline PurgeHubOptions by_message() {
  PurgeHubOptions options = quick();
  options.watch = options.watch_alone = std::chrono::hours(1);
  options.patience = seconds(20);
  return options;
}

inline std::shared_ptr<SharedTier> tier_of(std::vector<redis::Address> servers) {
  SharedSettings settings;
  settings.servers = std::move(servers);
  settings.prefix = "t:";
  return std::make_shared<SharedTier>(std::move(settings), kSecret);
}

struct Host {
  explicit Host(loop::Loop& its_loop, PurgeHubOptions options = quick())
      : loop(its_loop), hub(loop, cache, counters, options) {}

  void connect(std::vector<redis::Address> servers) {
    tier = tier_of(std::move(servers));
    hub.connect(tier);
  }
  void connect(const RedisServer& server) { connect({server.address()}); }
  bool is_up(size_t index = 0) const {
    const SharedServerFacts facts = hub.facts().servers.at(index);
    return facts.is_up && facts.is_subscribed;
  }
  void await_up() {
    REQUIRE(run_until(loop, [&] {
      for (size_t i = 0; i < tier->size(); ++i) {
        if (!is_up(i)) return false;
      }
      return true;
    }));
    if (!has_met) at_contact = cache.store.purges().last();
    has_met = true;
  }
  size_t waiting(size_t index = 0) const { return hub.facts().servers.at(index).purges_waiting; }
  bool is_sent() {
    return run_until(loop, [&] {
      for (size_t i = 0; i < tier->size(); ++i) {
        if (waiting(i) > 0) return false;
      }
      return true;
    });
  }

  void store(std::string_view path, std::vector<std::string> tags = {}) {
    Made made;
    made.started = cache.store.purges().last();
    made.tags = std::move(tags);
    REQUIRE(cache.store.put(make_entry(cache.store.budget(), memory.key(path), made)) ==
            PutResult::stored);
  }
  // good, stale, gone: as it is found in memory.
  Standing standing(std::string_view path) {
    Variants found;
    cache.store.find(memory.key(path), found);
    if (found.is_empty()) return Standing::gone;
    const Entry& entry = *found.all().front();
    if (entry.is_marked_stale()) return Standing::stale;
    return cache.store.purges().standing(entry.started(), entry.tags());
  }
  bool becomes(std::string_view path, Standing wanted) {
    return run_until(loop, [&] { return standing(path) == wanted; });
  }
  void purge(std::string_view text) { hub.purge(order_of(text), memory.arena); }
  // Of as many URLs, which begin so.
  void purge_many(int count, const std::string& url) {
    for (int i = 0; i < count; ++i) purge("hard url " + url + std::to_string(i));
  }
  // Purges in the memory tier since the first contact.
  uint64_t in_memory() const { return cache.store.purges().last() - at_contact; }

  PurgeLog& log(size_t index = 0) const { return tier->server(index).log; }
  // As in_memory() has it.
  uint64_t unsent_since(size_t index = 0) const {
    const uint64_t since = tier->server(index).unsent_since.load(std::memory_order_acquire);
    return since == SharedServer::kNone ? since : since - at_contact;
  }
  uint64_t count(stats::Counter id) const { return counters.get(id); }
  uint64_t flushes() const {
    return count(stats::Counter::cache_flushes_epoch) + count(stats::Counter::cache_flushes_gap) +
           count(stats::Counter::cache_flushes_contact);
  }

  loop::Loop& loop;
  Memory memory;
  Cache cache{{}, "test", 1};
  stats::Counters counters;
  bool has_met = false;  // by await_up()
  uint64_t at_contact = 0;
  std::shared_ptr<SharedTier> tier;
  PurgeHub hub;
};

// Who speaks to a server by hand.
struct Hand {
  Hand(loop::Loop& loop, const RedisServer& server)
      : client(loop, redis::test::options_for(server.address())), ask(client) {
    client.start();
  }
  std::string get(std::initializer_list<redis::Arg> args) {
    REQUIRE(run_until(client.loop(), [&] { return client.is_ready(); }));
    return ask.get(args);
  }
  redis::Client client;
  redis::test::Ask ask;
};

}  // namespace sluice::cache::test
