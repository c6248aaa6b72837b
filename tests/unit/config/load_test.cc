// What is wrong with a file, and how it is said.
#include "sluice/config/load.h"

#include <doctest/doctest.h>

#include "tests/unit/config/config_testing.h"

namespace sluice::config {

namespace {

struct Bad {
  std::string_view text;  // behind a good listener in line 1 and a good pool in line 2
  std::string_view message;
};

void check_all(const std::vector<Bad>& cases) {
  for (const Bad& bad : cases) {
    CAPTURE(bad.text);
    const LoadResult result =
        load(std::string(kListener) + std::string(kPool) + std::string(bad.text) + "\n");
    REQUIRE(result.diagnostics.size() == 1);
    CHECK(heads(result)[0] == bad.message);
    CHECK(result.ok() == !has_errors(result.diagnostics));
  }
}

// A file whose only pool has these lines, from line 4 on.
void check_pool(const std::vector<Bad>& cases) {
  for (const Bad& bad : cases) {
    CAPTURE(bad.text);
    const LoadResult result =
        load(std::string(kListener) + "pools:\n  api:\n" + std::string(bad.text) + "\n");
    REQUIRE(result.diagnostics.size() == 1);
    CHECK(heads(result)[0] == bad.message);
  }
}

}  // namespace

TEST_CASE("config/load: an unknown key names its line, its path and the key that was meant") {
  const LoadResult result = load(
      "listeners:\n  - {name: web, bind: \"127.0.0.1:80\"}\npools:\n  api:\n    endpoints:\n"
      "      - address: 127.0.0.1:1\n      - address: 127.0.0.1:2\n        wieght: 2\n");
  CHECK_FALSE(result.ok());
  CHECK(format_text(result.diagnostics) ==
        "t.yaml:8:9: error: pools.api.endpoints[1].wieght: unknown key; did you mean \"weight\"?\n"
        "        wieght: 2\n"
        "        ^\n");
}

TEST_CASE("config/load: a diagnostic as JSON") {
  const LoadResult result =
      load(std::string(kListener) + std::string(kPool) + "drain_timeout: 30\n");
  REQUIRE(result.diagnostics.size() == 1);
  CHECK(
      format_json(result.diagnostics[0]) ==
      R"json({"severity":"error","file":"t.yaml","line":3,"col":16,"path":"drain_timeout",)json"
      R"json("code":"missing_unit","message":"\"30\" has no unit (units: us, ms, s, m, h, d; from 1ms to 1d, or 0 for off)",)json"
      R"json("hint":"did you mean \"30s\"?","included_from":[]})json");
}

TEST_CASE("config/load: keys") {
  check_all({
      {"access_lg: {}", "t.yaml:3:1: error: access_lg: unknown key; did you mean \"access_log\"?"},
      {"x-y-z-k: 1", "t.yaml:3:1: error: x-y-z-k: unknown key"},
      {"workers: 1\nworkers: 2", "t.yaml:4:1: error: workers: duplicate key; first at t.yaml:3"},
      {"admin: {bind: \"unix:/a\", bind: \"unix:/b\"}",
       "t.yaml:3:26: error: admin.bind: duplicate key; first at t.yaml:3"},
      {"admin:", "t.yaml:3:1: error: admin: empty value"},
      {"drain_timeout:", "t.yaml:3:1: error: drain_timeout: empty value"},
      {"drain_timeout: \"\"", "t.yaml:3:16: error: drain_timeout: empty value"},
      {"drain_timeout: ~", "t.yaml:3:1: error: drain_timeout: empty value"},
      {"drain_timeout: [1s]",
       "t.yaml:3:16: error: drain_timeout: expected a duration, found a list"},
      {"admin: here", "t.yaml:3:8: error: admin: expected a map of keys, found a text"},
      {"routes: {pool: api}", "t.yaml:3:9: error: routes: expected a list, found a map of keys"},
      {"routes: [api]", "t.yaml:3:10: error: routes[0]: expected a map of keys, found a text"},
  });
}

