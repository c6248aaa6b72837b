#include "sluice/redis/subscriber.h"

#include "support.h"

namespace sluice::redis {
namespace {

using namespace test;

struct Heard final : SubscriberEvents {
  void on_subscriber_ready() noexcept override { text += "ready "; }
  void on_message(std::string_view channel, std::string_view payload) noexcept override {
    text += std::string(channel) + "=" + std::string(payload) + " ";
  }
  void on_subscriber_lost() noexcept override { text += "lost "; }
  std::string text;
};

SubscriberOptions subscriber_options(Address address) {
  return {.link = options_for(std::move(address)).link, .channels = {"one", "two"}};
}

struct SubscriberBed {
  explicit SubscriberBed(SubscriberOptions options) : subscriber(loop, std::move(options), heard) {
    subscriber.start();
  }
  bool hears(std::string_view text) {
    return run_until(loop, [&] { return heard.text == text; });
  }
  loop::Loop loop;
  Heard heard;
  Subscriber subscriber;
};

constexpr std::string_view kConfirmed =
    "*3\r\n$9\r\nsubscribe\r\n$3\r\none\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$3\r\ntwo\r\n:2\r\n";

void confirm(Fake& fake, loop::Loop& loop) {
  fake.greet(loop);
  REQUIRE(spin_until(loop, [&] { return fake.has("SUBSCRIBE\r\n$3\r\none\r\n$3\r\ntwo\r\n"); }));
  fake.received.clear();
  fake.send(kConfirmed);
}

TEST_CASE("redis/subscriber: hears its channels, of any bytes") {
  RedisServer server;
  SubscriberBed bed(subscriber_options(server.address()));
  REQUIRE(bed.hears("ready "));
  Client client(bed.loop, options_for(server.address()));
  client.start();
  REQUIRE(run_until(bed.loop, [&] { return client.is_ready(); }));
  Ask ask(client);
  CHECK(ask.get({"PUBLISH", "one", "x"}) == ":1");
  CHECK(ask.get({"PUBLISH", "three", "y"}) == ":0");
  CHECK(ask.get({"PUBLISH", "two", std::string("\0\r\n", 3)}) == ":1");
  CHECK(bed.hears("ready one=x two=" + std::string("\0\r\n", 3) + " "));
}

TEST_CASE("redis/subscriber: lost when the server is killed, ready again when it is back") {
  RedisServer server;
  SubscriberBed bed(subscriber_options(server.address()));
  REQUIRE(bed.hears("ready "));
  server.kill();
  REQUIRE(bed.hears("ready lost "));
  CHECK_FALSE(bed.subscriber.is_ready());
  CHECK(bed.subscriber.last_error().starts_with("unix:/"));
  server.start();
  CHECK(bed.hears("ready lost ready "));
}

TEST_CASE("redis/subscriber: lost when the server stands still") {
  RedisServer server;
  SubscriberOptions options = subscriber_options(server.address());
  options.idle = options.silence = milliseconds(40);
  options.link.handshake = milliseconds(100);
  SubscriberBed bed(options);
  REQUIRE(run_until(bed.loop, [&] { return bed.subscriber.is_ready(); }));
  server.signal(SIGSTOP);
  REQUIRE(run_until(bed.loop, [&] { return !bed.subscriber.is_ready(); }));
  CHECK(bed.heard.text.ends_with("lost "));
  server.signal(SIGCONT);
  CHECK(run_until(bed.loop, [&] { return bed.subscriber.is_ready(); }));
}

TEST_CASE("redis/subscriber: is pinged while nothing is said, and only then") {
  Fake fake;
  SubscriberOptions options = subscriber_options(fake.address());
  options.idle = milliseconds(20);
  options.silence = milliseconds(60);
  SubscriberBed bed(options);
  confirm(fake, bed.loop);
  for (int i = 0; i < 3; ++i) {
    REQUIRE(spin_until(bed.loop, [&] { return fake.has("PING\r\n"); }));
    fake.received.clear();
    fake.send("*2\r\n$4\r\npong\r\n$0\r\n\r\n");
  }
  CHECK(bed.heard.text == "ready ");
  CHECK(fake.has_lost(bed.loop));
  CHECK(bed.heard.text == "ready lost ");
}

TEST_CASE("redis/subscriber: what no subscriber gets ends the connection") {
  for (const char* junk :
       {"+OK\r\n", "-ERR x\r\n", ":1\r\n", "$3\r\nfoo\r\n", "*0\r\n", "*1\r\n$7\r\nmessage\r\n",
        "*3\r\n$9\r\nsubscribe\r\n$3\r\none\r\n:1\r\n", "*1\r\n*1\r\n:1\r\n", "junk\r\n"}) {
    CAPTURE(junk);
    Fake fake;
    SubscriberBed bed(subscriber_options(fake.address()));
    confirm(fake, bed.loop);
    REQUIRE(bed.hears("ready "));
    fake.send(junk);
    CHECK(bed.hears("ready lost "));
    confirm(fake, bed.loop);
    CHECK(bed.hears("ready lost ready "));
  }
}

TEST_CASE("redis/subscriber: a channel that is refused is no loss, but tried again") {
  Fake fake;
  SubscriberBed bed(subscriber_options(fake.address()));
  fake.greet(bed.loop);
  REQUIRE(spin_until(bed.loop, [&] { return fake.has("SUBSCRIBE"); }));
  fake.send("-NOPERM no channel for you\r\n");
  CHECK(fake.has_lost(bed.loop));
  CHECK(bed.subscriber.last_error() == "NOPERM no channel for you");
  CHECK(bed.heard.text.empty());
  confirm(fake, bed.loop);
  CHECK(bed.hears("ready "));
}

}  // namespace
}  // namespace sluice::redis
