#include <doctest/doctest.h>

#include "sluice/server/cli.h"

namespace sluice::server {
namespace {

constexpr const char* kStatus = R"({"version":"0.1.0","uptime_s":3725,"workers":2,
 "listeners":[{"name":"web","bind":"0.0.0.0:8080","connections":12}],
 "pools":[{"name":"orders","endpoints":[
   {"name":"a","address":"127.0.0.1:9001","state":"up","weight":1,"in_flight":3,"requests":100,
    "failures":0,"last_check":{"at":"x","ok":true,"text":"200 in 1.2 ms"}},
   {"name":"b","address":"127.0.0.1:9002","state":"down","weight":1,"in_flight":0,"requests":40,
    "failures":4,"last_check":{"at":"x","ok":false,"text":"connection refused"},"backup":true}]}],
 "state":"serving","generation":3,"not_ready":[],"last_reload":{"at":"T","ok":false,"text":"x"},
 "recent":{"seconds":10,"requests_per_s":5,"p50_ms":1,"p95_ms":2,"p99_ms":3},
 "totals":{"requests":140,"retries":4,"errors":{"connect_refused":4}}})";

TEST_CASE("server/cli: the status as a table") {
  CHECK(status_table(kStatus, false) ==
        "sluice 0.1.0, up 1h 2m, 2 workers, serving, generation 3\n"
        "the reload at T failed; its problems are in the log\n"
        "5 requests/s, p50 1.00 ms, p95 2.00 ms, p99 3.00 ms (last 10 s)\n"
        "140 requests, 4 retries, 4 connect_refused\n"
        "\n"
        "LISTENER  BIND          CONNECTIONS\n"
        "web       0.0.0.0:8080           12\n"
        "\n"
        "POOL    ENDPOINT  ADDRESS         STATE         WEIGHT  IN FLIGHT  REQUESTS  FAILURES  "
        "LAST CHECK\n"
        "orders  a         127.0.0.1:9001  up                 1          3       100         0  "
        "ok: 200 in 1.2 ms\n"
        "orders  b         127.0.0.1:9002  down, backup       1          0        40         4  "
        "bad: connection refused\n");
}

TEST_CASE("server/cli: colours only when asked for") {
  CHECK(status_table(kStatus, false).find('\x1b') == std::string::npos);
  CHECK(status_table(kStatus, true).find("\x1b[32mup\x1b[0m") != std::string::npos);
}

TEST_CASE("server/cli: top shows the rate since the look before") {
  std::string later = kStatus;
  later.replace(later.find("\"requests\":100"), 14, "\"requests\":300");
  const std::string screen = top_screen(kStatus, later, 2.0);
  CHECK(screen.find("REQ/S") != std::string::npos);
  CHECK(screen.find("    100  ok: 200") != std::string::npos);
  CHECK(top_screen("", later, 2.0).find("REQ/S") == std::string::npos);
}

TEST_CASE("server/cli: an answer of something else is told, and a partial one is shown") {
  CHECK(status_table("<html>", false).find("no sluice") != std::string::npos);
  CHECK(status_table("{}", false).find("sluice -,") == 0);
}

}  // namespace
}  // namespace sluice::server