TEST_CASE("config/load: numbers show what was given, the units and the range") {
  check_all({
      {"workers: 0", "t.yaml:3:10: error: workers: \"0\" is out of range (from 1 to 256, or auto)"},
      {"workers: many",
       "t.yaml:3:10: error: workers: \"many\" is not a whole number (from 1 to 256, or auto)"},
      {"workers: -1",
       "t.yaml:3:10: error: workers: \"-1\" is not a whole number (from 1 to 256, or auto)"},
      {"drain_timeout: 5sec",
       "t.yaml:3:16: error: drain_timeout: \"5sec\" is not a duration (units: us, ms, s, m, h, d; "
       "from 1ms to 1d, "
       "or 0 for off)"},
      {"drain_timeout: 2d",
       "t.yaml:3:16: error: drain_timeout: \"2d\" is out of range (units: us, ms, s, m, h, d; from "
       "1ms to 1d, or 0 "
       "for off)"},
      {"access_log: {format: jsn}",
       "t.yaml:3:22: error: access_log.format: \"jsn\" is not one of json, combined, off; did you "
       "mean \"json\"?"},
  });
}

TEST_CASE("config/load: a unit that was nearly right is guessed") {
  const struct {
    std::string_view value, hint;
  } cases[] = {{"30", "did you mean \"30s\"?"},        {"5sec", "did you mean \"5s\"?"},
               {"3 s", "did you mean \"3s\"?"},        {"2min", "did you mean \"2m\"?"},
               {"100msec", "did you mean \"100ms\"?"}, {"soon", ""},
               {"99999999999999999999s", ""}};
  for (const auto& each : cases) {
    CAPTURE(each.value);
    const LoadResult result = load(std::string(kListener) + std::string(kPool) +
                                   "drain_timeout: " + std::string(each.value) + "\n");
    REQUIRE(result.diagnostics.size() == 1);
    CHECK(result.diagnostics[0].hint == each.hint);
  }
}

TEST_CASE("config/load: 0 is off only where that is documented") {
  check_pool({
      {"    endpoints: [{address: \"127.0.0.1:1\"}]\n    timeouts: {connect: 0}",
       "t.yaml:5:25: error: pools.api.timeouts.connect: \"0\" is out of range (units: us, ms, s, "
       "m, h, d; from 1ms "
       "to 10m)"},
      {"    endpoints: [{address: \"127.0.0.1:1\"}]\n    timeouts: {connect: off}",
       "t.yaml:5:25: error: pools.api.timeouts.connect: \"off\" is not a duration (units: us, ms, "
       "s, m, h, d; from "
       "1ms to 10m)"},
  });
  const LoadResult result =
      load(std::string(kListener) +
           "pools: {api: {endpoints: [{address: \"127.0.0.1:1\"}], slow_start: off, "
           "max_in_flight: 0, outlier: {failures: off}}}\ndrain_timeout: 0\n");
  REQUIRE(result.ok());
  CHECK(result.config->pools[0].outlier.failures == 0);
  CHECK(result.config->drain_timeout == Duration(0));
}

