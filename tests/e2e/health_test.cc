// Health: probes, what happens when all are down, passive ejection, and names.
#include "tests/e2e/harness/e2e.h"

using namespace e2e;

namespace {

constexpr const char* kTwo = R"(
pools:
  app:
    endpoints: [{address: "@a", name: a}, {address: "@b", name: b}]
    health: {@health, interval: 40ms, timeout: 2s, rise: 2, fall: 2}
    retry: {attempts: 1}
    outlier: {failures: 0}
    @more
)";

std::string ask(Sluice& sluice) { return get(sluice.port()).field("X-Origin"); }

}  // namespace

TEST_CASE("e2e/health: HTTP checks take an endpoint out and bring it back") {
  SimpleOrigin a("a"), b("b");
  Sluice sluice(kTwo, {{"a", a.address()},
                       {"b", b.address()},
                       {"health", "type: http, path: /healthz"},
                       {"more", ""}});
  CHECK(eventually([&] { return a.probes() > 2 && b.probes() > 2; }));
  CHECK(sluice.endpoint("app", "a").at("state") == "up");
  a.set_health(500);
  sluice.wait_for_state("app", "a", "down");
  const Json check = sluice.endpoint("app", "a").at("last_check");
  CHECK(check.at("ok") == false);
  CHECK(check.at("text").get<std::string>().find("500") != std::string::npos);
  CHECK(check.at("at").is_string());
  CHECK(sluice.reaches("sluice_endpoint_up", "endpoint=\"a\"", 0));
  CHECK(sluice.value("sluice_health_check_failures_total") >= 2);
  for (int i = 0; i < 10; ++i) CHECK(ask(sluice) == "b");
  a.set_health(201);
  sluice.wait_for_state("app", "a", "up");
  CHECK(sluice.endpoint("app", "a").at("last_check").at("ok") == true);
  CHECK(eventually([&] { return ask(sluice) == "a"; }));
}

TEST_CASE("e2e/health: a probe asks as configured, and looks for the text in the body") {
  std::atomic<bool> good{true};
  Origin a([&](OriginConn& c) {
    c.expect_request();
    c.send(answer(299, good ? "all is fine" : "all is bad"));
    c.wait_for_end();
  });
  SimpleOrigin b("b");
  Sluice sluice(R"(
pools:
  app:
    endpoints: [{address: "@a", name: a}]
    health: {type: http, method: POST, path: "/up?x=1", host: probe.example, expect: [201, 299],
             body: fine, interval: 40ms, timeout: 2s, rise: 1, fall: 1, initial: down}
)",
                {{"a", a.address()}});
  sluice.wait_for_state("app", "a", "up");
  const Message probe = a.request(0);
  CHECK(probe.method == "POST");
  CHECK(probe.target == "/up?x=1");
  CHECK(probe.field("Host") == "probe.example");
  good = false;
  sluice.wait_for_state("app", "a", "down");
  CHECK(get(sluice.port()).status == 503);
}

TEST_CASE("e2e/health: a probe that is not answered in time is a bad one") {
  Origin a([](OriginConn& c) {
    c.expect_request();
    c.wait_for_end();
  });
  Sluice sluice(R"(
pools:
  app:
    endpoints: [{address: "@a", name: a}]
    health: {type: http, interval: 100ms, timeout: 50ms, rise: 1, fall: 2}
)",
                {{"a", a.address()}});
  sluice.wait_for_state("app", "a", "down");
}

TEST_CASE("e2e/health: TCP checks see a closed port and its return") {
  SimpleOrigin a("a"), b("b");
  Sluice sluice(kTwo,
                {{"a", a.address()}, {"b", b.address()}, {"health", "type: tcp"}, {"more", ""}});
  a.stop();
  sluice.wait_for_state("app", "a", "down");
  const std::string text = sluice.endpoint("app", "a").at("last_check").at("text");
  CHECK(text.find("refused") != std::string::npos);
  CHECK(ask(sluice) == "b");
  a.start();
  sluice.wait_for_state("app", "a", "up");
}

TEST_CASE("e2e/health: initial: down serves nobody before the first good probe") {
  SimpleOrigin a("a");
  a.set_health(500);
  Sluice sluice(R"(
pools:
  app:
    endpoints: [{address: "@a", name: a}]
    health: {type: http, path: /healthz, interval: 40ms, timeout: 2s, rise: 1, initial: down}
)",
                {{"a", a.address()}});
  CHECK(get(sluice.port()).status == 503);
  CHECK(sluice.admin("GET", "/readyz").status == 503);
  a.set_health(200);
  sluice.wait_for_state("app", "a", "up");
  CHECK(get(sluice.port()).status == 200);
  CHECK(sluice.admin("GET", "/readyz").status == 200);
}

