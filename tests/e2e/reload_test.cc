// Reload: under load without a failed request, all or nothing, and with what is warm kept.
#include <signal.h>

#include "tests/e2e/harness/e2e.h"

using namespace e2e;

namespace {

constexpr const char* kTwo = R"(
pools:
  app:
    endpoints: [{address: "@a", name: a}, {address: "@b", name: b}]
    health: {type: tcp, interval: 200ms}
routes:
  - {match: {path: /}, pool: app, response_headers: {set: {X-Turn: "@turn"}}}
)";

Values values(SimpleOrigin& a, SimpleOrigin& b, int turn) {
  return {{"a", a.address()}, {"b", b.address()}, {"turn", std::to_string(turn)}};
}

std::string turn_of(Sluice& sluice) { return get(sluice.port()).field("X-Turn"); }

}  // namespace

TEST_CASE("e2e/reload: five times a second under load without one failed request") {
  SimpleOrigin a("a"), b("b");
  Sluice sluice(kTwo, values(a, b, 0));
  const seconds duration(kSanitized ? 6 : 20);
  REQUIRE(get(sluice.port()).status == 200);
  Wrk wrk(sluice.url(), 32, duration);
  REQUIRE(eventually([&] { return a.requests() > 100; }));
  const uint64_t rss_before = sluice.rss_kib();
  const size_t fds_before = sluice.fds();
  const auto begin = Clock::now();
  int turn = 0;
  while (Clock::now() < begin + duration - milliseconds(300)) {
    sluice.rewrite(kTwo, values(a, b, ++turn));
    if (turn % 5 == 0) {
      sluice.signal(SIGHUP);
    } else {
      REQUIRE(sluice.reload().status == 200);
    }
    const auto next = begin + turn * milliseconds(200);
    eventually([&] { return Clock::now() >= next; }, seconds(1));
  }
  const Load load = wrk.finish();
  CAPTURE(load.text);
  CHECK(load.errors() == 0);
  CHECK(load.requests > 2000);
  CHECK(turn >= duration.count() * (kSanitized ? 2 : 4));
  CHECK(sluice.value("sluice_config_reloads_total", "ok") >= turn * 0.8);
  CHECK(sluice.reaches("sluice_config_reloads_total", "failed", 0));
  CHECK(eventually([&] { return turn_of(sluice) == std::to_string(turn); }));
  CHECK(sluice.fds() <= fds_before + 8);
  if (!kSanitized) CHECK(sluice.rss_kib() < rss_before + 8 * 1024);
}

TEST_CASE("e2e/reload: listeners come and go under load") {
  SimpleOrigin a("a"), b("b");
  const std::string with_second = std::string(R"(
listeners:
  - {name: web, bind: "127.0.0.1:0"}
  - {name: more, bind: "unix:@sock"}
)") + kTwo;
  Sluice sluice(kTwo, values(a, b, 0));
  Values all = values(a, b, 1);
  all["sock"] = sluice.path("more.sock");
  const uint16_t port = sluice.port();
  Wrk wrk(sluice.url(), 8, seconds(3));
  for (int i = 0; i < 10; ++i) {
    sluice.rewrite(with_second, all);
    REQUIRE(sluice.reload().status == 200);
    Wire more = Wire::to_unix(sluice.path("more.sock"));
    more.send(request_text());
    CHECK(more.read_response().status == 200);
    sluice.rewrite(kTwo, values(a, b, 0));
    REQUIRE(sluice.reload().status == 200);
    more.expect_close();  // it was idle
    CHECK(eventually([&] {
      try {
        Wire::to_unix(sluice.path("more.sock"));
        return false;
      } catch (const Failure&) {
        return true;
      }
    }));
    CHECK(sluice.port() == port);
  }
  const Load load = wrk.finish();
  CAPTURE(load.text);
  CHECK(load.errors() == 0);
}