TEST_CASE("config/load: addresses") {
  const std::string_view bind_forms =
      " is not an address to bind: IPV4:PORT, [IPV6]:PORT, unix:/PATH or systemd:NAME";
  const struct {
    std::string_view bind;
    std::string message, hint;
  } cases[] = {
      {":80", "\":80\"" + std::string(bind_forms),
       "write \"0.0.0.0:80\" for all IPv4 addresses, \"[::]:80\" for all"},
      {"localhost:80", "\"localhost:80\"" + std::string(bind_forms),
       "write \"127.0.0.1:80\" or \"[::1]:80\""},
      {"8080", "\"8080\" is not an address to bind", "write \"0.0.0.0:8080\""},
      {"127.0.0.1", "\"127.0.0.1\" has no port", "write \"127.0.0.1:80\""},
      {"127.0.0.1:99999", "\"127.0.0.1:99999\": the port \"99999\" is not in 0 to 65535", ""},
      {"127.0.0.1:", "\"127.0.0.1:\": the port \"\" is not in 0 to 65535", ""},
      {"::1:80", "\"::1:80\" is not an address: HOST:PORT, [IPV6]:PORT or unix:/PATH",
       "put an IPv6 address into brackets: \"[::1]:80\""},
      {"[::1]x", "\"[::1]x\" is not an address: HOST:PORT, [IPV6]:PORT or unix:/PATH", ""},
      {"http://127.0.0.1:80",
       "\"http://127.0.0.1:80\" is not an address: HOST:PORT, [IPV6]:PORT or unix:/PATH",
       "leave the scheme out"},
      {"unix:", "\"unix:\" is not an address: unix: needs a path", ""},
      {"systemd:a/b", "\"a/b\" is not a name (1 to 64 of A-Z, a-z, 0-9, \".\", \"_\", \"-\")", ""},
  };
  for (const auto& each : cases) {
    CAPTURE(each.bind);
    const LoadResult result =
        load("listeners: [{bind: \"" + std::string(each.bind) + "\"}]\n" + std::string(kPool));
    REQUIRE(result.diagnostics.size() == 1);
    CHECK(result.diagnostics[0].message == each.message);
    CHECK(result.diagnostics[0].hint == each.hint);
  }
}

TEST_CASE("config/load: endpoints") {
  check_pool({
      {"    endpoints: []", "t.yaml:4:16: error: pools.api.endpoints: needs at least one"},
      {"    balance: least_conn", "t.yaml:4:5: error: pools.api.endpoints: has to be given"},
      {"    endpoints: [{name: a}]",
       "t.yaml:4:17: error: pools.api.endpoints[0].address: has to be given"},
      {"    endpoints: [{addres: \"a:1\"}]",
       "t.yaml:4:18: error: pools.api.endpoints[0].addres: unknown key; did you mean \"address\"?"},
      {"    endpoints: [{address: \"127.0.0.256:1\"}]",
       "t.yaml:4:27: error: pools.api.endpoints[0].address: \"127.0.0.256:1\" is not an address: "
       "HOST:PORT, "
       "[IPV6]:PORT or unix:/PATH"},
      {"    endpoints: [{address: \"a:0\"}]",
       "t.yaml:4:27: error: pools.api.endpoints[0].address: \"a:0\": port 0 cannot be connected "
       "to"},
      {"    endpoints: [{address: \"a:1\", name: x}, {address: \"b:1\", name: x}]",
       "t.yaml:4:67: error: pools.api.endpoints[1].name: \"x\" is taken; first at t.yaml:4"},
      {"    endpoints:\n      - {address: \"a:1\"}\n      - {address: \"A:1\"}",
       "t.yaml:6:19: warning: pools.api.endpoints[1].address: \"a:1\" is in this pool already; "
       "first at t.yaml:5"},
      {"    endpoints: [{address: \"a:1\", weight: 257}]",
       "t.yaml:4:42: error: pools.api.endpoints[0].weight: \"257\" is out of range (from 0 to "
       "256)"},
      {"    endpoints: [{address: \"a:1\", backup: yes}]",
       "t.yaml:4:42: error: pools.api.endpoints[0].backup: \"yes\" is not true or false"},
  });
}

