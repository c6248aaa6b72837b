// A good file: every key of the contract arrives in its struct.
#include <doctest/doctest.h>

#include "sluice/config/admin_address.h"
#include "sluice/config/snapshot.h"
#include "tests/unit/config/config_testing.h"

namespace sluice::config {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::string_view kWhole = R"yaml(
workers: auto
drain_timeout: 30s
shutdown_delay: 2s
listeners:
  - {name: web, bind: "0.0.0.0:8080"}
  - name: tls
    bind: "[::]:8443"
    tls: {certificates: [{cert: shop.pem, key: /etc/shop.key}]}
    limits:   {head: 16KiB, fields: 64, target: 4KiB, body: 1MiB, connections: 10, per_address: 0}
    timeouts: {head: 1s, body: 2s, idle: 3s}
    trusted_proxies: [10.0.0.0/8, "2001:db8::/32", 192.0.2.1]
  - {name: local, bind: "unix:run/x.sock"}
  - {name: passed, bind: "systemd:web"}
pools:
  orders:
    balance: least_conn
    endpoints:
      - {address: "127.0.0.1:9001", weight: 3, name: a}
      - {address: "127.0.0.1:9002"}
      - {address: "Orders.internal:9003", resolve: 1m, backup: true}
      - {address: "[::1]:9004"}
      - {address: "unix:/run/o.sock"}
    health:  {type: http, method: HEAD, path: /healthz, host: x, expect: [200-399, 404], body: ok, interval: 3s, timeout: 600ms, rise: 4, fall: 5, initial: down}
    timeouts: {connect: 2s, first_byte: 31s, between_bytes: 32s, idle: 5s}
    retry:   {attempts: 3, on: [connect, 503, 502, 503], budget: 12.5%}
    outlier: {failures: 6, base: 11s, max_share: 40%}
    sticky: {cookie: SRV}
    slow_start: 30s
    max_in_flight: 100
    queue: {size: 100, timeout: 2s}
    when_all_down: try_all
  hashed:
    balance: {consistent_hash: {by: "header:X-User"}}
    endpoints: [{address: "h:1"}]
routes:
  - {match: {host: Shop.Example, path: /api/}, pool: orders, strip_prefix: /api/}
  - {match: {path: /products}, pool: hashed, cache: {default_ttl: 5s, stale_while_revalidate: 30s}}
  - {match: {path_exact: /old, method: [GET], headers: {X-A: b}}, redirect: {status: 308, location: /new}}
  - {name: up, match: {path: /up}, respond: {status: 200, body: up, content_type: text/html}}
  - match: {host: "*.example.org"}
    pool: orders
    request_headers: {set: {X-A: a}, add: {X-B: ""}, remove: [X-C]}
    response_headers: {set: {}, add: {X-D: "${D}"}, remove: Server}
cache:
  memory: {size: 128MiB, max_object: 4MiB}
  redis:  {url: "redis://u:secret@127.0.0.1:6379/0", timeout: 30ms, prefix: "s:"}
  purge_from: [127.0.0.1]
admin: {bind: "unix:/run/sluice/admin.sock"}
access_log: {path: log/access, format: combined}
)yaml";

LoadResult load_whole() {
  LoadOptions options = with_env({{"D", "d"}});
  options.accept_unsupported = true;
  return load_text(std::string(kWhole), "/etc/sluice/t.yaml", options);
}

}  // namespace

