// The shared tier when its server hangs, dies, is full, or holds what we have not written.
#include <set>

#include "shared_hosts.h"
#include "sluice/cache/entry_codec.h"

using namespace sluice;
using namespace sluice::cache;
using namespace sluice::cache::test;
using namespace sluice::cache::test::worker;

// Time and failures -------------------------------------------------------------------------------

namespace {

// Ends of a look in time, or its whole time.
Duration time_of_look(Host& host, Looker& looker) {
  looker.ends = 0;
  const TimePoint before = monotonic_now();
  host.look(looker, host.key("/"));
  return monotonic_now() - before;
}

}  // namespace

TEST_CASE(
    "cache/store_redis: a server that hangs costs the budget, then nothing; until it is back") {
  Server server;
  SharedSettings settings = settings_for({server.address()});
  settings.timeout = milliseconds(20);
  settings.lease_wait = milliseconds(50);
  Host host(settings);
  host.await_up();
  CHECK(host.server().degraded == 0);
  server.signal(SIGSTOP);
  Looker looker;
  const Duration first = time_of_look(host, looker);
  CHECK(looker.result.why == SharedMiss::late);
  CHECK_FALSE(looker.result.stamp.is_known());
  CHECK_FALSE(looker.result.has_lease);
  CHECK(first >= milliseconds(20));
  CHECK(first < milliseconds(500));
  CHECK(host.count(Counter::cache_redis_late) == 1);
  REQUIRE(run_until(host.loop, [&] {
    if (!looker.is_pending()) looker.look(*host.store, {host.key("/"), host.none.list()});
    return looker.result.why == SharedMiss::away;
  }));
  CHECK_FALSE(host.store->is_up(host.key("/")));
  CHECK(host.server().degraded == 1);
  host.store->put(host.make(host.key("/")), kStart, seconds(1));
  CHECK(host.count(Counter::cache_redis_skips_away) == 1);
  looker.cancel();
  server.signal(SIGCONT);
  host.await_up();
  CHECK(host.server().degraded == 0);
  // With a busy machine a look may take its 20 ms; sooner or later one does not.
  REQUIRE(run_until(host.loop, [&] {
    if (!looker.is_pending()) looker.look(*host.store, {host.key("/"), host.none.list()});
    return looker.result.why == SharedMiss::absent;
  }));
}

TEST_CASE("cache/store_redis: a server that is killed is away, and back when it is started again") {
  Server server;
  Host host(server);
  const Key key = host.key("/");
  host.put(host.make(key));
  server.kill();
  REQUIRE(run_until(host.loop, [&] { return !host.store->is_up(key); }));
  CHECK(host.server().degraded == 1);
  CHECK(host.find(key).why == SharedMiss::away);
  CHECK(host.count(Counter::cache_redis_errors) == 1);
  server.start();
  host.await_up();
  CHECK(host.server().degraded == 0);
  CHECK_FALSE(host.find(key).stamp.is_known());  // all was lost with it
  server.bed.await_lost();
  server.bed.await_up();
  server.say({"HSET", "sluice:state", "epoch", "78", "purges", "0"});
  host.server().log.begin({78, 0});
  host.put(host.make(key), {78, 0});  // by its text again: the new server knows no script
  CHECK(host.find(key).entry);
  host.store->stop();
  CHECK(host.server().degraded == 0);
  CHECK_FALSE(host.store->is_up(key));
}

TEST_CASE("cache/store_redis: nobody there: away at once, and counted as degraded until it stops") {
  redis::Address nobody;
  nobody.path = "/nonexistent/redis.sock";
  Host host(settings_for({nobody}));
  CHECK(host.server().degraded == 1);
  CHECK_FALSE(host.store->is_up(host.key("/")));
  CHECK(host.find(host.key("/")).why == SharedMiss::away);
  host.store->stop();
  CHECK(host.server().degraded == 0);
}