TEST_CASE("config/load: what a pool does") {
  const std::string good = "    endpoints: [{address: \"127.0.0.1:1\"}]\n";
  std::vector<std::string> texts;
  for (std::string_view line :
       {"    balance: leastconn", "    balance: consistent_hash",
        "    balance: {consistent_hash: {}}", "    balance: {consistent_hash: {by: ip}}",
        "    health: {type: tcp, path: /up}", "    health: {type: http, expect: [600]}",
        "    health: {timeout: 3s}", "    health: {expect: []}", "    retry: {on: [conect]}",
        "    retry: {budget: 20}", "    retry: {budget: 120%}", "    sticky: {}",
        "    sticky: {cookie: \"a b\"}"}) {
    texts.push_back(good + std::string(line));
  }
  check_pool({
      {texts[0],
       "t.yaml:5:14: error: pools.api.balance: \"leastconn\" is not one of round_robin, weighted, "
       "least_conn, "
       "random_two, ewma or {consistent_hash: {by: ...}}; did you mean \"least_conn\"?"},
      {texts[1],
       "t.yaml:5:14: error: pools.api.balance: \"consistent_hash\" needs to know what to hash"},
      {texts[2], "t.yaml:5:32: error: pools.api.balance.consistent_hash.by: has to be given"},
      {texts[3],
       "t.yaml:5:37: error: pools.api.balance.consistent_hash.by: \"ip\" is not one of path, "
       "client, header:NAME, "
       "cookie:NAME"},
      {texts[4], "t.yaml:5:25: error: pools.api.health.path: only with type: http"},
      {texts[5],
       "t.yaml:5:35: error: pools.api.health.expect[0]: \"600\" is not a status or range of them "
       "in 100 to 599, such "
       "as 200 or 200-399"},
      {texts[6],
       "t.yaml:5:23: warning: pools.api.health.timeout: a probe may take 3s, longer than the "
       "interval of 2s"},
      {texts[7], "t.yaml:5:22: error: pools.api.health.expect: needs at least one"},
      {texts[8],
       "t.yaml:5:18: error: pools.api.retry.on[0]: \"conect\" is not one of connect, reset or a "
       "status in 400 to 599"},
      {texts[9],
       "t.yaml:5:21: error: pools.api.retry.budget: \"20\" is not a share in percent (from 0% to "
       "100%)"},
      {texts[10],
       "t.yaml:5:21: error: pools.api.retry.budget: \"120%\" is out of range (from 0% to 100%)"},
      {texts[11], "t.yaml:5:13: error: pools.api.sticky.cookie: has to be given"},
      {texts[12],
       "t.yaml:5:22: error: pools.api.sticky.cookie: \"a b\" is not a token (letters, digits, "
       "!#$%&'*+-.^_`|~)"},
  });
}

TEST_CASE("config/load: references and names") {
  check_all({
      {"routes: [{pool: apu}]",
       "t.yaml:3:17: error: routes[0].pool: there is no pool \"apu\"; did you mean \"api\" "
       "(t.yaml:2)?"},
      {"routes: [{pool: somewhere}]",
       "t.yaml:3:17: error: routes[0].pool: there is no pool \"somewhere\""},
      {"routes: [{match: {path: /up}, respond: {}}]",
       "t.yaml:2:9: warning: pools.api: no route leads to this pool"},
      {"routes:\n  - {name: a, match: {path: /x}, pool: api}\n  - {name: a, pool: api}",
       "t.yaml:5:12: error: routes[1].name: \"a\" is taken; first at t.yaml:4"},
      {"admin: {bind: \"127.0.0.1:80\"}",
       "t.yaml:3:15: error: admin.bind: \"127.0.0.1:80\" is bound by a listener; first at "
       "t.yaml:1"},
      {"admin: {bind: \"0.0.0.0:81\"}",
       "t.yaml:3:15: warning: admin.bind: others than this host can reach 0.0.0.0:81, and whoever "
       "reaches it can "
       "change everything"},
  });
  CHECK(
      heads(load(
          "listeners:\n  - {name: a, bind: \"0.0.0.0:80\"}\n  - {name: a, bind: \"0.0.0.0:80\"}\n" +
          std::string(kPool))) ==
      std::vector<std::string>{
          "t.yaml:3:12: error: listeners[1].name: \"a\" is taken; first at t.yaml:2",
          "t.yaml:3:21: error: listeners[1].bind: \"0.0.0.0:80\" is bound by another listener; "
          "first at t.yaml:2"});
}

