#include "sluice/cache/purge_hub.h"

#include <fmt/format.h>

#include <thread>

#include "hosts.h"
#include "sluice/base/log.h"
#include "sluice/base/log_ring.h"

namespace sluice::cache {
namespace {

using namespace test;
using stats::Counter;

struct Two {
  explicit Two(const PurgeHubOptions& options = quick()) : a(loop, options), b(loop, options) {
    for (Host* host : {&a, &b}) host->connect(server);
    for (Host* host : {&a, &b}) host->await_up();
  }
  RedisServer server;
  loop::Loop loop;
  Host a, b;
};

TEST_CASE("cache/purge_hub: without a tier a purge is in force when it returns") {
  loop::Loop loop;
  Host host(loop);
  host.store("/a");
  host.purge("hard url " + kSite + "/a");
  CHECK(host.standing("/a") == Standing::gone);
  CHECK(host.hub.facts().servers.empty());
}

TEST_CASE("cache/purge_hub: a purge of one host reaches the other by message") {
  Two two(by_message());
  struct Case {
    std::string purge;
    std::vector<std::string> named, others;
  };
  const Case cases[] = {
      {"url " + kSite + "/a", {"/a"}, {"/ab", "/b"}},
      {"prefix " + kSite + "/a", {"/a", "/ab"}, {"/b"}},
      {fmt::format("tag {:016x}", tag_hash("red")), {"/red"}, {"/a", "/b"}},
      {"all", {"/a", "/ab", "/b", "/red"}, {}},
  };
  for (const Case& given : cases) {
    for (const std::string kind : {"soft", "hard"}) {
      const Standing wanted = kind == "soft" ? Standing::stale : Standing::gone;
      CAPTURE(kind);
      CAPTURE(given.purge);
      for (Host* host : {&two.a, &two.b}) {
        for (const char* path : {"/a", "/ab", "/b"}) host->store(path);
        host->store("/red", {"red"});
      }
      two.a.purge(kind + " " + given.purge);
      for (const std::string& path : given.named) {
        CHECK(two.a.standing(path) == wanted);
        CHECK(two.b.becomes(path, wanted));
      }
      for (const std::string& path : given.others) {
        CHECK(two.a.standing(path) == Standing::good);
        CHECK(two.b.standing(path) == Standing::good);
      }
      CHECK(two.a.is_sent());
    }
  }
  CHECK(two.a.count(Counter::shared_purges_sent) == 8);
  CHECK(two.a.count(Counter::shared_purges_received) == 0);
  CHECK(two.b.count(Counter::shared_purges_received) == 8);
  CHECK(two.a.log().now() == two.b.log().now());
  CHECK(two.a.log().now().number == 8);
  CHECK(two.a.flushes() + two.b.flushes() == 0);
}

TEST_CASE("cache/purge_hub: without PUBLISH the others look by themselves") {
  RedisServer server({"--user default on nopass ~* &* +@all -publish"});
  loop::Loop loop;
  Host a(loop), b(loop);
  for (Host* host : {&a, &b}) host->connect(server);
  for (Host* host : {&a, &b}) host->await_up();
  b.store("/a");
  a.purge("hard all");
  CHECK(b.becomes("/a", Standing::gone));
  CHECK(a.is_sent());
  CHECK(b.flushes() == 0);
}

TEST_CASE("cache/purge_hub: many purges of both hosts at once arrive once each") {
  PurgeHubOptions options = quick();
  options.kept = 4096;
  Two two(options);
  for (int i = 0; i < 300; ++i) {
    two.a.purge(fmt::format("hard url {}/a{}", kSite, i));
    two.b.purge(fmt::format("hard url {}/b{}", kSite, i));
    if (i % 7 == 0) two.loop.run_once(false);
  }
  REQUIRE(run_until(two.loop, [&] {
    return two.a.log().now().number == 600 && two.b.log().now().number == 600;
  }));
  CHECK(two.a.is_sent());
  CHECK(two.b.is_sent());
  CHECK(two.a.count(Counter::shared_purges_received) == 300);
  CHECK(two.b.count(Counter::shared_purges_received) == 300);
  CHECK(two.a.in_memory() == 600);
  CHECK(two.a.flushes() + two.b.flushes() == 0);
}

TEST_CASE("cache/purge_hub: unsent_since moves on as acknowledgements come, and ends") {
  Two two;
  CHECK(two.a.unsent_since() == SharedServer::kNone);
  two.a.purge("hard all");
  CHECK(two.a.unsent_since() == 0);
  // Never idle: there is always one more before the last one is acknowledged.
  uint64_t last = 0, count = 0;
  REQUIRE(redis::test::spin_until(two.loop, [&] {
    while (two.a.waiting() < 200) two.a.purge("hard url " + kSite + "/" + std::to_string(++count));
    const uint64_t since = two.a.unsent_since();
    CHECK(since >= last);
    CHECK(since != SharedServer::kNone);
    last = since;
    return since > 1000;
  }));
  CHECK(two.a.is_sent());
  CHECK(two.a.unsent_since() == SharedServer::kNone);
}

TEST_CASE("cache/purge_hub: a purge is acknowledged only when the log has it") {
  Two two;
  const SharedStamp before = two.a.log().now();
  two.b.purge("soft all");
  two.a.purge("hard url " + kSite + "/a");
  CHECK(two.a.unsent_since() == 0);
  REQUIRE(run_until(two.loop, [&] { return two.a.unsent_since() == SharedServer::kNone; }));
  CHECK(two.a.log().standing(before, two.a.log().now(), {}, kSite + "/a") == Standing::gone);
}

TEST_CASE("cache/purge_hub: a hard purge of a URL removes its entry from the server") {
  Two two;
  Hand hand(two.loop, two.server);
  const std::string hard = two.a.tier->entry_key(two.a.memory.key("/hard").hash);
  const std::string soft = two.a.tier->entry_key(two.a.memory.key("/soft").hash);
  for (const std::string& key : {hard, soft}) CHECK(hand.get({"HSET", key, "f", "v"}) == ":1");
  two.a.purge("hard url " + kSite + "/hard");
  two.a.purge("soft url " + kSite + "/soft");
  CHECK(two.a.is_sent());
  CHECK(hand.get({"EXISTS", hard}) == ":0");
  CHECK(hand.get({"EXISTS", soft}) == ":1");
}

TEST_CASE("cache/purge_hub: keys expire, and keep what a server is to keep") {
  Two two;
  Hand hand(two.loop, two.server);
  two.a.purge_many(50, kSite + "/");
  CHECK(two.a.is_sent());
  CHECK(hand.get({"ZCARD", "t:purges"}) == ":16");
  CHECK(hand.get({"ZRANGE", "t:purges", "0", "0"}) == "[\"35 hard url " + kSite + "/34\"]");
  CHECK(hand.get({"HGET", "t:state", "purges"}) == "\"50\"");
  for (const char* key : {"t:state", "t:purges"}) {
    const std::string left = hand.get({"TTL", key});
    CHECK((left == ":604800" || left == ":604799" || left == ":604798"));
  }
}

TEST_CASE("cache/purge_hub: who comes later uses what the record proves, and no more") {
  Two two;
  const std::string named = kSite + "/a";
  two.a.purge_many(19, kSite + "/x");
  two.a.purge("hard url " + named);
  CHECK(two.a.is_sent());
  const SharedStamp state = two.a.log().now();
  REQUIRE(state.number == 20);
  Host late(two.loop);
  late.connect(two.server);
  late.await_up();
  CHECK(late.log().now() == state);
  const auto judge = [&](uint64_t number, const std::string& url) {
    return late.log().standing({state.epoch, number}, state, {}, url);
  };
  CHECK(judge(3, kSite + "/b") == Standing::gone);  // 16 are kept
  CHECK(judge(4, kSite + "/b") == Standing::good);
  CHECK(judge(19, named) == Standing::gone);
  CHECK(judge(20, named) == Standing::good);
  CHECK(late.flushes() == 0);
  CHECK(late.count(Counter::shared_purges_received) == 0);
}

TEST_CASE("cache/purge_hub: a record of many pages is read to its end") {
  PurgeHubOptions options = quick();
  options.kept = 4096;
  Two two(options);
  for (int i = 0; i < 1000; ++i) two.a.purge(fmt::format("hard url {}/{}", kSite, i));
  CHECK(two.a.is_sent());
  Host late(two.loop, options);
  late.connect(two.server);
  late.await_up();
  CHECK(late.log().now() == two.a.log().now());
  const SharedStamp begin{late.log().now().epoch, 0};
  CHECK(late.log().standing(begin, late.log().now(), {}, kSite + "/0") == Standing::gone);
  CHECK(late.log().standing(begin, late.log().now(), {}, kSite + "/1000") == Standing::good);
}

TEST_CASE("cache/purge_hub: a memory tier of before the first contact is emptied") {
  RedisServer server;
  loop::Loop loop;
  Host host(loop);
  host.store("/a");
  host.connect(server);
  CHECK(host.becomes("/a", Standing::gone));
  CHECK(host.count(Counter::cache_flushes_contact) == 1);
}

TEST_CASE("cache/purge_hub: a purge between the start of a host and its first contact counts") {
  RedisServer server;
  loop::Loop loop_a, loop_b;
  Host a(loop_a), b(loop_b);
  a.connect(server);
  a.await_up();
  b.connect(server);
  b.store("/a");
  a.purge("hard url " + kSite + "/a");
  REQUIRE(a.is_sent());
  CHECK(b.becomes("/a", Standing::gone));
}

TEST_CASE("cache/purge_hub: at the end the servers that are there get what waits, and no others") {
  RedisServer one, other;
  loop::Loop loop;
  Host a(loop), b(loop);
  a.connect({one.address(), other.address()});
  b.connect(one);
  for (Host* host : {&a, &b}) host->await_up();
  other.kill();
  REQUIRE(run_until(loop, [&] { return !a.is_up(1); }));
  b.store("/a");
  a.purge("hard url " + kSite + "/a");
  a.hub.finish(seconds(60));
  CHECK(a.waiting(0) == 0);
  CHECK(a.waiting(1) == 1);
  CHECK(b.becomes("/a", Standing::gone));
}

TEST_CASE("cache/purge_hub: the end waits no longer than it may, and tells what is lost") {
  LogRing ring(64 * 1024);
  RedisServer server;
  loop::Loop loop;
  {
    Host host(loop, by_message());
    host.connect(server);
    host.await_up();
    server.signal(SIGSTOP);
    host.purge("hard url " + kSite + "/a");
    host.purge("hard url " + kSite + "/b");
    host.hub.finish(milliseconds(20));
    CHECK(host.waiting() == 2);
    log_attach(&ring);
  }
  log_attach(nullptr);
  server.signal(SIGCONT);
  const LogRing::Spans spans = ring.peek();
  const std::string text = std::string(spans.first).append(spans.second);
  CHECK(text.find("2 purges of this host were never written") != std::string::npos);
  CHECK(text.find("purge it again") != std::string::npos);
}

TEST_CASE("cache/purge_hub: the same server under new settings goes on where it was") {
  Two two;
  two.b.store("/a");
  two.b.store("/b");
  const std::shared_ptr<SharedTier> old = two.b.tier;
  two.b.connect(two.server);
  CHECK_FALSE(old->server(0).log.now().is_known());
  two.a.purge("hard url " + kSite + "/a");
  two.b.await_up();
  CHECK(two.b.becomes("/a", Standing::gone));
  CHECK(two.b.standing("/b") == Standing::good);
  CHECK(two.b.flushes() == 0);
}

TEST_CASE("cache/purge_hub: purges that wait go on waiting under new settings") {
  RedisServer server;
  loop::Loop loop;
  Host a(loop), b(loop);
  b.connect(server);
  b.await_up();
  b.store("/a");
  server.signal(SIGSTOP);
  a.connect(server);
  a.purge("hard url " + kSite + "/a");
  a.connect(server);
  CHECK(a.unsent_since() == 0);
  CHECK(a.waiting() == 1);
  server.signal(SIGCONT);
  CHECK(b.becomes("/a", Standing::gone));
  CHECK(a.is_sent());
}

TEST_CASE("cache/purge_hub: stopped, nothing is sent, heard or used any more") {
  Two two;
  two.a.store("/a");
  two.a.hub.stop();
  CHECK_FALSE(two.a.log().now().is_known());
  CHECK(two.a.hub.facts().servers.empty());
  two.a.purge("hard all");
  two.b.purge("hard url " + kSite + "/x");
  CHECK(two.b.is_sent());
  CHECK(two.b.log().now().number == 1);
  CHECK(two.a.in_memory() == 1);
}

TEST_CASE("cache/purge_hub: threads purge while it is connected and connected again") {
  Two two;
  std::atomic<int> running{3};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      ChunkPool pool;
      for (int i = 0; i < 300; ++i) {
        Arena arena(pool);
        two.a.hub.purge(order_of(fmt::format("hard url {}/{}-{}", kSite, t, i)), arena);
      }
      --running;
    });
  }
  while (running > 0) {
    two.loop.run_once(false);
    if (two.a.is_up()) two.a.connect(two.server);
  }
  for (std::thread& thread : threads) thread.join();
  two.a.await_up();
  CHECK(two.a.is_sent());
  // Some may be there twice.
  REQUIRE(run_until(two.loop, [&] { return two.b.log().now() == two.a.log().now(); }));
  CHECK(two.b.log().now().number >= 900);
  const SharedStamp state = two.b.log().now();
  CHECK(two.a.unsent_since() == SharedServer::kNone);
  Host late(two.loop);
  late.connect(two.server);
  late.await_up();
  CHECK(late.log().now() == state);
}

