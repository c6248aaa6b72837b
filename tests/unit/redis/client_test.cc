// The client before a real server, and before one that is scripted to be slow and ill.
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
  ClientOptions options = options_for({});
  options.link.address.path = "/nonexistent/redis.sock";
  Bed bed(options);
  Ask ask(bed.client);
  ask.send({"GET", "k"});  // checks that it is not called back inside
  bed.loop.run_once(false);
  CHECK(ask.fault == Fault::kDisconnected);
  CHECK_FALSE(bed.client.health().is_up);
}

TEST_CASE("redis/client: a name is looked up; one that has no address is a failed attempt") {
  Fake fake;
  ClientOptions options = options_for(fake.address());
  options.link.address.host = "localhost";  // perhaps also ::1, where nobody listens
  Bed bed(options);
  fake.greet(bed.loop);
  bed.await_ready();

  options.link.address.host = "name.invalid";
  Bed lost(options);
  CHECK(run_until(lost.loop, [&] { return !lost.client.health().last_error.empty(); }));
  CHECK(lost.client.health().last_error.starts_with("name.invalid:"));
}

TEST_CASE("redis/client: who went away hears nothing, and the others their own replies") {
  Fake fake;
  Bed bed(fake);
  auto gone = std::make_unique<Ask>(bed.client);
  auto cancelled = std::make_unique<Ask>(bed.client);
  Ask stays(bed.client);
  gone->send({"ECHO", "1"});
  cancelled->send({"ECHO", "2"});
  stays.send({"ECHO", "3"});
  gone.reset();
  cancelled->cancel();
  CHECK_FALSE(cancelled->is_pending());
  REQUIRE(spin_until(bed.loop, [&] { return fake.has("3\r\n"); }));
  fake.send("$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n");
  REQUIRE(stays.wait());
  CHECK(stays.text == "\"3\"");
  CHECK(cancelled->ends == 0);
}

TEST_CASE("redis/client: asking, cancelling and stopping inside a call back") {
  Fake fake;
  Bed bed(fake);
  Ask first(bed.client), second(bed.client), third(bed.client);
  first.when_ended = [&] {
    second.cancel();
    third.send({"ECHO", "3"});
  };
  third.when_ended = [&] { bed.client.stop(); };
  first.send({"ECHO", "1"});
  second.send({"ECHO", "2"});
  REQUIRE(spin_until(bed.loop, [&] { return fake.has("2\r\n"); }));
  fake.send("$1\r\n1\r\n$1\r\n2\r\n");
  REQUIRE(spin_until(bed.loop, [&] { return fake.has("3\r\n"); }));
  fake.send("$1\r\n3\r\n+more\r\n");
  REQUIRE(third.wait());
  CHECK(second.ends == 0);
  CHECK_FALSE(bed.client.is_ready());
  bed.client.start();
  fake.greet(bed.loop);
  bed.await_ready();
}

TEST_CASE("redis/client: stopping ends what is pending; so does a failing asker who asks again") {
  Fake fake;
  Bed bed(fake);
  Ask one(bed.client), two(bed.client);
  int asked = 0;
  one.when_ended = [&] {
    if (++asked < 3) one.send({"PING"});
  };
  one.send({"PING"});
  two.send({"PING"});
  bed.client.stop();
  CHECK(two.ends == 0);
  CHECK(run_until(bed.loop, [&] { return asked == 3 && two.ends == 1; }));
  CHECK(two.fault == Fault::kDisconnected);
}

TEST_CASE("redis/client: destroyed with calls pending, sent and refused") {
  Fake fake;
  ClientOptions options = options_for(fake.address());
  options.most_unanswered = 1;
  loop::Loop loop;
  auto client = std::make_unique<Client>(loop, options);
  client->start();
  fake.greet(loop);
  REQUIRE(run_until(loop, [&] { return client->is_ready(); }));
  Ask sent(*client), refused(*client);
  sent.send({"PING"});
  refused.send({"PING"});
  client.reset();
  CHECK_FALSE(sent.is_pending());
  CHECK_FALSE(refused.is_pending());
  settle(loop);
}