TEST_CASE("config/load: routes") {
  check_all({
      {"routes: [{match: {path: /}}]",
       "t.yaml:3:10: error: routes[0]: has to say what to do: one of pool, redirect, respond"},
      {"routes: [{pool: api, redirect: {location: /x}}]",
       "t.yaml:3:22: error: routes[0].redirect: not together with pool"},
      {"routes: [{redirect: {status: 200, location: /x}}, {match: {path: /y}, pool: api}]",
       "t.yaml:3:30: error: routes[0].redirect.status: \"200\" is not one of 301, 302, 303, 307, "
       "308"},
      {"routes: [{redirect: {}}, {pool: api, name: x, match: {path: /}}]",
       "t.yaml:3:21: error: routes[0].redirect.location: has to be given"},
      {"routes: [{pool: api, match: {path: x}}]",
       "t.yaml:3:36: error: routes[0].match.path: \"x\" is not a path: it has to start with /"},
      {"routes: [{pool: api, match: {path: /%61}}]",
       "t.yaml:3:36: error: routes[0].match.path: \"/%61\" is not a path as it is compared"},
      {"routes: [{pool: api, match: {path: /a/../b}}]",
       "t.yaml:3:36: error: routes[0].match.path: \"/a/../b\" is not a path: dot segments are "
       "removed before it is "
       "compared"},
      {"routes: [{pool: api, match: {path: /a, path_exact: /b}}]",
       "t.yaml:3:40: error: routes[0].match.path_exact: not together with path"},
      {"routes: [{pool: api, match: {host: \"a:80\"}}]",
       "t.yaml:3:36: error: routes[0].match.host: \"a:80\" is not a host name, or *.SUFFIX"},
      {"routes: [{pool: api, match: {headers: {\"X A\": b}}}]",
       "t.yaml:3:40: error: routes[0].match.headers.X A: \"X A\" is not a field name"},
      {"routes: [{pool: api, match: {headers: {X-A: b, x-a: c}}}]",
       "t.yaml:3:48: error: routes[0].match.headers.x-a: the same field as one above: case makes "
       "no difference"},
      {"routes: [{pool: api, request_headers: {set: {Connection: close}}}]",
       "t.yaml:3:46: error: routes[0].request_headers.set.Connection: Connection cannot be edited: "
       "sluice frames "
       "messages itself"},
      {"routes: [{pool: api, request_headers: {set: {X-A: \"a\\nb\"}}}]",
       "t.yaml:3:51: error: routes[0].request_headers.set.X-A: \"a?b\" is not a field value (no "
       "control characters, no "
       "space around it)"},
      {"routes: [{pool: api, strip_prefix: /}]",
       "t.yaml:3:36: error: routes[0].strip_prefix: \"/\" is not a prefix that could be stripped"},
      {"routes: [{pool: api, match: {path: /x}, strip_prefix: /api}]",
       "t.yaml:3:55: warning: routes[0].strip_prefix: not every path that matches begins with "
       "\"/api\""},
  });
}

TEST_CASE("config/load: a route that an earlier one hides is a warning with both lines") {
  const struct {
    std::string_view first, second;
    bool is_hidden;
  } cases[] = {
      {"{path: /}", "{path: /a}", true},
      {"{path: /a}", "{path: /a}", true},
      {"{path: /a}", "{path: /a/b}", true},
      {"{path: /a}", "{path: /a/}", true},
      {"{path: /a}", "{path_exact: /a}", true},
      {"{path: /a}", "{path: /ab}", false},
      {"{path: /a/}", "{path: /a}", false},
      {"{path: /a/}", "{path: /a/b}", true},
      {"{path_exact: /a}", "{path: /a}", false},
      {"{path: /a}", "{path: /}", false},
      {"{host: a.b}", "{host: A.b, path: /x}", true},
      {"{host: a.b}", "{path: /x}", false},
      {"{host: \"*.b\"}", "{host: x.b}", true},
      {"{host: \"*.b\"}", "{host: b}", false},
      {"{host: \"*.b\"}", "{host: \"*.a.b\"}", true},
      {"{method: [GET, POST]}", "{method: POST}", true},
      {"{method: [GET]}", "{method: [GET, POST]}", false},
      {"{method: [GET]}", "{path: /x}", false},
      {"{headers: {X-A: b}}", "{headers: {x-a: b, c: d}}", true},
      {"{headers: {X-A: b}}", "{headers: {x-a: c}}", false},
  };
  for (const auto& each : cases) {
    CAPTURE(each.first);
    CAPTURE(each.second);
    const LoadResult result = load(std::string(kListener) + std::string(kPool) +
                                   "routes:\n  - {pool: api, match: " + std::string(each.first) +
                                   "}\n  - {pool: api, match: " + std::string(each.second) + "}\n");
    REQUIRE(result.ok());
    REQUIRE(result.diagnostics.size() == (each.is_hidden ? 1 : 0));
    if (!each.is_hidden) continue;
    CHECK(heads(result)[0] ==
          "t.yaml:5:5: warning: routes[1]: never reached: routes[0] (t.yaml:4) matches all that "
          "this one would");
  }
}