TEST_CASE("cache/purge_hub: several servers each have every purge") {
  RedisServer one, other;
  loop::Loop loop;
  Host a(loop), b(loop);
  for (Host* host : {&a, &b}) host->connect({one.address(), other.address()});
  for (Host* host : {&a, &b}) host->await_up();
  b.store("/a");
  a.purge("hard url " + kSite + "/a");
  CHECK(b.becomes("/a", Standing::gone));
  CHECK(a.is_sent());
  for (size_t i = 0; i < 2; ++i) {
    REQUIRE(run_until(loop, [&] { return b.log(i).now().number == 1; }));
    CHECK(a.log(i).now().number == 1);
  }
  one.kill();
  REQUIRE(run_until(loop, [&] { return !a.is_up(0); }));
  b.store("/b");
  a.purge("hard url " + kSite + "/b");
  CHECK(b.becomes("/b", Standing::gone));
  REQUIRE(run_until(loop, [&] { return a.waiting(1) == 0; }));
  CHECK(a.waiting(0) == 1);
  CHECK(a.unsent_since(0) != SharedServer::kNone);
  CHECK(a.unsent_since(1) == SharedServer::kNone);
  one.start();
  CHECK(a.is_sent());
}

TEST_CASE("cache/purge_hub: the status of a server") {
  RedisServer server({"--requirepass", "secret", "--maxmemory", "0"});
  loop::Loop loop;
  Host host(loop);
  redis::Address address = server.address();
  address.password = "secret";
  host.connect({address});
  SharedServerFacts facts = host.hub.facts().servers.at(0);
  CHECK_FALSE(facts.is_up);
  CHECK_FALSE(facts.is_epoch_known);
  host.await_up();
  host.tier->server(0).degraded.store(2);
  REQUIRE(run_until(loop, [&] { return !host.hub.facts().servers.at(0).warning.empty(); }));
  facts = host.hub.facts().servers.at(0);
  CHECK(facts.is_epoch_known);
  CHECK(facts.address == "unix:" + server.socket());
  CHECK(facts.degraded_workers == 2);
  CHECK(facts.warning.starts_with("it has no maxmemory"));
  host.purge("hard all");
  CHECK(host.is_sent());
  CHECK(host.hub.facts().servers.at(0).purges_sent == 1);
  server.kill();
  REQUIRE(run_until(loop, [&] { return !host.is_up(); }));
  facts = host.hub.facts().servers.at(0);
  CHECK(facts.last_error.find(server.socket()) != std::string::npos);
  CHECK(facts.last_error.find("secret") == std::string::npos);
}

}  // namespace
}  // namespace sluice::cache