TEST_CASE("e2e/reload: a file with errors changes nothing, and the errors are told") {
  SimpleOrigin a("a"), b("b");
  Sluice sluice(kTwo, values(a, b, 1));
  REQUIRE(turn_of(sluice) == "1");
  const int generation = sluice.status().at("generation");
  Values wrong = values(a, b, 2);
  wrong["turn"] = "2\"}}, wieght: {x: {y: \"z";
  sluice.rewrite(kTwo, wrong);

  const Message answer = sluice.reload();
  CHECK(answer.status == 422);
  const Json told = Json::parse(answer.body);
  CHECK(told.at("ok") == false);
  CHECK(told.at("problems").size() >= 1);
  CHECK(told.at("text").get<std::string>().find("wieght") != std::string::npos);
  CHECK(told.at("text").get<std::string>().find("sluice.yaml:") != std::string::npos);

  const Finished command = sluice.command({"reload"});
  CHECK(command.exit_code == 1);
  CHECK(command.err.find("wieght") != std::string::npos);

  sluice.signal(SIGHUP);
  sluice.wait_for_value("sluice_config_reloads_total", "failed", 3);
  CHECK(eventually([&] { return sluice.err().find("wieght") != std::string::npos; }));
  CHECK(turn_of(sluice) == "1");
  CHECK(sluice.status().at("generation") == generation);
  CHECK(sluice.status().at("last_reload").at("ok") == false);

  sluice.rewrite(kTwo, values(a, b, 3));
  const Finished again = sluice.command({"reload"});
  CHECK(again.exit_code == 0);
  CHECK(eventually([&] { return turn_of(sluice) == "3"; }));
}

TEST_CASE("e2e/reload: a listener that cannot be opened fails the whole reload") {
  SimpleOrigin a("a"), b("b");
  Sluice sluice(kTwo, values(a, b, 1));
  Listening taken = listen_on_loopback();
  const std::string busy = "127.0.0.1:" + std::to_string(taken.port);
  sluice.rewrite("listeners:\n  - {name: web, bind: \"127.0.0.1:0\"}\n  - {name: busy, bind: \"" +
                     busy + "\"}" + kTwo,
                 values(a, b, 2));
  const Message answer = sluice.reload();
  CHECK(answer.status == 422);
  CHECK(answer.body.find(busy) != std::string::npos);
  CHECK(turn_of(sluice) == "1");
}

TEST_CASE("e2e/reload: requests under way end at the endpoint that they began with") {
  Gate go_on;
  Origin old([&](OriginConn& c) {
    c.expect_request();
    go_on.wait();
    c.reply("old");
    CHECK(c.wait_for_end() == Ending::eof);  // it left the configuration
  });
  SimpleOrigin fresh("fresh", "new");
  const std::string yaml = R"(
pools:
  app: {endpoints: [{address: "@a"}], health: {type: off}}
)";
  Sluice sluice(yaml, {{"a", old.address()}});
  Wire client = Wire::to_port(sluice.port());
  client.send(request_text());
  old.wait_for_requests(1);
  sluice.rewrite(yaml, {{"a", fresh.address()}});
  sluice.signal(SIGHUP);
  sluice.wait_for_value("sluice_config_reloads_total", "ok", 1);
  CHECK(eventually([&] { return get(sluice.port()).body == "new"; }));
  go_on.open();
  CHECK(client.read_response().body == "old");
  client.send(request_text());
  CHECK(client.read_response().body == "new");  // the same connection, the new configuration
}

TEST_CASE("e2e/reload: health, counters and idle connections survive") {
  SimpleOrigin a("a"), b("b");
  Sluice sluice(kTwo, values(a, b, 1));
  b.stop();
  sluice.wait_for_state("app", "b", "down");
  for (int i = 0; i < 10; ++i) CHECK(get(sluice.port()).status == 200);
  REQUIRE(sluice.command({"weight", "app/a", "7"}).exit_code == 0);
  const double connects = sluice.value("sluice_upstream_connects_total");
  const Json before = sluice.endpoint("app", "a");
  sluice.rewrite(kTwo, values(a, b, 2));
  REQUIRE(sluice.reload().status == 200);
  CHECK(sluice.endpoint("app", "b").at("state") == "down");  // without a new probe
  CHECK(sluice.endpoint("app", "a").at("requests") >= before.at("requests"));
  for (int i = 0; i < 10; ++i) CHECK(get(sluice.port()).status == 200);
  CHECK(sluice.value("sluice_upstream_connects_total") <= connects + 2);
}
