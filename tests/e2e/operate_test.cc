// What people look at and ask: logs, status, metrics, the command line; and many connections.
#include <sys/resource.h>

#include <fstream>
#include <regex>
#include <sstream>

#include "tests/e2e/harness/e2e.h"

using namespace e2e;

namespace {

constexpr const char* kOnePool = R"(
pools:
  app: {endpoints: [{address: "@a", name: a}], health: {type: off}}
)";

Finished check(const std::string& yaml, const std::vector<std::string>& more = {}) {
  TempDir dir;
  write_file(dir.path("s.yaml"), yaml);
  std::vector<std::string> arguments = {program("SLUICE"), "check", "-c", dir.path("s.yaml")};
  arguments.insert(arguments.end(), more.begin(), more.end());
  Finished finished = run(arguments);
  for (std::string* text : {&finished.out, &finished.err}) {
    const std::string folder = dir.path("");
    for (size_t at = 0; (at = text->find(folder)) != std::string::npos;) {
      text->erase(at, folder.size());
    }
  }
  return finished;
}

Finished sluice_says(const std::vector<std::string>& arguments) {
  std::vector<std::string> all = {program("SLUICE")};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return run(all);
}

}  // namespace

// Access log --------------------------------------------------------------------------------------

TEST_CASE("e2e/log: a JSON line has every field of the contract") {
  SimpleOrigin origin;
  origin.set_delay(milliseconds(30));
  Sluice sluice(kOnePool, {{"a", origin.address()}});
  Wire client = Wire::to_port(sluice.port());
  client.send(request_text("/p?q=\"x\"", "X-Request-Id: id-1\r\nContent-Length: 3\r\n", "POST") +
              "abc");
  client.read_response();
  const Json line = sluice.log(1)[0];
  const std::string ts = line.at("ts");
  CHECK(std::regex_match(ts, std::regex(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)")));
  CHECK(line.at("id") == "id-1");
  CHECK(line.at("client") == "127.0.0.1");
  CHECK(line.at("method") == "POST");
  CHECK(line.at("host") == "test");
  CHECK(line.at("path") == "/p?q=\"x\"");
  CHECK(line.at("status") == 200);
  CHECK(line.at("reason") == "");
  CHECK(line.at("bytes_in") == 3);
  CHECK(line.at("bytes_out") == 5);
  CHECK(line.at("total_ms").get<double>() >= 29);
  CHECK(line.at("connect_ms").get<double>() > 0);
  CHECK(line.at("first_byte_ms").get<double>() >= 29);
  CHECK(line.at("queue_ms") == 0);
  CHECK(line.at("route").is_string());
  CHECK(line.at("pool") == "app");
  CHECK(line.at("endpoint") == "a");
  CHECK(line.at("attempts") == 1);
  CHECK(line.at("cache") == "");
}

TEST_CASE("e2e/log: hostile bytes cannot break a line") {
  SimpleOrigin origin;
  Sluice sluice(kOnePool, {{"a", origin.address()}});
  Wire client = Wire::to_port(sluice.port());
  client.send("GET /\"}{ HTTP/1.1\r\nHost: \x80\xFF\r\n\r\n");
  client.read_response();
  get(sluice.port(), "/\"},{\":\"", "X-Request-Id: a\"b\r\nUser-Agent: \xC3\xA4\xFF\r\n");
  const auto lines = sluice.log(2);
  // Two connections may be two workers', whose lines have no order between them.
  CHECK(std::any_of(lines.begin(), lines.end(),
                    [](const Json& line) { return line.at("path") == "/\"},{\":\""; }));
  const std::string text = sluice.log_text();
  CHECK(std::count(text.begin(), text.end(), '\n') == 2);
}

TEST_CASE("e2e/log: the combined format, and none at all") {
  SimpleOrigin origin;
  const auto run_with = [&](const std::string& format) {
    TempDir dir;
    Sluice sluice(std::string("access_log: {path: \"@log\", format: ") + format + "}" + kOnePool,
                  {{"a", origin.address()}, {"log", dir.path("combined.log")}});
    get(sluice.port(), "/x", "Referer: http://r/\r\nUser-Agent: me \"1\"\r\n");
    sluice.stop();
    return read_file(dir.path("combined.log"));
  };
  const std::string combined = run_with("combined");
  const std::regex form(
      R"re(127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\] "GET /x HTTP/1\.1" 200 5 "http://r/" "me \\x221\\x22"\n)re");
  CAPTURE(combined);
  CHECK(std::regex_match(combined, form));
  CHECK(run_with("off").empty());
}

TEST_CASE("e2e/log: a log that cannot be written holds nobody up and is counted") {
  SimpleOrigin origin;
  Sluice sluice(std::string("access_log: {path: /dev/full, format: json}") + kOnePool,
                {{"a", origin.address()}});
  for (int i = 0; i < 50; ++i) CHECK(get(sluice.port()).status == 200);
  sluice.wait_for_value("sluice_log_write_errors_total", "", 1);
}

TEST_CASE("e2e/log: on stdout") {
  SimpleOrigin origin;
  Sluice sluice(std::string("access_log: {path: stdout, format: json}") + kOnePool,
                {{"a", origin.address()}});
  get(sluice.port(), "/out");
  CHECK(eventually([&] { return sluice.out().find("\"path\":\"/out\"") != std::string::npos; }));
}

// Admin -------------------------------------------------------------------------------------------

TEST_CASE("e2e/admin: the status has the shape of the contract") {
  SimpleOrigin origin;
  Sluice sluice(R"(
pools:
  app: {endpoints: [{address: "@a", name: a, weight: 3}], health: {type: tcp, interval: 50ms}}
)",
                {{"a", origin.address()}});
  get(sluice.port());
  REQUIRE(eventually([&] { return sluice.endpoint("app", "a")["last_check"]["ok"] == true; }));
  REQUIRE(eventually([&] { return sluice.endpoint("app", "a")["in_flight"] == 0; }));
  const Json status = sluice.status();
  CHECK(status.at("version").is_string());
  CHECK(status.at("uptime_s").is_number());
  CHECK(status.at("workers") == 2);
  const Json listener = status.at("listeners").at(0);
  CHECK(listener.at("name") == "web");
  CHECK(listener.at("connections").is_number());
  const Json endpoint = status.at("pools").at(0).at("endpoints").at(0);
  CHECK(endpoint.at("name") == "a");
  CHECK(endpoint.at("address") == origin.address());
  CHECK(endpoint.at("state") == "up");
  CHECK(endpoint.at("weight") == 3);
  CHECK(endpoint.at("in_flight") == 0);
  CHECK(endpoint.at("requests") == 1);
  CHECK(endpoint.at("failures") == 0);
  CHECK(endpoint.at("last_check").at("text").is_string());
  for (const char* key : {"hits", "misses", "hit_ratio", "bytes", "redis"}) {
    CHECK(status.at("cache").contains(key));
  }
  const Finished command = sluice.command({"status", "--json"});
  CHECK(command.exit_code == 0);
  CHECK(Json::parse(command.out).at("pools").at(0).at("name") == "app");
  const Finished text = sluice.command({"status"});
  CHECK(text.exit_code == 0);
  CHECK(text.out.find("app") != std::string::npos);
}

TEST_CASE("e2e/admin: /healthz, /readyz, /version, the dashboard and what is not there") {
  RefusingPort nobody;
  Sluice sluice(R"(
pools:
  app: {endpoints: [{address: "@a"}], health: {interval: 30ms, fall: 1}}
)",
                {{"a", nobody.address()}});
  CHECK(sluice.admin("GET", "/healthz").status == 200);
  CHECK(sluice.admin("HEAD", "/healthz").status == 200);
  CHECK(eventually([&] { return sluice.admin("GET", "/readyz").status == 503; }));
  CHECK(sluice.admin("GET", "/readyz?verbose").body.find("app") != std::string::npos);
  CHECK(Json::parse(sluice.admin("GET", "/version").body).at("version").is_string());
  CHECK(sluice.admin("GET", "/").field("Content-Type").starts_with("text/html"));
  CHECK(sluice.admin("GET", "/nothing").status == 404);
  CHECK(sluice.admin("GET", "/api/v1/reload").status == 405);
  CHECK(sluice.admin("POST", "/api/v1/status").status == 405);
}

TEST_CASE("e2e/admin: metrics are Prometheus text with the names of the contract") {
  SimpleOrigin origin;
  Sluice sluice(kOnePool, {{"a", origin.address()}});
  get(sluice.port());
  get(sluice.port(), "/..");
  const Message metrics = sluice.admin("GET", "/metrics");
  CHECK(metrics.field("Content-Type").starts_with("text/plain; version=0.0.4"));
  std::istringstream lines(metrics.body);
  const std::regex sample(
      R"re([a-z_:]+(\{([a-z_]+="[^"\n]*",?)*\})? -?[0-9.e+-]+|[a-z_]+.* (\+Inf|NaN)|.*le="\+Inf".* \d+)re");
  for (std::string line; std::getline(lines, line);) {
    CAPTURE(line);
    CHECK((line.starts_with("# HELP ") || line.starts_with("# TYPE ") ||
           std::regex_match(line, sample)));
  }
  CHECK(sluice.reaches("sluice_requests_total", "endpoint=\"a\",code=\"200\"", 1));
  CHECK(sluice.reaches("sluice_requests_total", "listener=\"web\"", 2));
  CHECK(sluice.reaches("sluice_request_seconds_count", "", 2));
  CHECK(sluice.reaches("sluice_endpoint_up", "pool=\"app\"", 1));
  CHECK(sluice.reaches("sluice_errors_total", "reason=\"bad_target\"", 1));
  for (const char* family : {"sluice_endpoint_in_flight", "sluice_retries_total",
                             "sluice_cache_requests_total", "sluice_build_info"}) {
    CHECK(metrics.body.find(std::string("# TYPE ") + family) != std::string::npos);
  }
}

