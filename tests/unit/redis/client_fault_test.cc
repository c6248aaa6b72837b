// The client before a server that is scripted: slow, ill, hostile.
#include "support.h"

namespace sluice::redis {
namespace {

using namespace test;

TEST_CASE("redis/client: when the late reply has come nothing is overdue any more") {
  Fake fake;
  ClientOptions options = options_for(fake.address());
  options.idle = milliseconds(20);
  Bed bed(fake, options);
  Ask ask(bed.client);
  CHECK(ask.get({"GET", "k"}, Intent::kRead, milliseconds(2)) == "-timeout");
  fake.send("$4\r\nlate\r\n");
  REQUIRE(spin_until(bed.loop, [&] { return fake.has("PING"); }));
  CHECK(bed.client.stats().late_replies == 1);
  CHECK(bed.client.is_ready());
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
