// What the hub makes of servers that fail, forget, or hold what is none of ours.
#include "hosts.h"

namespace sluice::cache {
namespace {

using namespace test;
using stats::Counter;

// B has a user of its own, so that it alone can be cut off.
struct Cut {
  Cut() : server({"--user default on nopass ~* &* +@all", "--user bob on nopass ~* &* +@all"}) {
    a.connect(server);
    redis::Address address = server.address();
    address.user = "bob";
    address.password = "x";
    b.connect({address});
    for (Host* host : {&a, &b}) host->await_up();
  }
  void cut() {
    CHECK(hand.get({"ACL", "SETUSER", "bob", "off"}) == "+OK");
    hand.get({"CLIENT", "KILL", "USER", "bob"});
    REQUIRE(run_until(loop, [&] {
      const SharedServerFacts facts = b.hub.facts().servers.at(0);
      return !facts.is_up && !facts.is_subscribed;
    }));
  }
  void mend() {
    CHECK(hand.get({"ACL", "SETUSER", "bob", "on"}) == "+OK");
    b.await_up();
  }
  RedisServer server;
  loop::Loop loop;
  Host a{loop}, b{loop};
  Hand hand{loop, server};
};

struct Pair {
  explicit Pair(const PurgeHubOptions& options = quick()) : a(loop, options), b(loop, options) {
    for (Host* host : {&a, &b}) host->connect(server);
    for (Host* host : {&a, &b}) host->await_up();
  }
  // A new epoch that both agree on.
  void await_epoch_after(const SharedStamp& old) {
    REQUIRE(run_until(loop, [&] {
      const SharedStamp now = a.log().now();
      return now.is_known() && now.epoch != old.epoch && b.log().now().epoch == now.epoch;
    }));
  }
  // They still tell each other.
  void check_well() {
    b.store("/well");
    a.purge("hard url " + kSite + "/well");
    CHECK(b.becomes("/well", Standing::gone));
    CHECK(a.is_sent());
    for (Host* host : {&a, &b}) host->await_up();
  }
  RedisServer server;
  loop::Loop loop;
  Host a, b;
  Hand hand{loop, server};
};

TEST_CASE("cache/purge_hub: what was purged while the subscription was lost comes after it") {
  Pair pair;
  pair.b.store("/a");
  pair.b.store("/b");
  CHECK(pair.hand.get({"CLIENT", "KILL", "TYPE", "pubsub"}) == ":2");
  pair.a.purge("hard url " + kSite + "/a");
  CHECK(pair.b.becomes("/a", Standing::gone));
  pair.b.await_up();
  CHECK(pair.b.standing("/b") == Standing::good);
  CHECK(pair.b.flushes() == 0);
}

TEST_CASE("cache/purge_hub: what was purged while a host was cut off comes when it is back") {
  Cut bed;
  bed.b.store("/a");
  bed.b.store("/b");
  bed.cut();
  bed.a.purge_many(15, kSite + "/x");
  bed.a.purge("hard url " + kSite + "/a");
  CHECK(bed.a.is_sent());
  CHECK(bed.b.standing("/a") == Standing::good);
  bed.mend();
  CHECK(bed.b.standing("/a") == Standing::gone);
  CHECK(bed.b.standing("/b") == Standing::good);
  CHECK(bed.b.flushes() == 0);
  CHECK(bed.b.count(Counter::shared_purges_received) == 16);
}

TEST_CASE("cache/purge_hub: more purges than are on record empty the memory tier") {
  Cut bed;
  bed.b.store("/b");
  const SharedStamp before = bed.b.log().now();
  bed.cut();
  bed.a.purge_many(17, kSite + "/a");
  CHECK(bed.a.is_sent());
  bed.mend();
  CHECK(bed.b.standing("/b") == Standing::gone);
  CHECK(bed.b.count(Counter::cache_flushes_gap) == 1);
  CHECK(bed.b.flushes() == 1);
  const SharedStamp now = bed.b.log().now();
  CHECK(now == bed.a.log().now());
  CHECK(bed.b.log().standing(before, now, {}, kSite + "/c") == Standing::gone);
  CHECK(bed.b.log().standing({now.epoch, 1}, now, {}, kSite + "/c") == Standing::good);
}

TEST_CASE("cache/purge_hub: who is cut off from all servers marks memory stale, again and again") {
  RedisServer one, other;
  loop::Loop loop;
  PurgeHubOptions options = quick();
  options.cut_off = milliseconds(300);
  Host host(loop, options);
  const auto marked = [&] { return host.count(Counter::cache_flushes_cut_off); };
  host.connect({one.address(), other.address()});
  host.await_up();
  host.store("/a");
  one.kill();
  REQUIRE(run_until(loop, [&] { return !host.is_up(0); }));
  // The other server has every purge.
  const TimePoint end = loop.now() + 2 * options.cut_off;
  REQUIRE(run_until(loop, [&] { return loop.now() > end; }));
  CHECK(host.standing("/a") == Standing::good);
  CHECK(marked() == 0);
  other.kill();
  CHECK(host.becomes("/a", Standing::stale));
  CHECK(marked() == 1);
  host.store("/b");
  CHECK(host.standing("/b") == Standing::good);
  CHECK(host.becomes("/b", Standing::stale));
  CHECK(marked() == 2);
  for (RedisServer* server : {&one, &other}) server->start();
  host.await_up();
  const uint64_t before = marked();
  host.store("/c");
  const TimePoint then = loop.now() + 2 * options.cut_off;
  REQUIRE(run_until(loop, [&] { return loop.now() > then; }));
  CHECK(host.standing("/c") == Standing::good);
  CHECK(marked() == before);
}

TEST_CASE("cache/purge_hub: who never met a server is cut off from the start") {
  RedisServer server;
  server.kill();
  loop::Loop loop;
  PurgeHubOptions options = quick();
  options.cut_off = milliseconds(100);
  Host host(loop, options);
  host.store("/a");
  host.connect(server);
  host.connect(server);  // new settings do not put it off
  CHECK(host.becomes("/a", Standing::stale));
  host.hub.stop();
  const uint64_t before = host.count(Counter::cache_flushes_cut_off);
  const TimePoint then = loop.now() + 2 * options.cut_off;
  redis::test::spin_until(loop, [&] { return loop.now() > then; });
  CHECK(host.count(Counter::cache_flushes_cut_off) == before);
}

TEST_CASE("cache/purge_hub: a server that lost everything gets what waited, in a new epoch") {
  Pair pair;
  const SharedStamp old = pair.b.log().now();
  pair.b.store("/a");
  pair.server.kill();
  REQUIRE(run_until(pair.loop, [&] { return !pair.a.is_up() && !pair.b.is_up(); }));
  pair.a.purge("hard url " + kSite + "/a");
  CHECK(pair.a.waiting() == 1);
  CHECK(pair.a.unsent_since() == 0);
  CHECK(pair.b.standing("/a") == Standing::good);
  pair.server.start();
  pair.await_epoch_after(old);
  CHECK(pair.b.becomes("/a", Standing::gone));
  CHECK(pair.a.is_sent());
  REQUIRE(run_until(pair.loop, [&] { return pair.b.log().now().number == 1; }));
  CHECK(pair.b.log().standing(old, pair.b.log().now(), {}, kSite + "/b") == Standing::gone);
  CHECK(pair.b.count(Counter::cache_flushes_epoch) == 1);
  pair.check_well();
}

TEST_CASE("cache/purge_hub: a server that stands still for a while") {
  Pair pair;
  pair.b.store("/a");
  pair.b.store("/b");
  pair.server.signal(SIGSTOP);
  pair.a.purge("hard url " + kSite + "/a");
  REQUIRE(run_until(pair.loop, [&] {
    return pair.a.count(Counter::shared_purges_failed) > 0 && !pair.b.is_up();
  }));
  CHECK(pair.a.waiting() == 1);
  pair.server.signal(SIGCONT);
  CHECK(pair.b.becomes("/a", Standing::gone));
  CHECK(pair.b.standing("/b") == Standing::good);
  CHECK(pair.a.is_sent());
  CHECK(pair.a.flushes() + pair.b.flushes() == 0);
  pair.check_well();
}

TEST_CASE("cache/purge_hub: a lost state begins a new epoch for all") {
  struct Case {
    const char* name;
    std::vector<std::vector<std::string>> commands;
  };
  const Case cases[] = {
      {"FLUSHALL", {{"FLUSHALL"}}},
      {"DEL of the state", {{"DEL", "t:state"}}},
      {"another type", {{"DEL", "t:state"}, {"SET", "t:state", "x"}}},
      {"no epoch", {{"HDEL", "t:state", "epoch"}}},
      {"a bad epoch", {{"HSET", "t:state", "epoch", "-5"}}},
      {"an epoch too large", {{"HSET", "t:state", "epoch", "99999999999999999999"}}},
      {"a bad number", {{"HSET", "t:state", "purges", "1.5"}}},
      {"a number too large", {{"HSET", "t:state", "purges", "9999999999999999"}}},
      {"back to an older number", {{"HSET", "t:state", "purges", "1"}}},
  };
  Pair pair;
  for (const Case& given : cases) {
    CAPTURE(given.name);
    pair.a.purge_many(3, kSite + "/x");
    CHECK(pair.a.is_sent());
    REQUIRE(run_until(pair.loop, [&] { return pair.a.log().now() == pair.b.log().now(); }));
    const SharedStamp old = pair.a.log().now();
    const uint64_t flushes = pair.b.count(Counter::cache_flushes_epoch);
    pair.b.store("/b");
    for (const auto& words : given.commands) {
      std::vector<redis::Arg> args(words.begin(), words.end());
      pair.hand.ask.ends = 0;
      pair.hand.client.command(args, redis::Intent::kWrite, pair.loop.now() + seconds(20),
                               pair.hand.ask);
      REQUIRE(pair.hand.ask.wait());
      REQUIRE_FALSE(pair.hand.ask.fault);
    }
    pair.await_epoch_after(old);
    CHECK(pair.b.standing("/b") == Standing::gone);
    CHECK(pair.b.count(Counter::cache_flushes_epoch) == flushes + 1);
    CHECK(pair.b.log().standing(old, pair.b.log().now(), {}, kSite + "/c") == Standing::gone);
    pair.check_well();
  }
}

TEST_CASE("cache/purge_hub: nonsense in the record of purges is no purge") {
  Cut bed;
  bed.b.store("/b");
  bed.cut();
  SUBCASE("beside the true ones it does no harm") {
    CHECK(bed.hand.get({"ZADD", "t:purges", "-inf", "x", "0", "", "1", "1 hard nothing", "inf",
                        "7 hard all", "5", "999 soft all"}) == ":5");
    bed.mend();
    CHECK(bed.b.flushes() == 0);
    CHECK(bed.b.count(Counter::shared_purges_broken) > 0);
    CHECK(bed.b.standing("/b") == Standing::good);
  }
  SUBCASE("in place of one it is a gap") {
    bed.a.purge("hard url " + kSite + "/x");
    CHECK(bed.a.is_sent());
    CHECK(bed.hand.get({"DEL", "t:purges"}) == ":1");
    CHECK(bed.hand.get({"ZADD", "t:purges", "1", "1 hard nothing"}) == ":1");
    bed.mend();
    CHECK(bed.b.count(Counter::cache_flushes_gap) == 1);
    CHECK(bed.b.standing("/b") == Standing::gone);
  }
  SUBCASE("so many that none of ours is seen") {
    bed.a.purge("hard url " + kSite + "/x");
    CHECK(bed.a.is_sent());
    for (int i = 0; i < 300; ++i) {
      CHECK(bed.hand.get({"ZADD", "t:purges", "0.5", "x" + std::to_string(i)}) == ":1");
    }
    bed.mend();
    CHECK(bed.b.count(Counter::cache_flushes_gap) == 1);
  }
  SUBCASE("of another type") {
    bed.a.purge("hard url " + kSite + "/x");
    CHECK(bed.a.is_sent());
    CHECK(bed.hand.get({"SET", "t:purges", "x"}) == "+OK");
    bed.mend();
    CHECK(bed.b.count(Counter::cache_flushes_gap) == 1);
  }
  SUBCASE("of any length") {
    bed.a.purge("hard url " + kSite + "/x");
    CHECK(bed.a.is_sent());
    CHECK(bed.hand.get({"ZADD", "t:purges", "1", std::string(3 << 20, 'x')}) == ":1");
    bed.mend();
    CHECK(bed.b.flushes() == 0);
    CHECK(bed.b.standing("/b") == Standing::good);
  }
  // And the next purge finds its way.
  bed.b.store("/c");
  bed.a.purge("hard url " + kSite + "/c");
  CHECK(bed.b.becomes("/c", Standing::gone));
  CHECK(bed.a.is_sent());
  CHECK(bed.a.log().now() == bed.b.log().now());
}

TEST_CASE("cache/purge_hub: nonsense on the channel is counted, and answered by a look") {
  Pair pair;
  pair.b.store("/b");
  const std::string epoch = std::to_string(pair.b.log().now().epoch);
  pair.a.purge("hard url " + kSite + "/x");
  REQUIRE(run_until(pair.loop, [&] { return pair.b.log().now().number == 1; }));
  for (const std::string& payload :
       {std::string(), std::string("x"), epoch + " 2", epoch + " 2 hard", epoch + " 0 hard all",
        std::string("5 1 hard all"), epoch + " 1 hard all", epoch + " 99 hard all",
        std::string(100'000, '7')}) {
    CHECK(pair.hand.get({"PUBLISH", "t:news", payload}) == ":2");
  }
  REQUIRE(run_until(pair.loop, [&] { return pair.b.count(Counter::shared_purges_broken) == 6; }));
  CHECK(pair.b.standing("/b") == Standing::good);
  CHECK(pair.b.log().now().number == 1);
  CHECK(pair.b.flushes() == 0);
  CHECK(pair.hand.get({"PUBLISH", "t:news", std::string(3 << 20, 'x')}) == ":2");
  REQUIRE(run_until(pair.loop, [&] { return !pair.b.is_up(); }));
  pair.check_well();
  CHECK(pair.b.flushes() == 0);
}

TEST_CASE("cache/purge_hub: a purge that nobody numbered so is undone by a new epoch") {
  Pair pair;
  const SharedStamp old = pair.b.log().now();
  CHECK(pair.hand.get({"PUBLISH", "t:news", std::to_string(old.epoch) + " 1 soft all"}) == ":2");
  pair.await_epoch_after(old);
  pair.check_well();
}

TEST_CASE("cache/purge_hub: too many purges that wait become one of everything") {
  PurgeHubOptions options = quick();
  options.most_waiting = 10;
  Pair pair(options);
  pair.server.signal(SIGSTOP);
  pair.b.store("/b");
  pair.a.purge_many(30, kSite + "/x");
  CHECK(pair.a.waiting() <= 10);
  CHECK(pair.a.unsent_since() == 0);
  CHECK(pair.a.in_memory() == 30);
  pair.server.signal(SIGCONT);
  CHECK(pair.b.becomes("/b", Standing::gone));
  CHECK(pair.a.is_sent());
  CHECK(pair.a.unsent_since() == SharedServer::kNone);
  CHECK(pair.b.flushes() == 0);
}

TEST_CASE("cache/purge_hub: a server over its maxmemory takes purges all the same") {
  Pair pair;
  pair.hand.get({"CONFIG", "SET", "maxmemory", "1", "maxmemory-policy", "noeviction"});
  CHECK(pair.hand.get({"SET", "k", "v"}) == "-oom");
  pair.check_well();
  const SharedStamp old = pair.a.log().now();
  CHECK(pair.hand.get({"DEL", "t:state"}) == ":1");
  pair.await_epoch_after(old);
  pair.check_well();
}

TEST_CASE("cache/purge_hub: what the server forbids stands in the status, and is tried again") {
  Cut bed;
  bed.a.store("/a");
  CHECK(bed.hand.get({"ACL", "SETUSER", "bob", "-zadd"}) == "+OK");
  bed.b.purge("hard url " + kSite + "/a");
  REQUIRE(run_until(bed.loop, [&] { return bed.b.count(Counter::shared_purges_failed) > 1; }));
  SharedServerFacts facts = bed.b.hub.facts().servers.at(0);
  CHECK_FALSE(facts.is_up);
  CHECK(facts.purges_waiting == 1);
  CHECK(facts.last_error.find("can't run this command") != std::string::npos);
  CHECK(bed.hand.get({"ACL", "SETUSER", "bob", "+zadd"}) == "+OK");
  CHECK(bed.a.becomes("/a", Standing::gone));
  CHECK(bed.b.is_sent());
  bed.b.await_up();
}

TEST_CASE("cache/purge_hub: who may not subscribe looks often instead") {
  RedisServer server({"--user default on nopass ~* resetchannels +@all"});
  loop::Loop loop;
  Host a(loop), b(loop);
  for (Host* host : {&a, &b}) host->connect(server);
  REQUIRE(run_until(loop, [&] {
    const SharedServerFacts facts = b.hub.facts().servers.at(0);
    return facts.is_up && facts.last_error.find("NOPERM") != std::string::npos;
  }));
  CHECK_FALSE(b.hub.facts().servers.at(0).is_subscribed);
  b.store("/a");
  REQUIRE(run_until(loop, [&] { return a.hub.facts().servers.at(0).is_up; }));
  a.purge("hard url " + kSite + "/a");
  CHECK(b.becomes("/a", Standing::gone));
  CHECK(a.is_sent());
}

TEST_CASE("cache/purge_hub: a user who may only do what it takes") {
  RedisServer server(
      {"--user default on nopass ~t:* &t:* -@all +eval +evalsha +script|load +type +hmget +hset "
       "+unlink +expire +zadd +zrangebyscore +zremrangebyscore +zremrangebyrank +publish "
       "+subscribe +ping"});
  loop::Loop loop;
  Host a(loop), b(loop);
  for (Host* host : {&a, &b}) host->connect(server);
  for (Host* host : {&a, &b}) host->await_up();
  b.store("/a");
  a.purge("hard url " + kSite + "/a");
  CHECK(b.becomes("/a", Standing::gone));
  CHECK(a.is_sent());
  CHECK(a.hub.facts().servers.at(0).warning.empty());
}

}  // namespace
}  // namespace sluice::cache
