// How each algorithm spreads a real run over its endpoints.
#include <cmath>
#include <set>

#include "tests/e2e/harness/e2e.h"

using namespace e2e;

namespace {

// "@more" is the rest of the pool.
constexpr const char* kThree = R"(
workers: 1
pools:
  app:
    endpoints:
      - {address: "@a", name: a, @oa}
      - {address: "@b", name: b, @ob}
      - {address: "@c", name: c, @oc}
    health: {type: off}
    @more
)";

struct Site {
  explicit Site(const std::string& more, Values options = {}) {
    Values values = {{"a", a.address()},  {"b", b.address()},  {"c", c.address()},
                     {"oa", "weight: 1"}, {"ob", "weight: 1"}, {"oc", "weight: 1"},
                     {"more", more}};
    for (const auto& [name, value] : options) values[name] = value;
    sluice = std::make_unique<Sluice>(kThree, values);
    client = Wire::to_port(sluice->port());
  }

  // Who answers.
  std::string ask(const std::string& path = "/", const std::string& lines = "") {
    client.send(request_text(path, lines));
    return client.read_response().field("X-Origin");
  }
  std::string ask_many(int times) {
    std::string who;
    while (times-- > 0) who += ask();
    return who;
  }
  Load load(int connections, seconds duration) {
    return Wrk(sluice->url(), connections, duration).finish();
  }
  size_t total() const { return a.requests() + b.requests() + c.requests(); }

  SimpleOrigin a{"a"}, b{"b"}, c{"c"};
  std::unique_ptr<Sluice> sluice;
  Wire client;
};

bool is_about(size_t count, size_t total, double share, double tolerance = 0.1) {
  return std::abs(static_cast<double>(count) / static_cast<double>(total) - share) <= tolerance;
}

}  // namespace

TEST_CASE("e2e/balance: round_robin takes turns, exactly") {
  Site site("balance: round_robin");
  CHECK(site.ask_many(9) == "abcabcabc");
}

TEST_CASE("e2e/balance: round_robin under load stays even") {
  Site site("balance: round_robin");
  const Load load = site.load(16, seconds(1));
  CHECK(load.errors() == 0);
  for (SimpleOrigin* each : {&site.a, &site.b, &site.c}) {
    CHECK(is_about(each->requests(), site.total(), 1.0 / 3, 0.01));
  }
}

TEST_CASE("e2e/balance: weighted is smooth: 5, 1, 1 gives a a b a c a a") {
  Site site("balance: weighted", {{"oa", "weight: 5"}});
  CHECK(site.ask_many(14) == "aabacaaaabacaa");
}

TEST_CASE("e2e/balance: weight 0 gets nothing, and weights change by command") {
  Site site("balance: weighted", {{"oc", "weight: 0"}});
  CHECK(site.ask_many(20).find('c') == std::string::npos);
  CHECK(site.sluice->command({"weight", "app/c", "1"}).exit_code == 0);
  CHECK(site.ask_many(6).find('c') != std::string::npos);
  CHECK(site.sluice->endpoint("app", "c").at("weight") == 1);
  CHECK(site.sluice->command({"weight", "app/c", "0"}).exit_code == 0);
  CHECK(site.ask_many(20).find('c') == std::string::npos);
}

TEST_CASE("e2e/balance: least_conn gives more to who is faster, counting requests in flight") {
  Site site("balance: least_conn");
  SUBCASE("ties go round robin") { CHECK(site.ask_many(6) == "abcabc"); }
  SUBCASE("a stuck endpoint gets no more than its share in flight") {
    site.a.set_delay(milliseconds(400));
    site.b.set_delay(milliseconds(2));
    site.c.set_delay(milliseconds(2));
    const Load load = site.load(12, seconds(2));
    CHECK(load.errors() == 0);
    CHECK(site.a.in_flight_peak() >= 3);  // it did get its share
    CHECK(site.a.in_flight_peak() <= 6);  // and not all connections gathered at it
    CHECK(site.a.requests() * 5 < site.b.requests());
  }
}

TEST_CASE("e2e/balance: least_conn divides by weight") {
  Site site("balance: least_conn", {{"oa", "weight: 4"}});
  for (SimpleOrigin* each : {&site.a, &site.b, &site.c}) each->set_delay(milliseconds(20));
  const Load load = site.load(12, seconds(2));
  CHECK(load.errors() == 0);
  CHECK(is_about(site.a.requests(), site.total(), 4.0 / 6));
}