TEST_CASE("e2e/admin: pages of other origins cannot change anything") {
  SimpleOrigin origin;
  Sluice sluice(kOnePool, {{"a", origin.address()}});
  Wire wire = Wire::to_unix(sluice.path("admin.sock"));
  wire.send(
      "POST /api/v1/reload HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n"
      "Content-Length: 0\r\n\r\n");
  CHECK(wire.read_response().status == 403);
}

// Command line ------------------------------------------------------------------------------------

TEST_CASE("e2e/check: every problem at once, with its place, the caret and the key meant") {
  const Finished finished = check(
      "listeners:\n"
      "  - {name: web, bind: \"127.0.0.1:0\"}\n"
      "pools:\n"
      "  app:\n"
      "    endpoints:\n"
      "      - {address: \"127.0.0.1:1\", wieght: 2}\n"
      "routes:\n"
      "  - {match: {path: /}, pool: ap}\n");
  CHECK(finished.exit_code == 1);
  CHECK(finished.err == "");
  CHECK(finished.out ==
        "s.yaml:6:34: error: pools.app.endpoints[0].wieght: unknown key; did you mean \"weight\"?\n"
        "      - {address: \"127.0.0.1:1\", wieght: 2}\n"
        "                                 ^\n"
        "s.yaml:8:30: error: routes[0].pool: there is no pool \"ap\"; did you mean \"app\" "
        "(s.yaml:4)?\n"
        "  - {match: {path: /}, pool: ap}\n"
        "                             ^\n"
        "s.yaml: 2 errors\n");
}

