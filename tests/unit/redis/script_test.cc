#include "sluice/redis/script.h"

#include "support.h"

namespace sluice::redis {
namespace {

using namespace test;

class Run final : public ScriptRun {
 public:
  std::string get(Script& script, std::initializer_list<std::string_view> keys,
                  std::initializer_list<std::string_view> values) {
    text.clear();
    run(script, {keys.begin(), keys.size()}, {values.begin(), values.size()},
        script.client().loop().now() + seconds(20));
    CHECK(text.empty());
    CHECK(run_until(script.client().loop(), [&] { return !text.empty(); }));
    return text;
  }
  std::string text;

 private:
  void on_script_reply(const Reply& reply) noexcept override { text = show(reply); }
  void on_script_failed(Fault fault, std::string_view) noexcept override {
    text = "-" + std::string(fault_row(fault).token);
  }
};

const std::string kCompareAndDelete =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";

bool knows_hash(const Script& script) {
  return run_until(script.client().loop(), [&] { return !script.hash().empty(); });
}

TEST_CASE("redis/script: by its hash, by its text after SCRIPT FLUSH, and by the hash again") {
  RedisServer server;
  Bed bed(server);
  Script script(bed.client, kCompareAndDelete);
  REQUIRE(knows_hash(script));
  CHECK(script.hash().size() == 40);
  Ask ask(bed.client);
  Run run;
  CHECK(ask.get({"SET", "k", "token"}) == "+OK");
  CHECK(run.get(script, {"k"}, {"other"}) == ":0");
  CHECK(run.get(script, {"k"}, {"token"}) == ":1");
  CHECK(bed.client.stats().faults_of(Fault::kNoScript) == 0);
  CHECK(ask.get({"SCRIPT", "FLUSH"}) == "+OK");
  CHECK(ask.get({"SET", "k", "t"}) == "+OK");
  CHECK(run.get(script, {"k"}, {"t"}) == ":1");
  CHECK(bed.client.stats().faults_of(Fault::kNoScript) == 1);
  CHECK(run.get(script, {"k"}, {"t"}) == ":0");
  CHECK(bed.client.stats().faults_of(Fault::kNoScript) == 1);
  CHECK(bed.client.health().is_up);
}

TEST_CASE("redis/script: runs by its text before the hash is known") {
  RedisServer server;
  Bed bed(server);
  Script script(bed.client, "return {KEYS[1], ARGV[1], ARGV[2]}");
  Run run;
  CHECK(script.hash().empty());
  CHECK(run.get(script, {"k"}, {"", std::string_view("\0", 1)}) ==
        "[\"k\",\"\",\"" + std::string(1, '\0') + "\"]");
}

TEST_CASE("redis/script: a restarted server does not know it") {
  RedisServer server;
  Bed bed(server);
  Script script(bed.client, "return 'hello'");
  REQUIRE(knows_hash(script));
  server.kill();
  bed.await_lost();
  server.start();
  bed.await_up();
  Run run;
  CHECK(run.get(script, {}, {}) == "\"hello\"");
}

TEST_CASE("redis/script: a server that never knows it is not asked for ever") {
  Fake fake;
  Bed bed(fake);
  Script script(bed.client, "return 1");
  REQUIRE(spin_until(bed.loop, [&] { return fake.has("return 1\r\n"); }));
  fake.send("$40\r\n" + std::string(40, 'a') + "\r\n");
  REQUIRE(knows_hash(script));
  Run run;
  run.run(script, {}, {}, bed.loop.now() + seconds(20));
  REQUIRE(spin_until(bed.loop, [&] { return fake.has("EVALSHA"); }));
  fake.send("-NOSCRIPT x\r\n-NOSCRIPT x\r\n");
  CHECK(run_until(bed.loop, [&] { return !run.text.empty(); }));
  CHECK(run.text == "-no_script");
}

TEST_CASE("redis/script: no server, no result") {
  Bed bed(options_for_nobody());
  Script script(bed.client, "return 1");
  CHECK(Run().get(script, {}, {}) == "-disconnected");
}

}  // namespace
}  // namespace sluice::redis
