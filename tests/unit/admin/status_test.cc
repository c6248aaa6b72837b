#include "sluice/admin/status.h"

#include <nlohmann/json.hpp>

#include "sluice/admin/metrics.h"
#include "sluice/admin/recent.h"
#include "support.h"

namespace sluice::admin {
namespace {

using Json = nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST_CASE("admin/status: the shape of the contract") {
  test::FakePort port;
  port.endpoint(0).set_check({.at = WallTime(seconds(1'700'000'000) + milliseconds(250)),
                              .since = {},
                              .ok = true,
                              .done = true,
                              .text = "200 in 1.2 ms"});
  const Json status = Json::parse(status_json(collect_status(port)));
  CHECK(status["version"] == "9.9.9");
  CHECK(status["uptime_s"] == 61);
  CHECK(status["workers"] == 2);
  CHECK(status["listeners"] ==
        Json::parse(R"([{"name":"web","bind":"0.0.0.0:8080","connections":12}])"));
  CHECK(status["cache"] ==
        Json::parse(R"({"hits":0,"misses":0,"hit_ratio":0.0,"bytes":0,"limit":0,"entries":0,
                                         "evicted":0,"purged":0,"redis":"off","servers":[],"routes":[],
                "tiers":{"memory":{"hits":0,"misses":0,"hit_ratio":0.0},
                         "redis":{"hits":0,"misses":0,"hit_ratio":0.0}}})"));
  const Json& pool = status["pools"][0];
  CHECK(pool["name"] == "orders");
  const Json& endpoint = pool["endpoints"][0];
  CHECK(endpoint["name"] == "a");
  CHECK(endpoint["address"] == "127.0.0.1:9001");
  CHECK(endpoint["state"] == "up");
  for (const char* number : {"weight", "in_flight", "requests", "failures"}) {
    CHECK(endpoint[number].is_number_unsigned());
  }
  CHECK(endpoint["last_check"] ==
        Json::parse(R"({"at":"2023-11-14T22:13:20.250Z","ok":true,"text":"200 in 1.2 ms"})"));
  CHECK(pool["endpoints"][1]["last_check"]["ok"].is_null());
  CHECK(status["generation"] == 7);
  CHECK(status["ready"] == true);
  CHECK(status["last_reload"].is_null());
}

TEST_CASE("admin/status: bytes of a peer that are no UTF-8 do not spoil the JSON") {
  StatusFacts facts;
  facts.pools.push_back({"p", "round_robin", {}});
  facts.pools[0].endpoints.emplace_back().check = {
      .at = {}, .since = {}, .ok = false, .done = true, .text = "\xff\xfe"};
  CHECK_NOTHROW(Json::parse(status_json(facts)));
}

TEST_CASE("admin/status: one line for systemd") {
  StatusFacts facts;
  facts.server.phase = Phase::serving;
  facts.server.listeners.resize(3);
  facts.pools.push_back({"p", "round_robin", std::vector<EndpointFacts>(12)});
  facts.pools[0].endpoints[1].state = upstream::EndpointState::down;
  facts.pools[0].endpoints[5].state = upstream::EndpointState::down;
  CHECK(status_line(facts) == "serving 3 listeners, 2/12 endpoints down");
  facts.server.listeners.resize(1);
  facts.server.phase = Phase::draining;
  CHECK(status_line(facts) == "draining 1 listener, 2/12 endpoints down");
}

TEST_CASE("admin/status: what keeps it from being ready") {
  StatusFacts facts;
  facts.server.phase = Phase::serving;
  facts.pools.push_back({"p", "round_robin", std::vector<EndpointFacts>(2)});
  CHECK(not_ready_reasons(facts) == std::vector<std::string>{"pool p has no usable endpoint"});
  facts.pools[0].endpoints[1].is_usable = true;
  CHECK(not_ready_reasons(facts).empty());
  facts.server.phase = Phase::starting;
  CHECK(not_ready_reasons(facts) == std::vector<std::string>{"sluice is starting"});
}

TEST_CASE("admin/metrics: endpoints by pool and name") {
  EndpointFacts up, down;
  up.name = "a";
  up.in_flight = 3;
  up.is_usable = true;
  down.name = "b\"\n";
  down.is_healthy = false;
  stats::PrometheusWriter out;
  write_endpoints(out, {{"orders", "round_robin", {up, down}}});
  const std::string& text = out.text();
  CHECK(text.find("# TYPE sluice_endpoint_up gauge\n"
                  "sluice_endpoint_up{pool=\"orders\",endpoint=\"a\"} 1\n"
                  "sluice_endpoint_up{pool=\"orders\",endpoint=\"b\\\"\\n\"} 0\n") !=
        std::string::npos);
  CHECK(text.find("sluice_endpoint_in_flight{pool=\"orders\",endpoint=\"a\"} 3\n") !=
        std::string::npos);
}

TEST_CASE("admin/metrics: the families of the contract are there, each once") {
  test::FakePort port;
  stats::Collect collect;
  const uint16_t id = port.names.intern("x");
  collect.add_block().requests.record({id, id, id, id, 200}, milliseconds(3));
  const std::string text = metrics_text(collect_status(port), collect, port.names);
  for (const char* family :
       {"sluice_requests_total", "sluice_request_seconds", "sluice_endpoint_up",
        "sluice_endpoint_in_flight", "sluice_retries_total", "sluice_errors_total",
        "sluice_loop_lag_seconds", "sluice_open_fds", "sluice_build_info",
        "sluice_config_generation", "sluice_config_reloads_total", "sluice_log_dropped_total"}) {
    CAPTURE(family);
    const std::string type = "# TYPE " + std::string(family) + " ";
    const size_t first = text.find(type);
    CHECK(first != std::string::npos);
    CHECK(text.find(type, first + 1) == std::string::npos);
  }
  CHECK(text.ends_with('\n'));
  CHECK(process_facts().open_fds > 2);
}

TEST_CASE("admin/recent: rate and latency between the first and the last look") {
  stats::Collect collect;
  stats::Block& block = collect.add_block();
  Recent recent;
  CHECK(recent.facts().seconds == 0);
  const TimePoint start = monotonic_now();
  block.requests.record({1, 1, 1, 1, 200}, seconds(1));
  recent.look(collect, start);
  CHECK(recent.facts().seconds == 0);
  for (int i = 0; i < 100; ++i) block.requests.record({1, 1, 1, 1, 200}, milliseconds(10));
  recent.look(collect, start + seconds(2));
  const RecentFacts facts = recent.facts();
  CHECK(facts.seconds == doctest::Approx(2));
  CHECK(facts.requests_per_s == doctest::Approx(50));
  CHECK(to_ms(facts.p50) == doctest::Approx(10).epsilon(0.05));
  CHECK(to_ms(facts.p99) == doctest::Approx(10).epsilon(0.05));

  for (int i = 0; i < 20; ++i) recent.look(collect, start + seconds(3 + i));
  CHECK(recent.facts().seconds == doctest::Approx(10));
  CHECK(recent.facts().requests_per_s == 0);
}

}  // namespace
}  // namespace sluice::admin