TEST_CASE("e2e/check: exit codes, --print with origins, and the reference passes") {
  const std::string good =
      "listeners: [{bind: \"127.0.0.1:0\"}]\npools: {a: {endpoints: [{address: "
      "\"127.0.0.1:1\"}]}}\n";
  CHECK(check(good).exit_code == 0);
  const Finished printed = check(good, {"--print"});
  CHECK(printed.exit_code == 0);
  CHECK(printed.out.find("s.yaml:1") != std::string::npos);
  CHECK(printed.out.find("# default") != std::string::npos);
  CHECK(check("listeners: [\n").exit_code == 1);
  CHECK(sluice_says({"check"}).exit_code == 2);
  CHECK(sluice_says({"check", "-c", "/no/such/file"}).exit_code == 1);
  CHECK(sluice_says({"nonsense"}).exit_code == 2);
  CHECK(sluice_says({}).exit_code == 2);
  CHECK(sluice_says({"--help"}).exit_code == 0);
  CHECK(sluice_says({"serve", "-c", "/no/such/file"}).exit_code == 1);
  CHECK(sluice_says({"version"}).out.starts_with("sluice "));
  CHECK(sluice_says({"status", "--admin", "unix:/no/such/socket"}).exit_code == 1);
  const Finished reference = sluice_says({"reference"});
  CHECK(reference.exit_code == 0);
  CHECK(check(reference.out).exit_code == 0);
  CHECK(Json::parse(sluice_says({"schema"}).out).contains("properties"));
}