TEST_CASE(
    "cache/store_redis: a server that is full takes no more entries, and serves those it has") {
  Server server({"--maxmemory", "6mb", "--maxmemory-policy", "noeviction"});
  Host host(server);
  Made made;
  made.body = bytes_of(kInlineBody + 1);
  int n = 0;
  while (host.count(Counter::cache_redis_skips_failed) == 0) {
    REQUIRE(++n < 100);
    host.put(host.make(host.key(fmt::format("/{}", n)), made));
  }
  CHECK(n > 2);
  CHECK(host.store->is_up(host.key("/")));
  Looker looker;
  host.look(looker, host.key("/1"));
  CHECK(looker.body() == made.body);
  CHECK(host.find(host.key(fmt::format("/{}", n))).why == SharedMiss::absent);
  for (const std::string& name : server.keys()) CHECK(server.say({"PTTL", name}) > ":0");
}

TEST_CASE("cache/store_redis: keys of the wrong type do no harm, and give way") {
  Server server;
  Host host(server);
  const Key key = host.key("/");
  server.say({"SET", server.name(key), "x"});
  CHECK(host.find(key).why == SharedMiss::broken);
  CHECK(server.say({"EXISTS", server.name(key)}) == ":0");
  server.say({"SET", server.name(key), "x"});
  host.put(host.make(key));
  CHECK(host.count(Counter::cache_redis_skips_failed) == 1);
  server.say({"DEL", server.name(key)});
  server.say({"LPUSH", server.name(key) + ":l", "x"});
  const auto found = host.find(key);
  CHECK(found.why == SharedMiss::absent);
  CHECK_FALSE(found.has_lease);
  CHECK(found.is_fetched_elsewhere);
  host.put(host.make(key));
  CHECK(host.find(key).entry);
  CHECK(host.store->is_up(key));
}

TEST_CASE("cache/store_redis: the queue of what is to be written is bounded, by bytes and number") {
  Server server;
  Host host(server);
  Made made;
  made.body = bytes_of(8 << 20);
  for (const char* path : {"/a", "/b", "/c"}) {
    host.store->put(host.make(host.key(path), made), kStart, seconds(30));
  }
  CHECK(host.count(Counter::cache_redis_skips_full) == 1);
  REQUIRE(run_until(host.loop, [&] { return host.writes() == 2; }));
  CHECK(host.count(Counter::cache_redis_writes) == 2);
  Looker looker;
  host.look(looker, host.key("/b"));
  CHECK(looker.body() == made.body);

  for (int i = 0; i < 1030; ++i) {
    host.store->put(host.make(host.key(fmt::format("/{}", i))), kStart, seconds(30));
  }
  CHECK(host.count(Counter::cache_redis_skips_full) == 7);
  REQUIRE(run_until(host.loop, [&] { return host.writes() == 2 + 1024; }));
  CHECK(host.find(host.key("/1023")).entry);
  CHECK(host.find(host.key("/1024")).why == SharedMiss::absent);
}

TEST_CASE("cache/store_redis: entries of one key are written in their order, long or short") {
  Server server;
  Host host(server);
  const Key key = host.key("/");
  Made made;
  made.body = bytes_of(3 << 20);
  for (int i = 0; i < 3; ++i) host.store->put(host.make(key, made), kStart, seconds(30));
  host.store->put(host.make(host.key("/other")), kStart, seconds(30));
  host.store->put(host.make(key), kStart, seconds(30));
  REQUIRE(run_until(host.loop, [&] { return host.writes() == 5; }));
  Looker looker;
  host.look(looker, key);
  CHECK(looker.body() == "hello");
}

TEST_CASE(
    "cache/store_redis: with several servers a key has its place, and one away leaves the others") {
  Server one, two;
  Host host(settings_for({one.address(), two.address()}));
  host.tier->server(1).log.begin(kStart);
  std::set<size_t> places;
  for (int i = 0; i < 20; ++i) {
    const Key key = host.key(fmt::format("/{}", i));
    REQUIRE(run_until(host.loop, [&] { return host.store->is_up(key); }));
    places.insert(host.tier->place_of(key.hash));
    host.put(host.make(key));
    CHECK(host.find(key).entry);
  }
  CHECK(places.size() == 2);
  CHECK(one.keys().size() + two.keys().size() == 20);
  two.kill();
  REQUIRE(run_until(host.loop, [&] { return host.tier->server(1).degraded == 1; }));
  for (int i = 0; i < 20; ++i) {
    const Key key = host.key(fmt::format("/{}", i));
    CHECK(host.store->is_up(key) == (host.tier->place_of(key.hash) == 0));
  }
  CHECK(to_string(SharedMiss::purged) == "purged");
}