TEST_CASE("e2e/balance: random_two is even, and avoids a stuck endpoint") {
  Site site("balance: random_two");
  SUBCASE("even") {
    site.load(8, seconds(1));
    for (SimpleOrigin* each : {&site.a, &site.b, &site.c}) {
      CHECK(is_about(each->requests(), site.total(), 1.0 / 3));
    }
  }
  SUBCASE("stuck") {
    site.a.set_delay(milliseconds(400));
    site.b.set_delay(milliseconds(2));
    site.c.set_delay(milliseconds(2));
    site.load(12, seconds(2));
    CHECK(site.a.requests() > 0);
    CHECK(site.a.requests() * 5 < site.b.requests());
  }
}

TEST_CASE("e2e/balance: ewma prefers who answers fast") {
  Site site("balance: ewma");
  site.a.set_delay(milliseconds(60));
  site.b.set_delay(milliseconds(2));
  site.c.set_delay(milliseconds(2));
  const Load load = site.load(4, seconds(2));
  CHECK(load.errors() == 0);
  CHECK(site.a.requests() > 0);
  CHECK(site.a.requests() * 10 < site.total());
}

TEST_CASE("e2e/balance: consistent_hash by path, header and cookie is stable") {
  const auto check = [](const std::string& by, const std::function<std::string(Site&, int)>& ask) {
    CAPTURE(by);
    Site site("balance: {consistent_hash: {by: \"" + by + "\"}}");
    std::map<int, std::string> who;
    std::set<std::string> used;
    for (int key = 0; key < 60; ++key) used.insert(who[key] = ask(site, key));
    CHECK(used.size() == 3);
    for (int key = 0; key < 60; ++key) CHECK(ask(site, key) == who[key]);
  };
  check("path", [](Site& site, int key) { return site.ask("/k" + std::to_string(key)); });
  check("header:X-User", [](Site& site, int key) {
    return site.ask("/", "X-User: u" + std::to_string(key) + "\r\n");
  });
  check("cookie:sid", [](Site& site, int key) {
    return site.ask("/", "Cookie: a=b; sid=s" + std::to_string(key) + "; c=d\r\n");
  });
}

TEST_CASE("e2e/balance: consistent_hash by client keeps one client at one endpoint") {
  Site site("balance: {consistent_hash: {by: client}}");
  const std::string who = site.ask_many(20);
  CHECK(who.find_first_not_of(who[0]) == std::string::npos);
}

TEST_CASE("e2e/balance: an endpoint more moves about 1/n of the keys, one less only its own") {
  Site site("balance: {consistent_hash: {by: path}}");
  constexpr int kKeys = 300;
  std::map<int, std::string> all;
  for (int key = 0; key < kKeys; ++key) all[key] = site.ask("/k" + std::to_string(key));
  REQUIRE(site.sluice->command({"disable", "app/c"}).exit_code == 0);
  int moved = 0;
  for (int key = 0; key < kKeys; ++key) {
    const std::string now = site.ask("/k" + std::to_string(key));
    CHECK(now != "c");
    if (all[key] != "c") CHECK(now == all[key]);
    moved += now != all[key] ? 1 : 0;
  }
  CHECK(is_about(static_cast<size_t>(moved), kKeys, 1.0 / 3, 0.12));
  REQUIRE(site.sluice->command({"enable", "app/c"}).exit_code == 0);
  for (int key = 0; key < kKeys; ++key) CHECK(site.ask("/k" + std::to_string(key)) == all[key]);
}

TEST_CASE("e2e/balance: a sticky cookie brings a client back, as long as its endpoint serves") {
  Site site("balance: round_robin\n    sticky: {cookie: srv}");
  site.client.send(request_text());
  const Message first = site.client.read_response();
  const std::string set = first.field("Set-Cookie");
  REQUIRE(set.starts_with("srv="));
  CHECK(set.find("HttpOnly") != std::string::npos);
  const std::string lines = "Cookie: x=y; " + set.substr(0, set.find(';')) + "\r\n";
  const std::string mine = first.field("X-Origin");
  for (int i = 0; i < 6; ++i) {
    site.client.send(request_text("/", lines));
    const Message again = site.client.read_response();
    CHECK(again.field("X-Origin") == mine);
    CHECK_FALSE(again.has("Set-Cookie"));
  }
  CHECK(site.ask_many(3).size() == 3);  // others go round robin
  REQUIRE(site.sluice->command({"disable", "app/" + mine}).exit_code == 0);
  site.client.send(request_text("/", lines));
  const Message moved = site.client.read_response();
  CHECK(moved.field("X-Origin") != mine);
  CHECK(moved.field("Set-Cookie").starts_with("srv="));
  CHECK(site.ask("/", "Cookie: srv=0123456789abcdef\r\n") != "");
  CHECK(site.ask("/", "Cookie: srv=forged\r\n") != "");
}