TEST_CASE("e2e/check: serve refuses a file with errors by the same text") {
  TempDir dir;
  write_file(dir.path("s.yaml"), "listenrs: []\n");
  const Finished finished = run({program("SLUICE"), "serve", "-c", dir.path("s.yaml")});
  CHECK(finished.exit_code == 1);
  CHECK(finished.err.find(":1:1: error: listenrs: unknown key; did you mean \"listeners\"?") !=
        std::string::npos);
}

// Sockets -----------------------------------------------------------------------------------------

TEST_CASE("e2e/sockets: listeners and endpoints on unix sockets") {
  SimpleOrigin origin;
  TempDir dir;
  Values inner = {{"a", origin.address()}, {"sock", dir.path("inner.sock")}};
  Sluice behind(std::string("listeners: [{name: web, bind: \"127.0.0.1:0\"}, "
                            "{name: inner, bind: \"unix:@sock\"}]") +
                    kOnePool,
                inner);
  Sluice front(kOnePool, {{"a", "unix:" + dir.path("inner.sock")}});
  const Message response = get(front.port(), "/through-both");
  CHECK(response.status == 200);
  CHECK(response.field("Via") == "1.1 sluice, 1.1 sluice");
  CHECK(behind.log(1)[0].at("path") == "/through-both");
}

TEST_CASE("e2e/sockets: an endpoint that leads back here is found out, not followed for ever") {
  TempDir dir;
  Sluice sluice(std::string("listeners: [{name: web, bind: \"127.0.0.1:0\"}, "
                            "{name: inner, bind: \"unix:@sock\"}]") +
                    kOnePool,
                {{"a", "unix:" + dir.path("inner.sock")}, {"sock", dir.path("inner.sock")}});
  const Message response = get(sluice.port());
  CHECK(response.status == 508);
  CHECK(response.field("Proxy-Status").find("loop_detected") != std::string::npos);
  CHECK(sluice.reaches("sluice_errors_total", "loop_detected", 1));
  CHECK(sluice.log(9).size() == 9);  // eight passed it on, and no try was repeated
}

TEST_CASE("e2e/sockets: a thousand connections at once") {
  constexpr size_t kMany = 1000;
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  REQUIRE(limit.rlim_cur > kMany * 2 + 100);
  SimpleOrigin origin;
  Sluice sluice(kOnePool, {{"a", origin.address()}});
  const uint16_t port = sluice.port();
  const uint64_t before = sluice.rss_kib();
  std::vector<Wire> clients;
  for (size_t i = 0; i < kMany; ++i) clients.push_back(Wire::to_port(port));
  sluice.wait_for_value("sluice_listener_connections", "listener=\"web\"", kMany);
  for (int round = 0; round < 3; ++round) {
    for (Wire& client : clients) client.send(request_text());
    for (Wire& client : clients) REQUIRE(client.read_response().body == "hello");
  }
  CHECK(origin.requests() == 3 * kMany);
  MESSAGE("grew by " << sluice.rss_kib() - before << " KiB");
  if (!kSanitized) CHECK(sluice.rss_kib() < before + 40 * 1024);
  clients.clear();
  CHECK(eventually([&] { return sluice.value("sluice_connections_open") == 0; }));
}

TEST_CASE("e2e/sockets: a connection for each request, under load") {
  SimpleOrigin origin;
  origin.set_close_each(true);
  Sluice sluice(kOnePool, {{"a", origin.address()}});
  for (int i = 0; i < 20; ++i) get(sluice.port());
  const size_t fds = sluice.fds();
  const Load load = Wrk(sluice.url(), 16, seconds(2), {"-H", "Connection: close"}).finish();
  CAPTURE(load.text);
  CHECK(load.connect_errors + load.bad_statuses + load.timeouts == 0);
  CHECK(load.requests > 100);
  eventually([&] { return sluice.fds() <= fds + 2; });
  CHECK(sluice.fds() <= fds + 2);
}