TEST_CASE("redis/client: what is unsent and unanswered is bounded") {
  Fake fake;
  ClientOptions options = options_for(fake.address());
  options.most_unanswered = 3;
  options.most_unsent = 1 << 20;
  Bed bed(fake, options);
  Ask a(bed.client), b(bed.client), c(bed.client), d(bed.client);
  CHECK(d.get({"SET", "k", std::string(1 << 20, 'x')}) == "-queue_full");
  Chain body = loop::test::chain_of(std::string(1 << 20, 'x'));
  CHECK(d.get({"SET", "k", body}) == "-queue_full");
  CHECK(body.size() == 1 << 20);
  a.send({"PING"});
  b.send({"PING"});
  c.send({"PING"});
  CHECK(d.get({"PING"}) == "-queue_full");
  CHECK(bed.client.stats().faults_of(Fault::kQueueFull) == 3);
  REQUIRE(spin_until(bed.loop, [&] { return fake.has("PING"); }));
  fake.send("+PONG\r\n");
  REQUIRE(a.wait());
  d.send({"PING"});
  settle(bed.loop);
  CHECK(d.is_pending());
}

TEST_CASE("redis/client: the breaker spares a server that loads, and tries it with one command") {
  Fake fake;
  Bed bed(fake);
  Ask ask(bed.client);
  for (const char* error : {"LOADING x", "MASTERDOWN x", "CLUSTERDOWN x", "BUSY x", "OOM x"}) {
    ask.send({"GET", "k"});
    REQUIRE(spin_until(bed.loop, [&] { return fake.has("k\r\n"); }));
    fake.received.clear();
    CHECK(bed.client.health().is_up);
    fake.send("-" + std::string(error) + "\r\n");
    REQUIRE(ask.wait());
  }
  CHECK_FALSE(bed.client.health().is_up);
  CHECK(bed.client.health().last_error == "OOM x");
  CHECK(bed.client.is_ready());

  int refused = 0;
  while (
      ask.send({"GET", "probe"}),
      spin_until(bed.loop, [&] { return ask.ends > 0 || fake.has("probe\r\n"); }) && ask.ends > 0) {
    CHECK(ask.fault == Fault::kBreakerOpen);
    ++refused;
  }
  CHECK(refused > 0);
  Ask other(bed.client);
  CHECK(other.get({"GET", "other"}) == "-breaker_open");
  fake.send("+fine\r\n");
  REQUIRE(ask.wait());
  CHECK(ask.text == "+fine");
  CHECK(bed.client.health().is_up);
  other.send({"GET", "other"});
  CHECK(spin_until(bed.loop, [&] { return fake.has("other\r\n"); }));
}

TEST_CASE(
    "redis/client: timeouts open the breaker; a probe that is cancelled or lost does not block "
    "it") {
  Fake fake;
  Bed bed(fake);
  Ask ask(bed.client);
  for (int i = 0; i < 5; ++i) {
    CHECK(ask.get({"GET", "k"}, Intent::kRead, milliseconds(2)) == "-timeout");
  }
  CHECK(ask.get({"GET", "k"}) == "-breaker_open");
  REQUIRE(spin_until(bed.loop, [&] {
    if (!ask.is_pending()) ask.send({"GET", "probe"});
    return fake.has("probe\r\n");
  }));
  ask.cancel();
  fake.hang_up();
  bed.await_lost();
  fake.greet(bed.loop);
  bed.await_ready();
  REQUIRE(spin_until(bed.loop, [&] {
    if (!ask.is_pending()) ask.send({"GET", "again"});
    return fake.has("again\r\n");
  }));
  ask.cancel();
  fake.send("$-1\r\n");
  CHECK(run_until(bed.loop, [&] { return bed.client.health().is_up; }));
}

TEST_CASE("redis/client: many timeouts of one turn are one failure, and so is a lost connection") {
  Fake fake;
  Bed bed(fake);
  std::vector<std::unique_ptr<Ask>> asks;
  for (int i = 0; i < 20; ++i) asks.push_back(std::make_unique<Ask>(bed.client));
  for (auto& ask : asks) ask->send({"PING"}, Intent::kRead, milliseconds(2));
  for (auto& ask : asks) CHECK(ask->wait());
  CHECK(bed.client.stats().faults_of(Fault::kTimeout) == 20);
  CHECK(bed.client.health().is_up);
  for (auto& ask : asks) ask->send({"PING"});
  settle(bed.loop);
  fake.hang_up();
  for (auto& ask : asks) CHECK(ask->wait());
  CHECK(bed.client.stats().faults_of(Fault::kDisconnected) == 20);
  fake.greet(bed.loop);
  bed.await_ready();
  CHECK(bed.client.health().is_up);
}