TEST_CASE("e2e/balance: a backup serves only while no other endpoint can") {
  Site site("balance: round_robin", {{"oc", "backup: true"}});
  CHECK(site.ask_many(6) == "ababab");
  REQUIRE(site.sluice->command({"disable", "app/a"}).exit_code == 0);
  CHECK(site.ask_many(3) == "bbb");
  REQUIRE(site.sluice->command({"disable", "app/b"}).exit_code == 0);
  CHECK(site.ask_many(3) == "ccc");
  REQUIRE(site.sluice->command({"enable", "app/a"}).exit_code == 0);
  CHECK(site.ask_many(3) == "aaa");
}

TEST_CASE("e2e/balance: max_in_flight is kept to under load, with a queue in front") {
  Site site("max_in_flight: 2\n    queue: {size: 100, timeout: 5s}");
  for (SimpleOrigin* each : {&site.a, &site.b, &site.c}) each->set_delay(milliseconds(10));
  const Load load = site.load(30, seconds(1));
  CHECK(load.errors() == 0);
  CHECK(load.requests > 50);
  for (SimpleOrigin* each : {&site.a, &site.b, &site.c}) CHECK(each->in_flight_peak() <= 2);
  CHECK(site.sluice->value("sluice_queue_waits_total") > 0);
}

TEST_CASE("e2e/balance: drain takes no new requests and lets the present one end") {
  Site site("balance: round_robin");
  site.a.set_delay(milliseconds(300));
  Wire slow = Wire::to_port(site.sluice->port());
  slow.send(request_text());
  REQUIRE(eventually([&] { return site.a.requests() == 1; }));
  const Finished drained = site.sluice->command({"drain", "app/a"});
  CHECK(drained.exit_code == 0);
  CHECK(drained.out.find("draining") != std::string::npos);
  CHECK(site.sluice->endpoint("app", "a").at("state") == "draining");
  CHECK(site.ask_many(6).find('a') == std::string::npos);
  CHECK(slow.read_response().field("X-Origin") == "a");
  CHECK(site.sluice->command({"undrain", "app/a"}).exit_code == 0);
  site.a.set_delay(milliseconds(0));
  CHECK(site.ask_many(6).find('a') != std::string::npos);
  CHECK(site.sluice->command({"disable", "app/a"}).exit_code == 0);
  CHECK(site.sluice->endpoint("app", "a").at("state") == "disabled");
  CHECK(site.sluice->command({"enable", "app/a"}).exit_code == 0);
  CHECK(site.sluice->endpoint("app", "a").at("state") == "up");
  const Finished unknown = site.sluice->command({"drain", "app/x"});
  CHECK(unknown.exit_code == 1);
  CHECK(unknown.err.find("app/a") != std::string::npos);  // what there is, or what is near
}

TEST_CASE("e2e/balance: slow_start gives an endpoint that came back less at first") {
  SimpleOrigin a("a"), b("b");
  b.set_health(500);
  Sluice sluice(R"(
workers: 1
pools:
  app:
    balance: weighted
    endpoints: [{address: "@a", name: a, weight: 10}, {address: "@b", name: b, weight: 10}]
    health: {type: http, path: /healthz, interval: 50ms, timeout: 2s, rise: 1, fall: 1}
    slow_start: 20s
)",
                {{"a", a.address()}, {"b", b.address()}});
  sluice.wait_for_state("app", "b", "down");
  b.set_health(200);
  sluice.wait_for_state("app", "b", "up");
  const size_t before_a = a.requests(), before_b = b.requests();
  Wire client = Wire::to_port(sluice.port());
  for (int i = 0; i < 200; ++i) {
    client.send(request_text());
    client.read_response();
  }
  CHECK(b.requests() > before_b);
  CHECK((b.requests() - before_b) * 3 < a.requests() - before_a);
}
