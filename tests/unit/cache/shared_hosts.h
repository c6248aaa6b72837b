// What the tests of the shared tier share: hosts with a worker each, and a server that has a state.
#pragma once

#include <fmt/format.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "entries.h"
#include "sluice/cache/store_redis.h"
#include "tests/unit/redis/support.h"

namespace sluice::cache::test::worker {

using redis::test::Ask;
using redis::test::Fake;
using redis::test::RedisServer;
using redis::test::run_until;
using redis::test::settle;
using redis::test::spin_until;
using stats::Counter;
using std::chrono::milliseconds;
using std::chrono::seconds;

inline constexpr SharedStamp kStart{77, 5};

class Looker final : public SharedLook {
 public:
  int ends = 0;
  Result result;
  std::function<bool(const Entry&)> would_do = [](const Entry&) { return true; };
  std::function<void()> when_ended;

  std::string body() const { return result.entry ? text_of(*result.entry) : "none"; }

 private:
  bool is_enough(const Entry& entry) noexcept override { return would_do(entry); }
  void on_look_end(const Result& end) noexcept override {
    CHECK_FALSE(is_pending());
    ++ends;
    result = end;
    if (when_ended) when_ended();
  }
};

inline SharedSettings settings_for(std::vector<redis::Address> servers) {
  SharedSettings settings;
  settings.servers = std::move(servers);
  settings.timeout = seconds(5);  // of a busy machine; the cases of time set their own
  settings.lease_wait = milliseconds(0);
  return settings;
}

// One worker of a host.
struct Host {
  explicit Host(SharedSettings settings)
      : tier(std::make_shared<SharedTier>(std::move(settings), kSecret)) {
    tier->server(0).log.begin(kStart);
    store.emplace(loop, cache, tier, counters);
    store->start();
  }
  explicit Host(const RedisServer& server) : Host(settings_for({server.address()})) { await_up(); }

  Key key(std::string_view target) { return memory.key(target); }
  void await_up() {
    REQUIRE(run_until(loop, [&] { return store->is_up(key("/")); }));
  }
  Ref<Entry> make(const Key& of, Made made = {}) {
    made.date = std::chrono::duration_cast<seconds>(wall_now().time_since_epoch()).count();
    return make_entry(cache.store.budget(), of, made);
  }
  uint64_t count(Counter id) const { return counters.get(id); }
  uint64_t writes() const {
    return count(Counter::cache_redis_writes) + count(Counter::cache_redis_skips_failed);
  }
  void put(Ref<Entry> entry, const SharedStamp& stamp = kStart, Duration keep = seconds(30)) {
    const uint64_t before = writes();
    store->put(std::move(entry), stamp, keep);
    REQUIRE(run_until(loop, [&] { return writes() > before; }));
  }
  void look(Looker& look, const Key& of, const Fields& request = none) {
    look.ends = 0;
    look.look(*store, {of, request.list()});
    CHECK(look.is_pending());
    CHECK(look.ends == 0);
    REQUIRE(run_until(loop, [&] { return look.ends > 0; }));
  }
  // What a look without a lease brings.
  SharedLook::Result find(const Key& of, const Fields& request = none) {
    Looker looker;
    look(looker, of, request);
    return looker.result;
  }
  SharedServer& server() { return tier->server(0); }

  static inline const Fields none;
  loop::Loop loop;
  Memory memory;
  Cache cache{{.size = 64 << 20}, "test", 1};
  stats::Counters counters;
  std::shared_ptr<SharedTier> tier;
  std::optional<SharedStore> store;
};

// A server that has a state, and a connection to it beside the store's.
struct Server : RedisServer {
  explicit Server(std::vector<std::string> extra = {})
      : RedisServer(std::move(extra)), bed(static_cast<const RedisServer&>(*this)) {
    set_state();
  }
  void set_state() { CHECK(say({"HSET", "sluice:state", "epoch", "77", "purges", "5"})[0] == ':'); }
  std::string say(std::initializer_list<redis::Arg> args) { return ask.get(args); }
  std::vector<std::string> keys(const std::string& pattern = "sluice:v1:*") {
    std::string list = say({"KEYS", pattern});
    std::vector<std::string> found;
    for (size_t at = 0; (at = list.find('"', at)) != std::string::npos;) {
      const size_t end = list.find('"', at + 1);
      found.push_back(list.substr(at + 1, end - at - 1));
      at = end + 1;
    }
    return found;
  }
  std::string name(const Key& key) {
    return fmt::format("sluice:v1:{{{:016x}{:016x}}}", key.hash.high, key.hash.low);
  }

  redis::test::Bed bed;
  Ask ask{bed.client};
};

inline std::string bytes_of(size_t size) {
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 31 % 251);
  return bytes;
}

inline Made with_vary(std::string language, std::string body) {
  Made made;
  made.response = {{"Vary", "Accept-Language"}};
  made.request = {{"Accept-Language", std::move(language)}};
  made.body = std::move(body);
  return made;
}

inline PurgeOrder order_of(std::string_view text) { return *parse_purge(text); }

}  // namespace sluice::cache::test::worker