TEST_CASE("e2e/health: when all are down: fail says 503 at once, try_all tries") {
  SimpleOrigin a("a"), b("b");
  a.set_health(500);
  b.set_health(500);
  const auto start = [&](const char* rule) {
    Values values = {{"a", a.address()},
                     {"b", b.address()},
                     {"health", "type: http, path: /healthz"},
                     {"more", std::string("when_all_down: ") + rule}};
    auto sluice = std::make_unique<Sluice>(kTwo, values);
    sluice->wait_for_state("app", "a", "down");
    sluice->wait_for_state("app", "b", "down");
    return sluice;
  };
  SUBCASE("fail") {
    auto sluice = start("fail");
    const Message response = get(sluice->port());
    CHECK(response.status == 503);
    CHECK(response.has("Retry-After"));
    CHECK(response.field("Proxy-Status") ==
          "sluice; error=destination_unavailable; details=\"no_healthy_endpoint\"");
    CHECK(a.requests() + b.requests() == 0);
  }
  SUBCASE("try_all") {
    auto sluice = start("try_all");
    CHECK(get(sluice->port()).status == 200);
    CHECK(get(sluice->port()).status == 200);
    CHECK(a.requests() + b.requests() == 2);
  }
}

TEST_CASE("e2e/health: failures in a row take an endpoint out for a while, then longer") {
  SimpleOrigin a("a"), b("b");
  a.set_status(502);
  Sluice sluice(R"(
workers: 1
pools:
  app:
    endpoints: [{address: "@a", name: a}, {address: "@b", name: b}]
    health: {type: off}
    retry: {attempts: 1}
    outlier: {failures: 3, base: 200ms, max_share: 50%}
)",
                {{"a", a.address()}, {"b", b.address()}});
  for (int i = 0; i < 6; ++i) get(sluice.port());
  CHECK(a.requests() == 3);
  CHECK(sluice.reaches("sluice_outlier_ejections_total", "", 1));
  for (int i = 0; i < 4; ++i) CHECK(ask(sluice) == "b");
  CHECK(a.requests() == 3);
  a.set_status(200);
  CHECK(eventually([&] { return ask(sluice) == "a"; }));  // back without a probe
}

TEST_CASE("e2e/health: never more than max_share is taken out") {
  SimpleOrigin a("a"), b("b");
  a.set_status(502);
  b.set_status(502);
  Sluice sluice(R"(
workers: 1
pools:
  app:
    endpoints: [{address: "@a", name: a}, {address: "@b", name: b}]
    health: {type: off}
    retry: {attempts: 1}
    outlier: {failures: 2, base: 1h, max_share: 50%}
)",
                {{"a", a.address()}, {"b", b.address()}});
  for (int i = 0; i < 20; ++i) CHECK(get(sluice.port()).status == 502);
  CHECK(a.requests() + b.requests() == 20);
  CHECK(sluice.reaches("sluice_outlier_ejections_total", "", 1));
  const bool a_out = sluice.endpoint("app", "a").at("ejected");
  CHECK(a_out != sluice.endpoint("app", "b").at("ejected").get<bool>());
}

TEST_CASE("e2e/health: an endpoint dies under load without one failed GET, and comes back") {
  SimpleOrigin a("a"), b("b"), c("c");
  Sluice sluice(R"(
pools:
  app:
    endpoints: [{address: "@a", name: a}, {address: "@b", name: b}, {address: "@c", name: c}]
    health: {type: tcp, interval: 100ms, timeout: 500ms}
    outlier: {base: 200ms}
)",
                {{"a", a.address()}, {"b", b.address()}, {"c", c.address()}});
  Wrk wrk(sluice.url(), 32, seconds(4));
  REQUIRE(eventually([&] { return b.requests() > 200; }));
  b.stop();
  sluice.wait_for_state("app", "b", "down");
  const size_t at_death = b.requests();
  REQUIRE(eventually([&] { return a.requests() > at_death + 200; }));
  CHECK(b.requests() == at_death);
  b.start();
  sluice.wait_for_state("app", "b", "up");
  REQUIRE(eventually([&] { return b.requests() > at_death + 50; }));
  const Load load = wrk.finish();
  CAPTURE(load.text);
  CHECK(load.errors() == 0);
  CHECK(load.requests > 1000);
  // The fault did happen: requests were lost and sent again.
  CHECK(sluice.value("sluice_retries_total") + sluice.value("sluice_keepalive_race_resends_total") +
            sluice.value("sluice_upstream_connect_failures_total") >
        0);
}

TEST_CASE("e2e/health: a name is resolved, and its address is told") {
  SimpleOrigin a("a");
  Sluice sluice(R"(
pools:
  app:
    endpoints: [{address: "localhost:@port", name: a, resolve: 100ms}]
    health: {type: tcp, interval: 50ms}
    retry: {attempts: 3}
)",
                {{"port", std::to_string(a.port())}});
  sluice.wait_for_value("sluice_dns_lookups_total", "", 2);
  CHECK(eventually([&] { return get(sluice.port()).status == 200; }));
  const Json addresses = sluice.endpoint("app", "a").at("addresses");
  CHECK(addresses.dump().find("127.0.0.1") != std::string::npos);
}

TEST_CASE("e2e/health: a name without an address is 502 or 503 with its reason, not a hang") {
  Sluice sluice(R"(
pools:
  app:
    endpoints: [{address: "no-such-name.invalid:80", name: a}]
    health: {type: tcp, interval: 50ms}
    when_all_down: try_all
)");
  sluice.wait_for_value("sluice_dns_failures_total", "", 1);
  const Message response = get(sluice.port());
  CHECK(response.status == 502);
  CHECK(response.field("Proxy-Status") ==
        "sluice; error=dns_error; next-hop=\"a\"; details=\"dns_failed\"");
}