TEST_CASE("config/parse: listeners and the top level") {
  const LoadResult result = load_whole();
  REQUIRE(format_text(result.diagnostics) == "");
  const Config& config = *result.config;
  CHECK(config.workers == 0);
  CHECK(config.resolved_workers() >= 1);
  CHECK(config.shutdown_delay == seconds(2));
  REQUIRE(config.listeners.size() == 4);
  CHECK(config.listeners[0].limits == Limits{});
  CHECK(config.listeners[0].timeouts == ListenerTimeouts{});
  const Listener& tls = config.listeners[1];
  CHECK(tls.bind.text() == "[::]:8443");
  CHECK(tls.bind.is_v6());
  REQUIRE(tls.tls);
  CHECK(tls.tls->certificates[0].cert == "/etc/sluice/shop.pem");
  CHECK(tls.tls->certificates[0].key == "/etc/shop.key");
  CHECK(tls.limits == Limits{16384, 64, 4096, 1 << 20, 10, 0});
  CHECK(tls.timeouts == ListenerTimeouts{seconds(1), seconds(2), seconds(3)});
  REQUIRE(tls.trusted_proxies.size() == 3);
  CHECK(tls.trusted_proxies[1].text() == "2001:db8::/32");
  CHECK(config.listeners[2].bind.text() == "unix:/etc/sluice/run/x.sock");
  CHECK(config.listeners[3].bind.kind == BindAddress::Kind::kSystemd);
  CHECK(config.listeners[3].bind.path == "web");
  CHECK(config.where(tls.place) == "/etc/sluice/t.yaml:7");
  CHECK(config.admin.bind->text() == "unix:/run/sluice/admin.sock");
  CHECK(config.access_log.path == "/etc/sluice/log/access");
  CHECK(config.access_log.format == AccessLog::Format::kCombined);
  CHECK(config.cache.memory == CacheMemory{128ull << 20, 4ull << 20});
  CHECK(config.cache.redis->url == "redis://u:secret@127.0.0.1:6379/0");
  CHECK(config.cache.redis->timeout == milliseconds(30));
  CHECK(config.cache.purge_from[0].text() == "127.0.0.1");
}

TEST_CASE("config/parse: pools") {
  const LoadResult result = load_whole();
  REQUIRE(result.ok());
  REQUIRE(result.config->pools.size() == 2);
  const Pool& pool = result.config->pools[0];
  CHECK(result.config->find_pool("orders") == &pool);
  CHECK(result.config->find_pool("nope") == nullptr);
  CHECK(pool.balance.kind == Balance::Kind::kLeastConn);
  REQUIRE(pool.endpoints.size() == 5);
  CHECK(pool.endpoints[0].name == "a");
  CHECK(pool.endpoints[0].weight == 3);
  CHECK(pool.endpoints[1].name == "127.0.0.1:9002");
  CHECK(pool.endpoints[2].address.kind == EndpointAddress::Kind::kName);
  CHECK(pool.endpoints[2].address.host == "orders.internal");
  CHECK(pool.endpoints[2].resolve == std::chrono::minutes(1));
  CHECK(pool.endpoints[2].backup);
  CHECK(pool.endpoints[3].address.is_v6());
  CHECK(pool.endpoints[3].address.text() == "[::1]:9004");
  CHECK(pool.endpoints[4].address.path == "/run/o.sock");
  const Health& health = pool.health;
  CHECK(health.type == Health::Type::kHttp);
  CHECK(health.method == "HEAD");
  CHECK(health.host == "x");
  CHECK(health.expect == std::vector<StatusRange>{{200, 399}, {404, 404}});
  CHECK(health.body == "ok");
  CHECK(health.interval == seconds(3));
  CHECK(health.timeout == milliseconds(600));
  CHECK(health.rise == 4);
  CHECK(health.fall == 5);
  CHECK_FALSE(health.initial_up);
  CHECK(pool.timeouts == PoolTimeouts{seconds(2), seconds(31), seconds(32), seconds(5)});
  CHECK(pool.retry == Retry{3, true, false, {502, 503}, 0.125});
  CHECK(pool.outlier == Outlier{6, seconds(11), 0.4});
  CHECK(pool.sticky_cookie == "SRV");
  CHECK(pool.slow_start == seconds(30));
  CHECK(pool.max_in_flight == 100);
  CHECK(pool.queue == Queue{100, seconds(2)});
  CHECK(pool.when_all_down == WhenAllDown::kTryAll);
  const Balance& hashed = result.config->pools[1].balance;
  CHECK(hashed.kind == Balance::Kind::kConsistentHash);
  CHECK(hashed.hash_by == HashBy{HashBy::Kind::kHeader, "x-user"});
  CHECK(result.config->pools[1].health == Health{});
}

