// What may become of the Redis behind a loaded sluice: it dies, freezes, is full, slow, emptied,
// restored, says no. No client may see anything of it, and hits come from there again afterwards.
#include "tests/e2e/harness/shared.h"

using namespace e2e;

namespace {

const std::string kFresh = "Cache-Control: max-age=600\r\n";

// How often the entries of a path were asked of the origin is in the body.
Answers counting() {
  auto count = std::make_shared<std::atomic<int>>(0);
  return [=](const Message& request) {
    if (request.method != "GET") return answer(200, "done");
    return answer(200, "v" + std::to_string(++*count), kFresh);
  };
}

void post(Sluice& sluice, const std::string& path) {
  CHECK(ask(sluice, path, "Content-Length: 0\r\n", "POST").status == 200);
}

// A user "edge" that may do what the rules say.
void set_user(Redis& redis, const std::vector<std::string>& rules) {
  std::vector<std::string> words = {"ACL", "SETUSER", "edge", "reset", "on"};
  words.insert(words.end(), rules.begin(), rules.end());
  REQUIRE(redis.ask(words) == "OK");
}

}  // namespace

// Away --------------------------------------------------------------------------------------------

TEST_CASE("e2e/redis_fault: killed and started again, empty") {
  Redis redis;
  Traffic traffic(redis);
  traffic.begin();
  traffic.wait_for_redis_hits();
  for (int i = 0; i < 3; ++i) {
    redis.kill();
    traffic.hold(milliseconds(700));
    redis.start();
    traffic.wait_for_redis_hits();
  }
  traffic.expect_unharmed();
}

TEST_CASE("e2e/redis_fault: it is not there when sluice starts") {
  Redis redis;
  redis.kill();
  Traffic traffic(redis);
  traffic.begin();
  traffic.visitors->wait_for_more(500);
  CHECK(redis_looks(traffic.sluice, "hit") == 0);
  redis.start();
  traffic.wait_for_redis_hits();
  traffic.expect_unharmed();
}

TEST_CASE("e2e/redis_fault: frozen for two seconds") {
  Redis redis;
  Traffic traffic(redis);
  traffic.begin();
  traffic.wait_for_redis_hits();
  for (int i = 0; i < 2; ++i) {
    redis.freeze();
    traffic.hold(seconds(2));
    redis.thaw();
    traffic.wait_for_redis_hits();
  }
  traffic.expect_unharmed();
}

TEST_CASE("e2e/redis_fault: frozen for moments, over and over") {
  Redis redis;
  Traffic traffic(redis);
  traffic.begin();
  traffic.wait_for_redis_hits();
  for (int i = 0; i < 30; ++i) {
    redis.freeze();
    traffic.hold(milliseconds(30));
    redis.thaw();
    traffic.hold(milliseconds(30));
  }
  traffic.wait_for_redis_hits();
  traffic.expect_unharmed();
}

TEST_CASE("e2e/redis_fault: paused by an operator, several times") {
  Redis redis;
  Traffic traffic(redis);
  traffic.begin();
  traffic.wait_for_redis_hits();
  for (int i = 0; i < 4; ++i) {
    CHECK(redis.ask({"CLIENT", "PAUSE", "500", "ALL"}) == "OK");
    traffic.hold(milliseconds(700));
  }
  traffic.wait_for_redis_hits();
  traffic.expect_unharmed();
}

