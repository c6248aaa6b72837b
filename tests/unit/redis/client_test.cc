// The client before a real server; client_fault_test.cc has one that is scripted to be ill.
#include "sluice/redis/client.h"

#include <numeric>

#include "support.h"

namespace sluice::redis {
namespace {

using namespace test;

TEST_CASE("redis/client: replies come in the order of asking, all of one turn") {
  RedisServer server;
  Bed bed(server);
  std::vector<std::unique_ptr<Ask>> asks;
  std::vector<std::string> got;
  for (int i = 0; i < 1000; ++i) {
    asks.push_back(std::make_unique<Ask>(bed.client));
    Ask& ask = *asks.back();
    ask.when_ended = [&] { got.push_back(ask.text); };
    ask.send({"ECHO", std::to_string(i)});
  }
  CHECK(got.empty());
  REQUIRE(run_until(bed.loop, [&] { return got.size() == 1000; }));
  for (int i = 0; i < 1000; ++i) CHECK(got[i] == '"' + std::to_string(i) + '"');
  const ClientStats stats = bed.client.stats();
  CHECK(stats.commands >= 1000);
  CHECK(stats.replies == stats.commands);
  CHECK(stats.latency_sum > Duration{0});
  CHECK(stats.bytes_out > 20'000);
  CHECK(stats.bytes_in > 5'000);
  CHECK(std::accumulate(stats.faults.begin(), stats.faults.end(), 0u) == 0);
}

TEST_CASE("redis/client: values of any bytes and of 1 MiB, the body of a chain uncopied") {
  RedisServer server;
  Bed bed(server);
  Ask ask(bed.client);
  const std::string odd("\0\r\n$-1\r\n\xff", 9);
  CHECK(ask.get({"SET", odd, odd}) == "+OK");
  CHECK(ask.get({"GET", odd}) == '"' + odd + '"');
  CHECK(ask.get({"SET", "", ""}) == "+OK");
  CHECK(ask.get({"MGET", "", "none", odd}) == "[\"\",nil,\"" + odd + "\"]");

  std::string large(1 << 20, 'x');
  for (size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 7 + i / 251);
  Chain body;
  const Slice whole = Slice::copy_of(large);
  for (size_t at = 0; at < large.size(); at += 1 << 16) body.push_back(whole.sub(at, 1 << 16));
  CHECK(ask.get({"SET", "large", body}, Intent::kWrite) == "+OK");
  CHECK(body.is_empty());
  ask.send({"GET", "large"});
  REQUIRE(ask.wait());
  CHECK((ask.bytes.view() == large));
}

TEST_CASE("redis/client: the database of the URL") {
  RedisServer server;
  Address address = server.address();
  address.database = 5;
  Bed five(options_for(address));
  five.await_up();
  Ask ask(five.client);
  CHECK(ask.get({"SET", "k", "five"}) == "+OK");
  CHECK(ask.get({"SELECT", "0"}) == "+OK");
  CHECK(ask.get({"GET", "k"}) == "nil");
  CHECK(ask.get({"CLIENT", "GETNAME"}) == "\"sluice\"");
}

TEST_CASE("redis/client: a password, a user of an ACL, and neither") {
  RedisServer server({"--requirepass", "p w", "--user", "edge", "on", ">s@cret", "~*", "+@all"});
  struct Case {
    const char* user;
    const char* password;
    bool may_enter;
    const char* error;
  };
  const Case cases[] = {{"", "p w", true, ""},
                        {"edge", "s@cret", true, ""},
                        {"edge", "wrong", false, "WRONGPASS"},
                        {"", "wrong", false, "WRONGPASS"},
                        {"", "", false, "NOAUTH"}};
  for (const Case& c : cases) {
    CAPTURE(c.user);
    CAPTURE(c.password);
    Address address = server.address();
    address.user = c.user;
    address.password = c.password;
    Bed bed(options_for(address));
    if (c.may_enter) {
      bed.await_up();
      CHECK(Ask(bed.client).get({"PING"}) == "+PONG");
      continue;
    }
    CHECK(run_until(bed.loop, [&] {
      return bed.client.health().last_error.find(c.error) != std::string_view::npos;
    }));
    CHECK_FALSE(bed.client.health().is_up);
    CHECK(Ask(bed.client).get({"PING"}) == "-disconnected");
  }
}

TEST_CASE("redis/client: an error reply ends its command only") {
  RedisServer server({"--user", "default", "on", "nopass", "~*", "+@all", "-flushall"});
  Bed bed(server);
  Ask ask(bed.client);
  CHECK(ask.get({"LPUSH", "list", "x"}) == ":1");
  for (int i = 0; i < 10; ++i) {
    CHECK(ask.get({"GET", "list"}) == "-wrong_type");
    CHECK(ask.get({"NOSUCH"}) == "-other");
    CHECK(ask.get({"FLUSHALL"}) == "-no_perm");
  }
  CHECK(ask.text.starts_with("NOPERM "));
  CHECK(bed.client.health().is_up);
  CHECK(bed.client.stats().faults_of(Fault::kWrongType) == 10);
  CHECK(bed.client.stats().faults_of(Fault::kOther) == 10);
}

TEST_CASE("redis/client: a server that is full refuses writes, and stays up for reads") {
  RedisServer server({"--maxmemory", "3mb", "--maxmemory-policy", "noeviction"});
  Bed bed(server);
  Ask ask(bed.client);
  CHECK(ask.get({"SET", "k", "v"}, Intent::kWrite) == "+OK");
  const std::string value(256 * 1024, 'v');
  int refused = 0;
  for (int i = 0; i < 30; ++i) {
    const std::string said = ask.get({"SET", std::to_string(i), value}, Intent::kWrite);
    if (said == "-oom") ++refused;
  }
  CHECK(refused >= 10);
  CHECK(bed.client.health().is_up);
  CHECK(ask.get({"GET", "k"}) == "\"v\"");
}

TEST_CASE(
    "redis/client: the deadline holds when the server stands still, and late replies upset "
    "nothing") {
  RedisServer server;
  Bed bed(server);
  server.signal(SIGSTOP);
  Ask late(bed.client);
  Ask next(bed.client);
  const TimePoint began = monotonic_now();
  late.send({"ECHO", "late"}, Intent::kRead, milliseconds(30));
  next.send({"ECHO", "next"});
  REQUIRE(late.wait());
  const Duration took = monotonic_now() - began;
  CHECK(late.fault == Fault::kTimeout);
  CHECK(took >= milliseconds(30));
  CHECK(took < seconds(5));
  server.signal(SIGCONT);
  REQUIRE(next.wait());
  CHECK(next.text == "\"next\"");
  CHECK(late.ends == 1);
  CHECK(bed.client.stats().late_replies == 1);
  CHECK(bed.client.stats().faults_of(Fault::kTimeout) == 1);
  CHECK(bed.client.health().is_up);
}

TEST_CASE("redis/client: deadlines in any order") {
  RedisServer server;
  Bed bed(server);
  server.signal(SIGSTOP);
  std::string order;
  Ask a(bed.client), b(bed.client), c(bed.client);
  a.when_ended = [&] { order += 'a'; };
  b.when_ended = [&] { order += 'b'; };
  c.when_ended = [&] { order += 'c'; };
  a.send({"PING"}, Intent::kRead, milliseconds(200));
  b.send({"PING"}, Intent::kRead, milliseconds(5));
  c.send({"PING"}, Intent::kRead, milliseconds(80));
  CHECK(run_until(bed.loop, [&] { return order.size() == 3; }));
  CHECK(order == "bca");
  server.signal(SIGCONT);
}

TEST_CASE("redis/client: a server that stands still is given up, and found again when it goes on") {
  RedisServer server;
  ClientOptions options = options_for(server.address());
  options.silence = milliseconds(60);
  options.link.handshake = milliseconds(100);
  Bed bed(options);
  bed.await_up();
  server.signal(SIGSTOP);
  Ask hasty(bed.client), patient(bed.client);
  patient.send({"PING"});
  hasty.send({"PING"}, Intent::kRead, milliseconds(10));
  REQUIRE(hasty.wait());
  CHECK(hasty.fault == Fault::kTimeout);
  REQUIRE(patient.wait());
  CHECK(patient.fault == Fault::kDisconnected);
  CHECK_FALSE(bed.client.health().is_up);
  CHECK(hasty.get({"PING"}) == "-disconnected");  // at once, whatever its deadline
  server.signal(SIGCONT);
  bed.await_up();
  CHECK(hasty.get({"PING"}) == "+PONG");
}

TEST_CASE("redis/client: a killed server fails commands fast, and is found again") {
  RedisServer server;
  Bed bed(server);
  struct Heard final : ClientListener {
    void on_client_ready() noexcept override { text += 'r'; }
    void on_client_lost() noexcept override {
      if (!text.ends_with('l')) text += 'l';
    }
    std::string text;
  } heard;
  bed.client.add(heard);
  server.signal(SIGSTOP);
  Ask pending(bed.client);
  pending.send({"PING"});
  settle(bed.loop);
  server.kill();
  REQUIRE(pending.wait());
  CHECK(pending.fault == Fault::kDisconnected);
  const Health health = bed.client.health();
  CHECK_FALSE(health.is_up);
  CHECK(health.last_error.starts_with("unix:/"));
  for (int i = 0; i < 100; ++i) {
    pending.send({"PING"});
    bed.loop.run_once(false);
    CHECK(pending.fault == Fault::kDisconnected);
  }
  server.start();
  bed.await_up();
  CHECK(pending.get({"PING"}) == "+PONG");
  CHECK(heard.text == "lr");
  CHECK(bed.client.stats().reconnects == 1);
}

TEST_CASE("redis/client: nobody there: refused in the same turn, never inside the call") {
  Bed bed(options_for_nobody());
  Ask ask(bed.client);
  ask.send({"GET", "k"});  // checks that it is not called back inside
  bed.loop.run_once(false);
  CHECK(ask.fault == Fault::kDisconnected);
  CHECK_FALSE(bed.client.health().is_up);
}

}  // namespace
}  // namespace sluice::redis