TEST_CASE("config/parse: routes") {
  const LoadResult result = load_whole();
  REQUIRE(result.ok());
  const std::vector<Route>& routes = result.config->routes;
  REQUIRE(routes.size() == 5);
  CHECK(routes[0].name == "route-1");
  CHECK(routes[0].match.host == "shop.example");
  CHECK(routes[0].match.host_kind == Match::HostKind::kExact);
  CHECK(routes[0].match.path == "/api/");
  CHECK(routes[0].match.path_kind == Match::PathKind::kBelow);
  CHECK(routes[0].strip_prefix == "/api");
  CHECK(routes[1].match.path_kind == Match::PathKind::kSegment);
  CHECK(routes[1].pool_index == 1);
  REQUIRE(routes[1].cache);
  CHECK(*routes[1].cache == RouteCache{seconds(5), seconds(30)});
  CHECK(routes[2].action == Route::Action::kRedirect);
  CHECK(routes[2].redirect == Redirect{308, "/new"});
  CHECK(routes[2].match.path_kind == Match::PathKind::kExact);
  CHECK(routes[2].match.methods == std::vector<std::string>{"GET"});
  CHECK(routes[2].match.headers == std::vector<HeaderMatch>{{"x-a", "b"}});
  CHECK(routes[3].name == "up");
  CHECK(routes[3].respond == Respond{200, "up", "text/html"});
  CHECK(routes[4].match.host == ".example.org");
  CHECK(routes[4].match.host_kind == Match::HostKind::kSuffix);
  CHECK(routes[4].match.path_kind == Match::PathKind::kAny);
  CHECK(routes[4].request_headers == HeaderEdits{{{"X-A", "a"}}, {{"X-B", ""}}, {"X-C"}});
  CHECK(routes[4].response_headers == HeaderEdits{{}, {{"X-D", "d"}}, {"Server"}});
}

TEST_CASE("config/parse: the example of the contract, apart from what is not supported yet") {
  constexpr std::string_view kExample = R"yaml(workers: auto
drain_timeout: 30s
listeners:
  - {name: web, bind: "0.0.0.0:8080"}
  - name: tls
    bind: "0.0.0.0:8443"
    tls: {certificates: [{cert: shop.pem, key: shop.key}]}
    limits:   {head: 32KiB, fields: 128, target: 8KiB, body: 0, connections: 0, per_address: 0}
    timeouts: {head: 10s, body: 30s, idle: 60s}
    trusted_proxies: []
pools:
  orders:
    balance: least_conn
    endpoints:
      - {address: "127.0.0.1:9001", weight: 3, name: a}
      - {address: "127.0.0.1:9002"}
      - {address: "orders.internal:9003", resolve: 10s, backup: true}
    health:  {type: http, method: GET, path: /healthz, host: x, expect: [200-399], body: ok, interval: 2s, timeout: 500ms, rise: 2, fall: 3, initial: up}
    timeouts: {connect: 1s, first_byte: 30s, between_bytes: 30s, idle: 4s}
    retry:   {attempts: 2, on: [connect, reset, 502, 503], budget: 20%}
    outlier: {failures: 5, base: 10s, max_share: 50%}
    sticky: {cookie: NAME}
routes:
  - {match: {host: shop.example, path: /api/}, pool: orders, strip_prefix: /api}
  - {match: {path: /products}, pool: orders, cache: {default_ttl: 5s, stale_while_revalidate: 30s}}
  - {match: {path_exact: /old, method: [GET], headers: {X-A: b}}, redirect: {status: 308, location: /new}}
  - {match: {path: /up}, respond: {status: 200, body: up, content_type: text/plain}}
  - {match: {path: /}, pool: orders, request_headers: {set: {}, add: {}, remove: []}, response_headers: {set: {}, add: {}, remove: []}}
cache:
  memory: {size: 256MiB, max_object: 8MiB}
  redis:  {url: "redis://127.0.0.1:6379/0", timeout: 20ms, prefix: "sluice:"}
  purge_from: []
admin: {bind: "unix:/run/sluice/admin.sock"}
access_log: {path: stdout, format: json}
)yaml";
  CHECK(heads(load(kExample)) ==
        std::vector<std::string>{
            "t.yaml:7:5: error: listeners[1].tls: not supported yet in this version",
            "t.yaml:31:3: warning: cache.redis: only the memory of this process is used yet"});
  LoadOptions options;
  options.accept_unsupported = true;
  const LoadResult result = load_text(std::string(kExample), "t.yaml", options);
  REQUIRE(format_text(result.diagnostics) == "");
  // All values written out there are the defaults.
  CHECK(result.config->listeners[1].limits == Limits{});
  CHECK(result.config->listeners[1].timeouts == ListenerTimeouts{});
  CHECK(result.config->pools[0].timeouts == PoolTimeouts{});
  CHECK(result.config->pools[0].retry == Retry{});
  CHECK(result.config->pools[0].outlier == Outlier{});
  CHECK(result.config->cache.memory == CacheMemory{});
}