TEST_CASE("redis/client: an idle connection is pinged, and given up when nothing answers") {
  Fake fake;
  ClientOptions options = options_for(fake.address());
  options.idle = milliseconds(20);
  options.silence = milliseconds(50);
  Bed bed(fake, options);
  for (int i = 0; i < 3; ++i) {
    REQUIRE(spin_until(bed.loop, [&] { return fake.has("*1\r\n$4\r\nPING\r\n"); }));
    fake.received.clear();
    fake.send("+PONG\r\n");
  }
  CHECK(bed.client.is_ready());
  CHECK(fake.has_lost(bed.loop));
  CHECK_FALSE(bed.client.is_ready());
  fake.greet(bed.loop);
  bed.await_ready();
}

TEST_CASE("redis/client: a server that talks nonsense is left, and the askers told") {
  const std::string deep = [] {
    std::string text;
    for (int i = 0; i < 100; ++i) text += "*1\r\n";
    return text;
  }();
  Fake fake;
  Bed bed(fake);
  for (const std::string& junk :
       {std::string("HTTP/1.1 400 Bad Request\r\n\r\n"), std::string("$9999999999\r\n"),
        std::string("*2147483647\r\n"), std::string("$-2\r\n"), std::string("*1\r\n$3\r\nabcd\r\n"),
        std::string("+one\r\n+two nobody asked for\r\n"), std::string(10'000, 'x'), deep}) {
    CAPTURE(junk.substr(0, 40));
    Ask ask(bed.client);
    bed.await_ready();
    // Attempts and losses may have opened the breaker.
    REQUIRE(spin_until(bed.loop, [&] {
      if (!ask.is_pending()) ask.send({"GET", "k"});
      return fake.has("k\r\n");
    }));
    fake.send(junk);
    REQUIRE(ask.wait());
    CHECK((ask.fault == Fault::kDisconnected || ask.text == "+one"));
    bed.await_lost();
    fake.greet(bed.loop);
  }
}

TEST_CASE("redis/client: half a reply and the end; a whole reply and the end") {
  Fake fake;
  Bed bed(fake);
  Ask whole(bed.client), half(bed.client);
  whole.send({"GET", "a"});
  half.send({"GET", "b"});
  REQUIRE(spin_until(bed.loop, [&] { return fake.has("b\r\n"); }));
  fake.send("$5\r\nhello\r\n*2\r\n$100000\r\nxxxx");
  fake.hang_up();
  REQUIRE(half.wait());
  CHECK(whole.text == "\"hello\"");
  CHECK(half.fault == Fault::kDisconnected);
  CHECK(half.text.find("closed") != std::string::npos);
}

TEST_CASE("redis/client: greetings that are not answered, or not by a Redis") {
  Fake fake;
  ClientOptions options = options_for(fake.address());
  options.link.handshake = milliseconds(50);
  Bed bed(options);
  REQUIRE(spin_until(bed.loop, [&] { return fake.has("sluice\r\n"); }));
  CHECK(fake.has_lost(bed.loop));
  CHECK(bed.client.health().last_error.find("greeting") != std::string_view::npos);
  for (const char* answer : {":1\r\n", "-NOAUTH x\r\n", "SSH-2.0\r\n"}) {
    CAPTURE(answer);
    fake.hang_up();
    REQUIRE(spin_until(bed.loop, [&] { return fake.has("sluice\r\n"); }));
    fake.send(answer);
    CHECK(fake.has_lost(bed.loop));
    CHECK_FALSE(bed.client.is_ready());
  }
  fake.hang_up();
  REQUIRE(spin_until(bed.loop, [&] { return fake.has("sluice\r\n"); }));
  fake.send("-NOPERM this user may not CLIENT\r\n");
  bed.await_ready();
}

}  // namespace
}  // namespace sluice::redis