TEST_CASE("e2e/redis_fault: all its connections are cut, over and over") {
  Redis redis;
  Traffic traffic(redis);
  traffic.begin();
  traffic.wait_for_redis_hits();
  for (int i = 0; i < 20; ++i) {
    redis.ask({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
    redis.ask({"CLIENT", "KILL", "TYPE", "pubsub"});
    traffic.hold(milliseconds(50));
  }
  traffic.wait_for_redis_hits();
  traffic.expect_unharmed();
}

TEST_CASE("e2e/redis_fault: busy with a script of somebody else") {
  Redis redis({"--busy-reply-threshold", "20"});
  Traffic traffic(redis);
  traffic.begin();
  traffic.wait_for_redis_hits();
  redis.ask({"EVAL",
             "local t = redis.call('TIME')[1] + 2 "
             "while tonumber(redis.call('TIME')[1]) < t do end return 1",
             "0"});
  traffic.wait_for_redis_hits();
  traffic.expect_unharmed();
}

TEST_CASE("e2e/redis_fault: made a replica, which takes no writes, and a master again") {
  Redis redis;
  Traffic traffic(redis);
  traffic.begin();
  traffic.wait_for_redis_hits();
  CHECK(redis.ask({"REPLICAOF", "127.0.0.1", "1"}) == "OK");
  traffic.hold(milliseconds(500));
  CHECK(redis.ask({"CONFIG", "SET", "replica-serve-stale-data", "no"}) == "OK");
  traffic.hold(milliseconds(500));
  CHECK(redis.ask({"REPLICAOF", "NO", "ONE"}) == "OK");
  traffic.wait_for_redis_hits();
  traffic.expect_unharmed();
}

TEST_CASE("e2e/redis_fault: something else than Redis answers there, or nothing ever does") {
  Origin web([](OriginConn& c) {
    c.send("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\nno");
    c.close();
  });
  Origin chatty([](OriginConn& c) {
    while (c.try_send("+OK\r\n*-7\r\n$99999999999\r\n")) {
    }
  });
  web.ignore_failures();
  chatty.ignore_failures();
  Listening silent = listen_on_loopback();
  for (const uint16_t port : {web.port(), chatty.port(), silent.port}) {
    Traffic traffic(Traffic::redis_at("redis://127.0.0.1:" + std::to_string(port)));
    traffic.begin(100);
    traffic.hold(seconds(1));
    traffic.expect_unharmed();
    CHECK(redis_looks(traffic.sluice, "hit") == 0);
    CHECK(traffic.sluice.err().size() < 20'000);
  }
}

TEST_CASE("e2e/redis_fault: a look costs its time once, whatever the request goes through after") {
  Redis redis;
  Origin origin(serving(counting()));
  Values values = shared_values(origin.address(), redis.url());
  values["redis"] = "url: \"" + redis.url() + "\", timeout: 600ms";
  Sluice sluice(kSharedYaml, values),
      other(kSharedYaml, shared_values(origin.address(), redis.url()));
  await_shared(other, sluice);
  redis.freeze();
  for (const char* lines : {"", "Range: bytes=0-0\r\n", "Cache-Control: no-cache\r\n"}) {
    CAPTURE(std::string(lines));
    const milliseconds time = time_of([&] { CHECK(ask(sluice, "/x", lines).status < 300); });
    CHECK(time < milliseconds(1100 * kSlow));
  }
  redis.thaw();
}

TEST_CASE("e2e/redis_fault: a budget too short for anything is only that") {
  Redis redis;
  Traffic traffic(Values{{"redis", "url: \"" + redis.url() + "\", timeout: 1ms, lease_wait: 1ms"}});
  traffic.begin();
  for (int i = 0; i < 5; ++i) {
    traffic.hold(milliseconds(300));
    redis.freeze();
    traffic.hold(milliseconds(100));
    redis.thaw();
  }
  traffic.expect_unharmed();
}

// Full --------------------------------------------------------------------------------------------

TEST_CASE("e2e/redis_fault: full: writes fail, look-ups go on") {
  Redis redis({"--maxmemory", "3mb", "--maxmemory-policy", "noeviction"});
  Traffic traffic(redis);
  traffic.begin();
  traffic.sluice.wait_for_value("sluice_cache_redis_writes_skipped_total", "failed", 200);
  traffic.wait_for_redis_hits(300);
  traffic.sluice.wait_for_value("sluice_cache_redis_writes_skipped_total", "failed", 400);
  traffic.expect_unharmed();
}

TEST_CASE("e2e/redis_fault: a purge goes through when it is full") {
  Hosts hosts(counting(), {}, {"--maxmemory", "3mb", "--maxmemory-policy", "noeviction"});
  store(hosts.a, "/x");
  CHECK(is_from_redis(ask(hosts.b, "/x")));
  for (const size_t size : {100'000, 10'000, 100}) {
    for (int i = 0; hosts.redis.ask({"SET", "fill" + std::to_string(size) + ":" + std::to_string(i),
                                     repeat("x", size)}) == "OK";
         ++i) {
    }
  }
  CHECK(hosts.redis.ask({"SET", "more", repeat("x", 1000)}).starts_with("-OOM"));
  post(hosts.a, "/x");
  const Message again = ask(hosts.a, "/x");
  CHECK(again.body == "v2");
  CHECK(eventually([&] { return ask(hosts.b, "/x").body != "v1"; }, milliseconds(1500 * kSlow)));
  CHECK(hosts.a.reaches("sluice_shared_purges_total", "sent", 1));
}

TEST_CASE("e2e/redis_fault: so small that it evicts all the time") {
  for (const char* policy : {"allkeys-lru", "allkeys-random", "volatile-ttl"}) {
    CAPTURE(policy);
    Redis redis({"--maxmemory", "4mb", "--maxmemory-policy", policy});
    Traffic traffic(redis);
    traffic.begin();
    traffic.wait_for_redis_hits();
    CHECK(eventually(
        [&] {
          const std::string info = redis.ask({"INFO", "stats"});
          return std::stol(info.substr(info.find("evicted_keys:") + 13)) > 500;
        },
        kPatience * 3));
    CHECK(redis.ask({"EVAL",
                     "for i = 1, 10000 do redis.pcall('SET', 'k' .. i, string.rep('x', 100)) end "
                     "return 1",
                     "0"}) == "1");
    traffic.wait_for_redis_hits();
    traffic.expect_unharmed();
  }
}

// Emptied and restored ----------------------------------------------------------------------------

TEST_CASE("e2e/redis_fault: emptied under load, over and over") {
  Redis redis;
  Traffic traffic(redis);
  traffic.begin();
  for (int i = 0; i < 5; ++i) {
    traffic.wait_for_redis_hits();
    CHECK(redis.ask({"FLUSHALL"}) == "OK");
  }
  traffic.wait_for_redis_hits();
  traffic.expect_unharmed();
}

TEST_CASE("e2e/redis_fault: its state deleted under load, over and over") {
  Redis redis;
  Traffic traffic(redis);
  traffic.begin();
  for (int i = 0; i < 5; ++i) {
    traffic.wait_for_redis_hits();
    CHECK(redis.ask({"DEL", "sluice:state", "sluice:purges"}) != "0");
  }
  traffic.wait_for_redis_hits();
  traffic.expect_unharmed();
}

TEST_CASE("e2e/redis_fault: restarted with what it had, entries are used on") {
  Hosts hosts(counting(), {}, {"--appendonly", "yes", "--appendfsync", "always"});
  CHECK(store(hosts.a, "/x").body == "v1");
  hosts.redis.kill();
  hosts.redis.start();
  await_shared(hosts.a, hosts.b);
  const Message hit = ask(hosts.b, "/x");
  CHECK(is_from_redis(hit));
  CHECK(hit.body == "v1");
  CHECK(is_from_redis(ask(*hosts.another(), "/x")));
}

TEST_CASE("e2e/redis_fault: restarted with what it had but for the state, nothing old is used") {
  Hosts hosts(counting(), {}, {"--appendonly", "yes", "--appendfsync", "always"});
  CHECK(store(hosts.a, "/x").body == "v1");
  CHECK(hosts.redis.number({"DEL", "sluice:state"}) == 1);
  hosts.redis.kill();
  hosts.redis.start();
  REQUIRE_FALSE(hosts.redis.entries().empty());
  await_shared(hosts.a, hosts.b);
  const Message answer = ask(hosts.b, "/x");
  CHECK_FALSE(is_hit(answer));
  CHECK(answer.body == "v2");
}

TEST_CASE("e2e/redis_fault: restored from before a purge, nothing purged comes back") {
  Hosts hosts(counting(), {}, {"--dbfilename", "dump.rdb"});
  CHECK(store(hosts.a, "/x").body == "v1");
  CHECK(is_from_redis(ask(hosts.b, "/x")));
  CHECK(hosts.redis.ask({"SAVE"}) == "OK");
  post(hosts.a, "/x");
  CHECK(eventually([&] { return ask(hosts.b, "/x").body != "v1"; }));
  hosts.redis.kill();
  hosts.redis.start();
  REQUIRE_FALSE(hosts.redis.entries().empty());
  await_shared(hosts.a, hosts.b);
  await_shared(hosts.b, hosts.a);
  CHECK(ask(hosts.a, "/x").body != "v1");
  CHECK(ask(hosts.b, "/x").body != "v1");
  CHECK(ask(*hosts.another(), "/x").body != "v1");
}

// Not permitted -----------------------------------------------------------------------------------

TEST_CASE("e2e/redis_fault: a wrong password, put right later") {
  Redis redis;
  set_user(redis, {">right", "~*", "&*", "+@all"});
  Traffic traffic(Traffic::redis_at(redis.tcp_url("edge:wrong")));
  traffic.begin();
  traffic.hold(seconds(2));
  CHECK(redis_looks(traffic.sluice, "hit") == 0);
  CHECK(traffic.sluice.err().find("WRONGPASS") != std::string::npos);
  CHECK(traffic.sluice.err().find("edge:wrong") == std::string::npos);
  CHECK(traffic.sluice.err().size() < 20'000);
  set_user(redis, {">wrong", "~*", "&*", "+@all"});
  traffic.wait_for_redis_hits();
  traffic.expect_unharmed();
}

TEST_CASE(
    "e2e/redis_fault: a user that may not subscribe or publish hears of purges all the same") {
  Redis redis;
  int turn = 0;
  for (const std::vector<std::string>& rules :
       std::vector<std::vector<std::string>>{{">pw", "~*", "&*", "+@all", "-subscribe"},
                                             {">pw", "~*", "resetchannels", "+@all"},
                                             {">pw", "~*", "&*", "+@all", "-publish"}}) {
    CAPTURE(rules.back());
    set_user(redis, rules);
    Origin origin(serving(counting()));
    const Values values = shared_values(origin.address(), redis.tcp_url("edge:pw"));
    Sluice a(kSharedYaml, values), b(kSharedYaml, values);
    await_shared(a, b);
    await_shared(b, a);
    const std::string path = "/x" + std::to_string(++turn), old = store(a, path).body;
    CHECK(is_from_redis(ask(b, path)));
    post(a, path);
    CHECK(eventually([&] { return ask(b, path).body != old; }, milliseconds(2000 * kSlow)));
    CHECK(a.err().size() < 20'000);
  }
}

TEST_CASE("e2e/redis_fault: a user that lacks one command after the other harms no client") {
  Redis redis;
  set_user(redis, {">pw", "~*", "&*", "+@all"});
  Traffic traffic(Traffic::redis_at(redis.tcp_url("edge:pw")));
  traffic.begin();
  traffic.wait_for_redis_hits();
  for (const char* command : {"-@scripting", "-hgetall", "-hmget", "-set", "-@read", "-@write",
                              "-@all", "-client", "-ping"}) {
    CAPTURE(command);
    set_user(redis, {">pw", "~*", "&*", "+@all", command});
    traffic.hold(milliseconds(300));
  }
  set_user(redis, {">pw", "~*", "&*", "+@all"});
  traffic.wait_for_redis_hits();
  traffic.expect_unharmed();
}