TEST_CASE("config/parse: health keys for http make the probe one") {
  const LoadResult result =
      load(std::string(kListener) +
           "pools: {a: {endpoints: [{address: \"a:1\"}], health: {path: /up}}}\n");
  REQUIRE(result.ok());
  CHECK(result.config->pools[0].health.type == Health::Type::kHttp);
}

TEST_CASE("config/parse: equality leaves places out, so that a reload sees what changed") {
  const LoadResult one = load(std::string(kListener) + std::string(kPool));
  const LoadResult moved = load("\n\n" + std::string(kListener) + "\n" + std::string(kPool));
  const LoadResult other =
      load(std::string(kListener) + "pools: {api: {endpoints: [{address: \"127.0.0.1:2\"}]}}\n");
  REQUIRE((one.ok() && moved.ok() && other.ok()));
  CHECK(one.config->listeners == moved.config->listeners);
  CHECK(one.config->pools == moved.config->pools);
  CHECK_FALSE(one.config->pools == other.config->pools);
}

TEST_CASE("config/address: blocks contain what they should, IPv4-mapped too") {
  const std::array<uint8_t, 4> ten{10, 1, 2, 3}, eleven{11, 1, 2, 3};
  const std::array<uint8_t, 16> mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1, 2, 3};
  const std::array<uint8_t, 16> six{0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  CHECK(parse_cidr("10.0.0.0/8")->contains_v4(ten));
  CHECK(parse_cidr("10.0.0.0/8")->contains(mapped));
  CHECK_FALSE(parse_cidr("10.0.0.0/8")->contains_v4(eleven));
  CHECK_FALSE(parse_cidr("10.0.0.0/8")->contains(six));
  CHECK(parse_cidr("10.1.2.3")->contains_v4(ten));
  CHECK(parse_cidr("10.0.0.0/7")->contains_v4(eleven));
  CHECK(parse_cidr("0.0.0.0/0")->contains_v4(eleven));
  CHECK_FALSE(parse_cidr("0.0.0.0/0")->contains(six));
  CHECK(parse_cidr("::/0")->contains(six));
  CHECK(parse_cidr("2001:db8::/33")->contains(six));
  for (std::string_view bad :
       {"", "10.0.0.1/8", "10.0.0.0/33", "10.0.0/8", "::1/129", "::1/", "x", "1.2.3.4/-1"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_cidr(bad));
  }
}

TEST_CASE("config/snapshot: compiled routes know what has to be looked at") {
  const LoadResult result = load_whole();
  REQUIRE(result.ok());
  const SnapshotPtr snapshot = make_snapshot(*result.config, 7);
  CHECK(snapshot->generation == 7);
  REQUIRE(snapshot->compiled().size() == 5);
  CHECK(snapshot->compiled()[0].asks == (kAsksPath | kAsksHost));
  CHECK(snapshot->compiled()[0].pool == &snapshot->config.pools[0]);
  CHECK(snapshot->compiled()[2].asks == (kAsksPath | kAsksMethod | kAsksHeaders));
  CHECK(snapshot->compiled()[2].pool == nullptr);
  CHECK(snapshot->compiled()[4].asks == kAsksHost);
  CHECK(snapshot->compiled()[4].route == &snapshot->routes()[4]);
  CHECK(snapshot->any_asks_for(kAsksHeaders));

  const LoadResult plain = load(std::string(kListener) + std::string(kPool));
  REQUIRE(plain.ok());
  const SnapshotPtr small = make_snapshot(*plain.config, 8);
  CHECK(small->compiled()[0].asks == kAsksNothing);
  CHECK_FALSE(small->any_asks_for(kAsksHost));
}

TEST_CASE("config/admin_address: the list of the contract, in order") {
  const std::string mine = "/tmp/sluice-" + std::to_string(getuid()) + "/admin.sock";
  const auto paths = [](std::map<std::string, std::string, std::less<>> env) {
    std::vector<std::string> found;
    for (const AdminSocket& socket : admin_listen_candidates(with_env(std::move(env)).env))
      found.push_back(socket.path);
    return found;
  };
  CHECK(paths({}) == std::vector<std::string>{"/run/sluice/admin.sock", mine});
  CHECK(
      paths({{"RUNTIME_DIRECTORY", "/run/edge:/run/other"}, {"XDG_RUNTIME_DIR", "/run/user/7"}}) ==
      std::vector<std::string>{"/run/edge/admin.sock", "/run/sluice/admin.sock",
                               "/run/user/7/sluice/admin.sock", mine});
}

}  // namespace sluice::config
