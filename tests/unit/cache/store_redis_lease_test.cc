// Leases between two hosts; and every way in which a look, the store and its owner may end.
#include "shared_hosts.h"
#include "sluice/cache/entry_codec.h"

using namespace sluice;
using namespace sluice::cache;
using namespace sluice::cache::test;
using namespace sluice::cache::test::worker;

namespace {

struct TwoHosts {
  explicit TwoHosts(const Server& server, Duration lease_wait) : one(server) {
    SharedSettings settings = settings_for({server.address()});
    settings.lease_wait = lease_wait;
    two.emplace(settings);
    two->await_up();
  }
  bool both_until(const std::function<bool()>& is_done) {
    return spin_until(two->loop, [&] {
      one.loop.run_once(false);
      return is_done();
    });
  }
  // Lets `looker` of the second host find that the first one has the lease.
  void let_wait(Looker& looker, const Key& key) {
    looker.look(*two->store, {key, Host::none.list()});
    REQUIRE(both_until([&] { return two->count(Counter::cache_redis_leases_waited) == 1; }));
  }
  Host one;
  std::optional<Host> two;
};

std::string bulk(std::string_view text) { return fmt::format("${}\r\n{}\r\n", text.size(), text); }
const std::string kStateReply = "*2\r\n" + bulk("77") + bulk("5"), kNothing = "*0\r\n";
const std::string kAbsent = kStateReply + kNothing, kNil = "$-1\r\n", kOk = "+OK\r\n";

// A host whose server says what the test wants.
struct Scripted {
  Scripted() {
    SharedSettings settings = settings_for({fake.address()});
    settings.timeout = seconds(15);
    settings.lease_wait = seconds(15);
    host.emplace(settings);
    fake.greet(host->loop);
    await("SCRIPT");
    fake.send(bulk(std::string(40, 'a')));
    host->await_up();
  }
  void await(std::string_view text) {
    REQUIRE(spin_until(host->loop, [&] { return fake.has(text); }));
    fake.received.clear();
  }
  void await_end(const Looker& looker) {
    REQUIRE(spin_until(host->loop, [&] { return looker.ends == 1; }));
  }
  void begin(Looker& looker) { looker.look(*host->store, {host->key("/"), Host::none.list()}); }
  void look(Looker& looker) {
    begin(looker);
    await("HGETALL");
  }
  // Up to where it asks for the lease.
  void look_for_lease(Looker& looker) {
    look(looker);
    fake.send(kAbsent);
    await("NX");
  }
  void take_lease(Looker& looker) {
    look_for_lease(looker);
    fake.send(kOk);
    await_end(looker);
    CHECK(looker.result.has_lease);
  }
  std::string index() {
    Made made;
    made.body = bytes_of(600'000);
    std::string record;
    REQUIRE(encode_entry(*host->make(host->key("/"), made), {kStart, seconds(30), 9}, record));
    return "*2\r\n" + bulk("-") + bulk(record);
  }

  Fake fake;
  std::optional<Host> host;
};

}  // namespace

// Leases ------------------------------------------------------------------------------------------

TEST_CASE("cache/store_redis: one host has the lease; another waits for what it writes") {
  Server server;
  TwoHosts hosts(server, seconds(15));
  const Key key = hosts.one.key("/");
  Looker first, second;
  hosts.one.look(first, key);
  REQUIRE(first.result.has_lease);
  const std::string lease = server.name(key) + ":l";
  const int64_t ttl = std::stoll(server.say({"PTTL", lease}).substr(1));
  CHECK(ttl > 0);
  CHECK(ttl <= 10'000);
  hosts.let_wait(second, key);
  Made made;
  made.body = bytes_of(2 << 20);
  hosts.one.store->put(hosts.one.make(key, made), first.result.stamp, seconds(30));
  first.release();
  REQUIRE(hosts.both_until([&] { return second.ends == 1; }));
  CHECK(second.body() == made.body);
  CHECK(second.result.is_enough);
  CHECK_FALSE(second.result.has_lease);
  CHECK_FALSE(second.result.is_fetched_elsewhere);
  CHECK(hosts.one.count(Counter::cache_redis_leases_taken) == 1);
  CHECK(hosts.two->count(Counter::cache_redis_leases_taken) == 0);
  REQUIRE(hosts.both_until([&] { return server.say({"EXISTS", lease}) == ":0"; }));
}

TEST_CASE("cache/store_redis: a lease that was given back without an entry goes to who waits") {
  Server server;
  TwoHosts hosts(server, seconds(15));
  const Key key = hosts.one.key("/");
  auto first = std::make_unique<Looker>();
  Looker second;
  hosts.one.look(*first, key);
  hosts.let_wait(second, key);
  first.reset();
  REQUIRE(hosts.both_until([&] { return second.ends == 1; }));
  CHECK(second.result.has_lease);
  CHECK(second.result.why == SharedMiss::absent);
  CHECK_FALSE(second.result.is_fetched_elsewhere);
}

TEST_CASE("cache/store_redis: who waits for the lease of another goes when the time is over") {
  Server server;
  TwoHosts hosts(server, milliseconds(30));
  const Key key = hosts.one.key("/");
  Looker first, second, third;
  hosts.one.look(first, key);
  const TimePoint before = monotonic_now();
  hosts.two->look(second, key);
  CHECK(monotonic_now() - before >= milliseconds(30));
  CHECK(second.result.is_fetched_elsewhere);
  CHECK_FALSE(second.result.has_lease);
  CHECK(second.result.stamp == kStart);
  third.look(*hosts.two->store, {key, Host::none.list(), false});
  REQUIRE(run_until(hosts.two->loop, [&] { return third.ends == 1; }));
  CHECK(third.result.is_fetched_elsewhere);
  CHECK(hosts.two->count(Counter::cache_redis_leases_waited) == 1);
}

TEST_CASE("cache/store_redis: a lease that is another's by now is not deleted") {
  Server server;
  Host host(server);
  const Key key = host.key("/");
  const std::string lease = server.name(key) + ":l";
  Looker looker, other;
  host.look(looker, key);
  server.say({"SET", lease, "another"});
  looker.release();
  looker.release();
  host.look(other, host.key("/other"));  // asked behind it
  CHECK(server.say({"GET", lease}) == "\"another\"");
  server.say({"DEL", lease});
  host.look(looker, key);
  CHECK(looker.result.has_lease);
  host.look(looker, host.key("/b"));  // gives the first one back
  CHECK(looker.result.has_lease);
  CHECK(server.say({"EXISTS", lease}) == ":0");
}

TEST_CASE("cache/store_redis: the stale entry of who waits is dropped when a purge hits it") {
  Server server;
  TwoHosts hosts(server, seconds(15));
  const Key key = hosts.one.key("/");
  hosts.one.put(hosts.one.make(key));
  Looker first, second;
  first.would_do = second.would_do = [](const Entry&) { return false; };
  hosts.one.look(first, key);
  CHECK(first.body() == "hello");
  hosts.let_wait(second, key);
  hosts.two->server().log.apply(order_of("hard all"));
  server.say({"HSET", "sluice:state", "purges", "6"});
  first.release();
  REQUIRE(hosts.both_until([&] { return second.ends == 1; }));
  CHECK(second.result.has_lease);
  CHECK_FALSE(second.result.entry);
  CHECK(second.result.why == SharedMiss::purged);
  CHECK(second.result.stamp == SharedStamp{77, 6});
}

TEST_CASE("cache/store_redis: a lease that cannot be had does not hold anybody up") {
  Scripted bed;
  Looker looker;
  bed.look_for_lease(looker);
  bed.fake.send("-NOPERM no\r\n");
  bed.await_end(looker);
  CHECK(looker.result.why == SharedMiss::absent);
  CHECK(looker.result.stamp == kStart);
  CHECK_FALSE(looker.result.has_lease);
  CHECK_FALSE(looker.result.is_fetched_elsewhere);
  bed.await("EVAL");  // what may have been granted is given back
}

// Ends --------------------------------------------------------------------------------------------

TEST_CASE("cache/store_redis: a look may be cancelled at every stage, and asked again") {
  Scripted bed;
  Looker looker;
  bed.look(looker);  // asking
  looker.cancel();
  CHECK_FALSE(looker.is_pending());
  bed.fake.send(kAbsent);

  bed.look(looker);
  bed.fake.send(kStateReply + bed.index());
  bed.await(":2\r\n");  // the body
  looker.cancel();
  bed.fake.send(kNil + kNil + kNil);

  bed.look_for_lease(looker);
  looker.cancel();
  bed.await("EVAL");  // what may have been granted is given back
  bed.fake.send(kOk + ":1\r\n");

  bed.look_for_lease(looker);
  bed.fake.send(kNil);
  bed.await("HGETALL");  // after a pause, for the lease as well
  bed.fake.send(kNil + kAbsent);
  bed.await("HGETALL");  // and again
  bed.fake.send(kOk + kStateReply);
  settle(bed.host->loop);
  looker.cancel();
  bed.await("EVAL");
  bed.fake.send(kNothing + ":1\r\n");
  CHECK(looker.ends == 0);
  bed.take_lease(looker);
}

TEST_CASE("cache/store_redis: replies of another kind than asked for are misses") {
  Scripted bed;
  for (const std::string reply :
       {"+OK\r\n", ":1\r\n", "$-1\r\n", "$2\r\nxx\r\n", "*1\r\n:1\r\n", "*3\r\n:1\r\n:2\r\n:3\r\n",
        "*2\r\n*1\r\n:1\r\n*0\r\n", "*2\r\n$-1\r\n$-1\r\n", "-ERR x\r\n", "*0\r\n"}) {
    for (const std::string& state : {reply, kStateReply}) {
      Looker looker;
      bed.look(looker);
      bed.fake.send(state + reply);
      REQUIRE(spin_until(bed.host->loop, [&] { return looker.ends == 1 || bed.fake.has("NX"); }));
      if (bed.fake.has("HDEL")) bed.fake.send(":1\r\n");
      if (looker.ends == 0) bed.fake.send(kNil);
      looker.cancel();
      if (spin_until(bed.host->loop, [&] { return looker.ends == 1 || bed.fake.has("EVAL"); }) &&
          bed.fake.has("EVAL")) {
        bed.fake.send(":0\r\n");
      }
      settle(bed.host->loop);
      bed.fake.received.clear();
      CHECK_FALSE(looker.result.entry);
    }
  }
  CHECK(bed.host->store->is_up(bed.host->key("/")));
}

TEST_CASE("cache/store_redis: stopping ends everything by the end of the turn") {
  Scripted bed;
  Host& host = *bed.host;
  Looker waiting, leasing, body, asking, idle, leased, again;
  bed.take_lease(leased);
  bed.look_for_lease(waiting);
  bed.fake.send(kNil);
  bed.await("HGETALL");
  bed.fake.send(kNil + kAbsent);
  bed.begin(leasing);
  bed.begin(body);
  settle(host.loop);
  bed.fake.send(kAbsent + kStateReply + bed.index());
  bed.await(":2\r\n");
  bed.begin(asking);
  Made made;
  made.body = bytes_of(600'000);
  host.store->put(host.make(host.key("/"), made), kStart, seconds(30));
  host.store->put(host.make(host.key("/b")), kStart, seconds(30));
  settle(host.loop);
  asking.when_ended = [&] { bed.begin(again); };
  host.store->stop();
  for (Looker* looker : {&waiting, &leasing, &body, &asking}) {
    CHECK(looker->ends == 0);
    CHECK(looker->is_pending());
  }
  settle(host.loop);
  for (Looker* looker : {&waiting, &leasing, &body, &asking, &again}) {
    CHECK(looker->ends == 1);
    CHECK_FALSE(looker->result.has_lease);
  }
  CHECK(asking.result.why == SharedMiss::away);
  CHECK(body.result.why == SharedMiss::away);
  CHECK(host.server().degraded == 0);
  host.store->stop();
  bed.begin(idle);
  CHECK(idle.ends == 0);
  settle(host.loop);
  CHECK(idle.result.why == SharedMiss::away);
  leased.release();
  host.store.reset();
}

TEST_CASE("cache/store_redis: destroyed before those who look, and they before it") {
  for (const bool is_stopped : {false, true}) {
    Scripted bed;
    Host& host = *bed.host;
    Looker leased, held, asking;
    auto leasing = std::make_unique<Looker>(), body = std::make_unique<Looker>();
    bed.take_lease(leased);
    bed.take_lease(held);
    bed.look_for_lease(*leasing);
    leasing.reset();
    bed.look(*body);
    bed.fake.send(kNil + ":0\r\n" + kStateReply + bed.index());
    bed.await(":2\r\n");
    body.reset();
    bed.look(asking);
    host.store->put(host.make(host.key("/b")), kStart, seconds(30));
    leased.release();  // an errand under way
    settle(host.loop);
    if (is_stopped) host.store->stop();
    host.store.reset();
    CHECK_FALSE(asking.is_pending());
    CHECK(asking.ends == 0);
    settle(host.loop);
    held.release();
    asking.cancel();
  }
}

TEST_CASE("cache/store_redis: inside the end of a look anything may be asked for") {
  Server server;
  Host host(server);
  const Key key = host.key("/");
  Looker looker, other;
  looker.when_ended = [&] {
    other.cancel();
    host.store->put(host.make(key), looker.result.stamp, seconds(30));
    looker.release();
    if (looker.ends < 3) looker.look(*host.store, {key, Host::none.list()});
    if (looker.ends == 3) host.store->stop();
  };
  looker.look(*host.store, {key, Host::none.list()});
  other.look(*host.store, {key, Host::none.list()});
  REQUIRE(run_until(host.loop, [&] { return looker.ends == 3; }));
  CHECK(looker.body() == "hello");
  CHECK(other.ends == 0);
}
