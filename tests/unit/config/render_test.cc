// What is made from the schema rows: drift shows here.
#include "sluice/config/render.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "sluice/base/random.h"
#include "sluice/config/schema.h"
#include "tests/unit/config/config_testing.h"

namespace sluice::config {

namespace {

std::string file_in_repository(const std::string& name) {
  const char* root = std::getenv("SLUICE_ROOT");
  std::ifstream file(std::string(root == nullptr ? "." : root) + "/" + name);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// Calls f(section, row) for every row of the schema.
template <typename F>
void for_each_row(const Section& section, F&& f) {
  for (const Row& row : section.rows) {
    f(section, row);
    if (row.section != nullptr) for_each_row(*row.section, f);
  }
}

}  // namespace

TEST_CASE("config/render: conf/sluice.reference.yaml and its schema are what the rows say") {
  CHECK(file_in_repository("conf/sluice.reference.yaml") == reference_yaml());
  CHECK(file_in_repository("conf/sluice.schema.json") == json_schema());
}

TEST_CASE("config/render: the reference configuration is valid and holds the defaults") {
  const LoadResult result = load(reference_yaml());
  REQUIRE(format_text(result.diagnostics) == "");
  const Config& config = *result.config;
  const Config defaults;
  CHECK(config.workers == defaults.workers);
  CHECK(config.drain_timeout == defaults.drain_timeout);
  CHECK(config.shutdown_delay == defaults.shutdown_delay);
  CHECK(config.cache == defaults.cache);
  CHECK(config.admin == defaults.admin);
  CHECK(config.access_log == defaults.access_log);
  Listener listener;
  listener.name = config.listeners[0].name;
  listener.bind = config.listeners[0].bind;
  CHECK(config.listeners == std::vector<Listener>{listener});
  Pool pool;
  pool.name = config.pools[0].name;
  pool.endpoints.resize(1);
  pool.endpoints[0].name = config.pools[0].endpoints[0].name;
  pool.endpoints[0].address = config.pools[0].endpoints[0].address;
  CHECK(config.pools == std::vector<Pool>{pool});
  Route route;
  route.name = config.routes[0].name;
  route.pool = pool.name;
  CHECK(config.routes == std::vector<Route>{route});
}

TEST_CASE("config/render: every key stands in the reference, with help") {
  const std::string reference = reference_yaml();
  size_t rows = 0;
  for_each_row(root_section(), [&](const Section&, const Row& row) {
    CAPTURE(row.key);
    ++rows;
    CHECK_FALSE(row.help.empty());
    if (row.key == "consistent_hash" || row.key == "by") return;  // in the help of balance
    CHECK(reference.find(std::string(row.key) + ":") != std::string::npos);
  });
  CHECK(rows > 80);
}

TEST_CASE("config/render: every default is one that its row takes") {
  for_each_row(root_section(), [&](const Section& section, const Row& row) {
    if (row.shape != Shape::kScalar) return;
    const std::optional<std::string> text = default_text(section, row);
    if (!text || row.secret) return;
    CAPTURE(row.key);
    CAPTURE(*text);
    if (text->empty()) {
      CHECK(row.type->may_be_empty);
      return;
    }
    // Into a value that is thrown away: rows of one type differ in their struct only.
    alignas(16) static char scratch[sizeof(Config)];
    if (row.type->check != nullptr) {
      CHECK_FALSE(row.type->check(*text));
    } else if (row.type->bound != nullptr || row.type->json_type == "integer") {
      const Fault fault = row.type->read({row, ""}, *text, scratch);
      CHECK(fault.message == "");
    }
  });
}

TEST_CASE("config/render: the files that come with sluice are fine") {
  for (const char* name : {"conf/minimal.yaml", "conf/demo.yaml"}) {
    CAPTURE(name);
    const LoadResult result = load(file_in_repository(name));
    CHECK(format_text(result.diagnostics) == "");
  }
  const LoadResult demo =
      load(file_in_repository("conf/demo.yaml"), {{"PORT", "81"}, {"ORDERS_B", "82"}});
  REQUIRE(demo.ok());
  CHECK(demo.config->listeners[0].bind.port == 81);
  CHECK(demo.config->pools[0].endpoints[1].address.port == 82);
  CHECK(demo.config->pools[0].endpoints[2].address.port == 9003);
}

TEST_CASE("config/render: the effective configuration tells where values came from") {
  const LoadResult result = load(
      "listeners:\n  - bind: 127.0.0.1:${PORT}\n    timeouts: {idle: 5s}\n"
      "pools: {api: {endpoints: [{address: \"127.0.0.1:1\"}], retry: {on: [connect]}}}\n",
      {{"PORT", "80"}});
  REQUIRE(result.ok());
  const std::string text = print_effective(*result.config, result.origins);
  for (std::string_view line : {
           "workers: auto                                 # default\n",
           "  - name: 127.0.0.1:80                        # default\n",
           "    bind: 127.0.0.1:80                        # env PORT\n",
           "      head: 10s                               # default\n",
           "      idle: 5s                                # t.yaml:3\n",
           "      on: [connect]                           # t.yaml:4\n",
           "    pool: api                                 # default\n",
       }) {
    CAPTURE(line);
    CHECK(text.find(line) != std::string::npos);
  }
}

TEST_CASE("config/render: what is printed is the same configuration again") {
  const std::string_view extra = R"yaml(
listeners:
  - {bind: "[::]:80", limits: {body: 10MB}, trusted_proxies: [10.0.0.0/8]}
pools:
  a:
    balance: {consistent_hash: {by: "cookie:Sid"}}
    endpoints: [{address: "h:1", resolve: off}, {address: "unix:/x y", name: "null"}]
    health: {type: http, path: "/a?b", body: "it's \"fine\": $${yes}"}
    retry: {on: []}
    sticky: {cookie: c}
  b: {endpoints: [{address: "[::1]:5"}], health: {type: off}}
cache: {redis: {url: "redis://h/1", lease_wait: off}, purge_from: [127.0.0.1]}
routes:
  - {match: {path: /c}, pool: a, cache: {default_ttl: 5s, status_ttl: {410: off, 404: 10s}, jitter: 5%, set_cookie: never, bypass_headers: [X-A], targeted_fields: [], key: {query: {only: []}, headers: [X-B], cookies: [s]}}}
  - {match: {path: /d}, pool: a, cache: {forced_ttl: 1h, heuristic: false, key: {query: {without: ["utm_*"]}, sort_query: true}}}
  - {match: {path: /e}, pool: a, cache: {}}
  - {match: {host: "*.a.b", path_exact: /x, headers: {X-A: " 1"}}, redirect: {status: 301, location: "http://x/"}}
  - {match: {path: /r}, respond: {body: "a\n\tb\x01 é", content_type: ""}, response_headers: {set: {A: "[x]"}}}
  - {match: {path: /s/, method: [GET]}, pool: b, strip_prefix: /s, request_headers: {remove: [B]}}
  - {pool: a}
access_log: {path: "*odd", format: off}
)yaml";
  const LoadResult first = load(std::string(extra).replace(extra.find("\" 1\""), 4, "\"1\""));
  REQUIRE(format_text(first.diagnostics) == "");
  const std::string printed = print_effective(*first.config, first.origins);
  CAPTURE(printed);
  const LoadResult second = load(printed);
  REQUIRE(format_text(second.diagnostics) == "");
  CHECK(first.config->listeners == second.config->listeners);
  CHECK(first.config->pools == second.config->pools);
  CHECK(first.config->routes == second.config->routes);
  CHECK(first.config->access_log == second.config->access_log);
  CHECK(first.config->cache == second.config->cache);
}

TEST_CASE("config/render: the JSON Schema knows the keys and what is required") {
  const nlohmann::json schema = nlohmann::json::parse(json_schema());
  CHECK(schema["additionalProperties"] == false);
  CHECK(schema["required"] == nlohmann::json{"listeners"});
  const nlohmann::json& pool = schema["properties"]["pools"]["additionalProperties"];
  CHECK(pool["properties"]["endpoints"]["minItems"] == 1);
  CHECK(pool["properties"]["timeouts"]["properties"]["connect"]["default"] == "1s");
  CHECK(pool["properties"]["retry"]["properties"]["attempts"]["default"] == 2);
  CHECK(schema["properties"]["workers"]["default"] == "auto");
}

TEST_CASE("config/render: a secret is masked in what is printed") {
  for (const char* redis : {
           "url: \"redis://me:hunter2@h:1/0\"",
           "url: \"redis://:hunter2@h\"",
           "url: \"redis://hunter2@h:1\"",
           "url: \"redis://me:hun@ter:hunter2@h\"",
           "urls: [\"redis://hunter2@h:1\", \"redis://me:hunter2@i\"]",
           "url: \"unix:/run/redis.sock?db=1\", secret: hunter2",
       }) {
    CAPTURE(redis);
    const LoadResult result =
        load(std::string(kListener) + std::string(kPool) + "cache: {redis: {" + redis + "}}\n");
    REQUIRE(result.ok());
    const std::string printed = print_effective(*result.config, result.origins);
    CHECK(printed.find("hunter2") == std::string::npos);
    CHECK(load(printed).ok());
  }
}

// An example is an indented block that begins with "routes:" or "cache:".
TEST_CASE("config/render: the examples of docs/configuration.md are fine") {
  std::istringstream text(file_in_repository("docs/configuration.md"));
  std::vector<std::string> examples;
  bool is_inside = false;
  for (std::string line; std::getline(text, line);) {
    const bool is_code = line.starts_with("    ");
    const bool begins = line.starts_with("    routes:") || line.starts_with("    cache:");
    if (begins && !is_inside) examples.emplace_back();
    is_inside = is_code && (is_inside || begins);
    if (is_inside) examples.back() += line.substr(4) + "\n";
  }
  CHECK(examples.size() >= 3);
  for (const std::string& example : examples) {
    CAPTURE(example);
    const LoadResult result = load(
        std::string(kListener) + "pools: {orders: {endpoints: [{address: \"127.0.0.1:1\"}]}}\n" +
            (example.starts_with("routes:") ? "" : "routes: [{pool: orders, cache: {}}]\n") +
            example,
        {{"CACHE_SECRET", "s"}, {"REDIS_PASSWORD", "p"}});
    CHECK(format_text(result.diagnostics) == "");
  }
}

}  // namespace sluice::config