TEST_CASE("config/load: without routes exactly one pool gets everything") {
  const LoadResult one = load(std::string(kListener) + std::string(kPool));
  REQUIRE(one.ok());
  CHECK(one.diagnostics.empty());
  REQUIRE(one.config->routes.size() == 1);
  CHECK(one.config->routes[0].name == "api");
  CHECK(one.config->routes[0].pool == "api");
  CHECK(one.config->routes[0].match == Match{});

  CHECK(heads(load(std::string(kListener) + "pools:\n  a: {endpoints: [{address: \"a:1\"}]}\n"
                                            "  b: {endpoints: [{address: \"b:1\"}]}\n")) ==
        std::vector<std::string>{
            "t.yaml:2:1: error: routes: has to be given: there is more than one pool"});
  CHECK(
      heads(load(kListener)) ==
      std::vector<std::string>{"t.yaml:1:1: error: pools: nothing to do without pools or routes"});
  CHECK(load(std::string(kListener) + "routes: [{respond: {body: hi}}]\n").ok());
}

TEST_CASE("config/load: all problems in one run, in file order, secrets not shown") {
  const LoadResult result = load(
      "workers: x\nlisteners: []\ncache: {redis: {url: \"http://user:hunter2@h\"}}\nroutes: "
      "[{pool: nope}]\nfoo: 1\n");
  CHECK(heads(result) ==
        std::vector<std::string>{
            "t.yaml:1:10: error: workers: \"x\" is not a whole number (from 1 to 256, or auto)",
            "t.yaml:2:12: error: listeners: needs at least one",
            "t.yaml:3:22: error: cache.redis.url: not a Redis URL: "
            "redis://[[USER]:PASSWORD@]HOST[:PORT][/DB] or "
            "unix:/PATH[?db=N]",
            "t.yaml:4:17: error: routes[0].pool: there is no pool \"nope\"",
            "t.yaml:5:1: error: foo: unknown key"});
  REQUIRE(result.diagnostics.size() == 5);
  CHECK(result.diagnostics[2].source.empty());
}

TEST_CASE("config/load: no problem beside a secret shows the line of the secret") {
  for (const char* redis : {
           "url: \"redis://:hunter2@h\", timeout: 5",
           "timeout: 5, url: \"redis://:hunter2@h\"",
           "url: \"redis://:hunter2@h\", urls: [\"redis://:hunter2@i\"]",
           "urls: [\"redis://:hunter2@h\", \"redis://hunter2@h\"]",
           "urls: \"hunter2\"",
           "urls: [[hunter2]]",
           "url: \"redis://h\", secret: [hunter2]",
           "url: \"redis://h\", secret: hunter2, nonsense: 1",
       }) {
    CAPTURE(redis);
    const LoadResult result =
        load(std::string(kListener) + std::string(kPool) + "cache: {redis: {" + redis + "}}\n");
    CHECK_FALSE(result.ok());
    CHECK(format_text(result.diagnostics).find("hunter2") == std::string::npos);
  }
}

}  // namespace sluice::config
