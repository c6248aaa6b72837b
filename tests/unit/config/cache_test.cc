// The keys of the cache: what each of them sets, and what is refused in which words.
#include <doctest/doctest.h>

#include <functional>

#include "tests/unit/config/config_testing.h"

namespace sluice::config {

namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

LoadResult load_route(const std::string& cache) {
  return load(std::string(kListener) + std::string(kPool) + "routes:\n- pool: api\n  cache: {" +
              cache + "}\n");
}

LoadResult load_redis(const std::string& redis) {
  return load(std::string(kListener) + std::string(kPool) + "cache: {redis: {" + redis + "}}\n");
}

struct Bad {
  std::string yaml;
  std::string head;  // without "t.yaml:"
};

void check_all(LoadResult (*load_one)(const std::string&), const std::vector<Bad>& cases) {
  for (const Bad& each : cases) {
    CAPTURE(each.yaml);
    CHECK(heads(load_one(each.yaml)) == std::vector<std::string>{"t.yaml:" + each.head});
  }
}

}  // namespace

TEST_CASE("config/cache: `cache: {}` on a route is the defaults") {
  const LoadResult result = load_route("");
  REQUIRE(result.ok());
  CHECK(result.config->routes[0].cache == RouteCache{});
}

TEST_CASE("config/cache: each key of a route's cache arrives in its member, and in no other") {
  using Cache = RouteCache;
  struct Case {
    const char* yaml;
    std::function<void(Cache&)> change;
  };
  const Case cases[] = {
      {"default_ttl: 5s", [](Cache& c) { c.default_ttl = seconds(5); }},
      {"default_ttl: off", [](Cache&) {}},
      {"forced_ttl: 1m", [](Cache& c) { c.forced_ttl = minutes(1); }},
      {"forced_ttl: 1m, default_ttl: 0", [](Cache& c) { c.forced_ttl = minutes(1); }},
      {"status_ttl: {410: off, 404: 10s, 301: 365d}",
       [](Cache& c) {
         c.status_ttl = {{301, hours(365 * 24)}, {404, seconds(10)}, {410, Duration{0}}};
       }},
      {"status_ttl: {}", [](Cache&) {}},
      {"max_ttl: 1d", [](Cache& c) { c.max_ttl = hours(24); }},
      {"jitter: 5%", [](Cache& c) { c.jitter_percent = 5; }},
      {"jitter: 50%", [](Cache& c) { c.jitter_percent = 50; }},
      {"heuristic: false", [](Cache& c) { c.heuristic = false; }},
      {"stale_while_revalidate: 30s", [](Cache& c) { c.stale_while_revalidate = seconds(30); }},
      {"stale_if_error: 10m", [](Cache& c) { c.stale_if_error = minutes(10); }},
      {"stale_if_unreachable: off", [](Cache& c) { c.stale_if_unreachable = Duration{0}; }},
      {"stale_beside_s_maxage: true", [](Cache& c) { c.stale_beside_s_maxage = true; }},
      {"uncacheable_ttl: 1s", [](Cache& c) { c.uncacheable_ttl = seconds(1); }},
      {"keep: 1h", [](Cache& c) { c.keep = hours(1); }},
      {"set_cookie: never", [](Cache& c) { c.set_cookie = StoreSetCookie::kNever; }},
      {"honour_client: false", [](Cache& c) { c.honour_client = false; }},
      {"bypass_headers: [X-Debug, Authorization]",
       [](Cache& c) {
         c.bypass_headers = {"x-debug", "authorization"};
       }},
      {"bypass_cookies: Session", [](Cache& c) { c.bypass_cookies = {"Session"}; }},
      {"targeted_fields: [Shop-Cache-Control]",
       [](Cache& c) { c.targeted_fields = {"shop-cache-control"}; }},
      {"targeted_fields: []", [](Cache& c) { c.targeted_fields.clear(); }},
      {"key: {}", [](Cache&) {}},
      {"key: {query: {only: [page, filter*]}}",
       [](Cache& c) {
         c.key.query = RouteCacheKey::Query::kOnly;
         c.key.parameters = {"page", "filter*"};
       }},
      {"key: {query: {only: []}}", [](Cache& c) { c.key.query = RouteCacheKey::Query::kOnly; }},
      {"key: {query: {without: utm_*}}",
       [](Cache& c) {
         c.key.query = RouteCacheKey::Query::kWithout;
         c.key.parameters = {"utm_*"};
       }},
      {"key: {sort_query: true}", [](Cache& c) { c.key.sort_query = true; }},
      {"key: {headers: [X-Country]}", [](Cache& c) { c.key.headers = {"x-country"}; }},
      {"key: {cookies: [Theme]}", [](Cache& c) { c.key.cookies = {"Theme"}; }},
  };
  for (const Case& each : cases) {
    CAPTURE(each.yaml);
    const LoadResult result = load_route(each.yaml);
    REQUIRE(format_text(result.diagnostics) == "");
    Cache expected;
    each.change(expected);
    CHECK(result.config->routes[0].cache == expected);
  }
}

TEST_CASE("config/cache: lifetimes that are none (RFC 9111 1.2.2: they fit 2^31 seconds)") {
  const std::string range = "units: us, ms, s, m, h, d; from 1ms to 365d, or 0 for off)";
  std::vector<Bad> cases;
  for (const std::string key :
       {"default_ttl", "forced_ttl", "max_ttl", "stale_while_revalidate", "stale_if_error",
        "stale_if_unreachable", "uncacheable_ttl", "keep"}) {
    const std::string at = "5:" + std::to_string(11 + key.size() + 2) + ": error: routes[0].cache.";
    cases.push_back(
        {key + ": 2147483648s", at + key + ": \"2147483648s\" is out of range (" + range});
    cases.push_back({key + ": 99999999999999999999s",
                     at + key + ": \"99999999999999999999s\" is not a duration (" + range});
    cases.push_back({key + ": 5", at + key + ": \"5\" has no unit (" + range});
  }
  cases.push_back(
      {"status_ttl: {404: 2147483648s}",
       "5:29: error: routes[0].cache.status_ttl.404: \"2147483648s\" is out of range (" + range});
  check_all(load_route, cases);
}

TEST_CASE("config/cache: a status that is never stored has no lifetime (RFC 9111 3, RFC 6585)") {
  const auto refused = [](const std::string& status) {
    const auto found = heads(load_route("status_ttl: {" + status + ": 10s}"));
    return found.size() == 1 ? found[0] : std::string();
  };
  const std::string at = "t.yaml:5:24: error: routes[0].cache.status_ttl.";
  const std::pair<const char*, const char*> never[] = {
      {"100", "no final response"},
      {"103", "no final response"},
      {"199", "no final response"},
      {"206", "only a part, and an answer to one range"},
      {"304", "an answer to one client's condition"},
      {"412", "an answer to one client's condition"},
      {"416", "an answer to one client's range"},
      {"428", "never to be stored (RFC 6585)"},
      {"429", "never to be stored (RFC 6585)"},
      {"431", "never to be stored (RFC 6585)"},
      {"511", "never to be stored (RFC 6585)"},
  };
  for (const auto& [status, why] : never) {
    CHECK(refused(status) == at + status + ": " + status + " cannot have a lifetime: it is " + why);
  }
  for (const std::string status : {"99", "600", "0404", "abc", "4xx"}) {
    CHECK(refused(status) == at + status + ": \"" + status + "\" is not a status in 200 to 599");
  }
  for (const char* status : {"200", "302", "404", "500", "503", "599"}) {
    CHECK(load_route(std::string("status_ttl: {") + status + ": 10s}").ok());
  }
}

TEST_CASE("config/cache: what a route's cache refuses") {
  check_all(
      load_route,
      {
          {"forced_ttl: 1m, default_ttl: 5s",
           "5:27: error: routes[0].cache.default_ttl: would never count beside forced_ttl"},
          {"status_ttl: 10s",
           "5:23: error: routes[0].cache.status_ttl: expected a map of names to values, found a "
           "text"},
          {"status_ttl: {404: 1s, 404: 2s}",
           "5:33: error: routes[0].cache.status_ttl.404: duplicate key; first at t.yaml:5"},
          {"jitter: 51%",
           "5:19: error: routes[0].cache.jitter: \"51%\" is out of range (from 0% to 50%)"},
          {"jitter: 5",
           "5:19: error: routes[0].cache.jitter: \"5\" is not a share in percent (from 0% to 50%)"},
          {"jitter: 0.5%",
           "5:19: error: routes[0].cache.jitter: \"0.5%\" is not a whole number of percent"},
          {"set_cookie: always",
           "5:23: error: routes[0].cache.set_cookie: \"always\" is not one of when_explicit, "
           "never"},
          {"heuristic: off",
           "5:22: error: routes[0].cache.heuristic: \"off\" is not true or false"},
          {"bypass_headers: [\"X A\"]",
           "5:28: error: routes[0].cache.bypass_headers[0]: \"X A\" is not a field name"},
          {"bypass_headers: [Host]",
           "5:28: error: routes[0].cache.bypass_headers[0]: \"Host\" makes no sense here: every "
           "request has it, so nothing would be cached"},
          {"bypass_headers: [X-A, x-a]",
           "5:11: error: routes[0].cache.bypass_headers: \"x-a\" stands there twice"},
          {"bypass_cookies: [\"a=b\"]",
           "5:28: error: routes[0].cache.bypass_cookies[0]: \"a=b\" is not a token (letters, "
           "digits, !#$%&'*+-.^_`|~)"},
          {"targeted_fields: [Expires]",
           "5:29: error: routes[0].cache.targeted_fields[0]: \"Expires\" makes no sense here: it "
           "counts anyway, where no field of this list does"},
          {"targeted_fields: [\"\"]",
           "5:29: error: routes[0].cache.targeted_fields[0]: empty value"},
          {"default_tll: 5s",
           "5:11: error: routes[0].cache.default_tll: unknown key; did you mean \"default_ttl\"?"},
      });
}

TEST_CASE("config/cache: what the key of a route's cache refuses") {
  check_all(
      load_route,
      {
          {"key: {query: {only: [a], without: [b]}}",
           "5:36: error: routes[0].cache.key.query.without: not together with only"},
          {"key: {query: {}}",
           "5:24: error: routes[0].cache.key.query: has to say what counts: one of only, without"},
          {"key: {query: all}",
           "5:24: error: routes[0].cache.key.query: expected a map of keys, found a text"},
          {"key: {query: {without: []}}",
           "5:34: error: routes[0].cache.key.query.without: needs at least one"},
          {"key: {query: {only: [\"a&b\"]}}",
           "5:32: error: routes[0].cache.key.query.only[0]: \"a&b\" is not a parameter as it "
           "stands "
           "in a URL (no space, &, =, ;, #)"},
          {"key: {query: {only: [\"*_id\"]}}",
           "5:32: error: routes[0].cache.key.query.only[0]: \"*_id\" is not a parameter: * ends a "
           "name"},
          {"key: {query: {only: [a, a]}}",
           "5:25: error: routes[0].cache.key.query.only: \"a\" stands there twice"},
          {"key: {headers: [\"a:b\"]}",
           "5:27: error: routes[0].cache.key.headers[0]: \"a:b\" is not a field name"},
          {"key: {headers: [A, a]}",
           "5:17: error: routes[0].cache.key.headers: \"a\" stands there twice"},
          {"key: {cookies: [a b]}",
           "5:27: error: routes[0].cache.key.cookies[0]: \"a b\" is not a token (letters, digits, "
           "!#$%&'*+-.^_`|~)"},
      });
}

TEST_CASE("config/cache: header names that would make a key wrong or useless, with the reason") {
  const auto reason = [](const std::string& name) -> std::string {
    const auto found = heads(load_route("key: {headers: [" + name + "]}"));
    if (found.size() != 1) return "";
    const std::string intro = "\"" + name + "\" makes no sense here: ";
    const size_t at = found[0].find(intro);
    return at == std::string::npos ? found[0] : found[0].substr(at + intro.size());
  };
  CHECK(reason("Host") == "it is in every key anyway");
  CHECK(reason("Cookie") ==
        "it differs with every client; name the cookies that count under cookies");
  const std::string credentials =
      "what is stored of answers to it is for everybody (RFC 9111 section 3.5), and a key would "
      "hold the credentials";
  CHECK(reason("Authorization") == credentials);
  CHECK(reason("Proxy-Authorization") == credentials);
  for (const char* name : {"Cache-Control", "Pragma", "Range", "If-Match", "If-None-Match",
                           "If-Modified-Since", "If-Unmodified-Since", "If-Range"}) {
    CHECK(reason(name) == "the cache itself answers by it");
  }
  for (const char* name : {"Connection", "Content-Length", "Expect", "Keep-Alive",
                           "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding", "Upgrade"}) {
    CHECK(reason(name) == "it is about one connection, not about the response");
  }
  CHECK(reason("X-Request-Id") == "it differs with every request");
  CHECK(reason("traceparent") == "it differs with every request");
  for (const char* name : {"Accept", "Accept-Language", "X-Forwarded-Proto", "Origin"}) {
    CHECK(load_route(std::string("key: {headers: [") + name + "]}").ok());
  }
}

TEST_CASE("config/cache: the Redis tier and who may purge") {
  const LoadResult result =
      load(std::string(kListener) + std::string(kPool) +
               "cache:\n  redis:\n    urls: [\"redis://:${PW}@a\", \"redis://:${PW}@b:7000/1\"]\n"
               "    timeout: 30ms\n    lease_wait: 100ms\n    prefix: \"s:\"\n    secret: ${S}\n"
               "  purge_from: [127.0.0.1, 10.0.0.0/8]\n",
           {{"PW", "p"}, {"S", "t"}});
  REQUIRE(format_text(result.diagnostics) == "");
  CacheRedis expected;
  expected.urls = {"redis://:p@a", "redis://:p@b:7000/1"};
  expected.timeout = milliseconds(30);
  expected.lease_wait = milliseconds(100);
  expected.prefix = "s:";
  expected.secret = "t";
  CHECK(result.config->cache.redis == expected);
  CHECK(result.config->cache.purge_from.size() == 2);

  const LoadResult plain = load_redis("url: \"unix:/run/redis.sock?db=3\"");
  REQUIRE(format_text(plain.diagnostics) == "");
  expected = {};
  expected.url = "unix:/run/redis.sock?db=3";
  CHECK(plain.config->cache.redis == expected);
  CHECK(load_redis("url: \"redis://a\", lease_wait: off").config->cache.redis->lease_wait ==
        Duration{0});
  CHECK(load_redis("urls: \"redis://a\"").ok());
}

TEST_CASE("config/cache: what the Redis tier refuses") {
  const std::string form =
      ": not a Redis URL: redis://[[USER]:PASSWORD@]HOST[:PORT][/DB] or unix:/PATH[?db=N]";
  check_all(
      load_redis,
      {
          {"", "3:16: error: cache.redis: has to say where: one of url, urls"},
          {"prefix: x", "3:16: error: cache.redis: has to say where: one of url, urls"},
          {"url: \"redis://a\", urls: [\"redis://b\"]",
           "3:35: error: cache.redis.urls: not together with url"},
          {"urls: []", "3:23: error: cache.redis.urls: needs at least one"},
          {"urls: [\"redis://a\", \"b\"]", "3:37: error: cache.redis.urls[1]" + form},
          {"url: \"redis://a:0\"", "3:22: error: cache.redis.url" + form},
          {"url: \"rediss://a\"",
           "3:22: error: cache.redis.url: TLS to Redis (rediss://) is not supported"},
          {"url: \"redis://a\", timeout: off",
           "3:44: error: cache.redis.timeout: \"off\" is not a duration (units: us, ms, s, m, h, "
           "d; "
           "from 1ms to 10s)"},
          {"url: \"redis://a\", lease_wait: 11s",
           "3:47: error: cache.redis.lease_wait: \"11s\" is out of range (units: us, ms, s, m, h, "
           "d; from 1ms to 10s, or 0 for off)"},
          {"url: \"redis://a\", prefix: \"\"", "3:43: error: cache.redis.prefix: empty value"},
          {"url: \"redis://a\", secret: \"\"", "3:43: error: cache.redis.secret: empty value"},
      });
}

TEST_CASE("config/cache: one server twice among several is an error, however it is written") {
  const std::string at = "t.yaml:3:17: error: cache.redis.urls: ";
  const auto found = [](const std::string& a, const std::string& b) {
    const auto lines = heads(load_redis("urls: [\"" + a + "\", \"" + b + "\"]"));
    return lines.empty() ? std::string() : lines[0];
  };
  CHECK(found("redis://a", "redis://A:6379/3") == at + "\"a:6379\" stands there twice");
  CHECK(found("redis://u:p@a:1", "redis://q@a:1") == at + "\"a:1\" stands there twice");
  CHECK(found("redis://[::1]", "redis://[::1]:6379") == at + "\"[::1]:6379\" stands there twice");
  CHECK(found("unix:/s", "unix:/s?db=1") == at + "\"/s\" stands there twice");
  CHECK(found("redis://a", "redis://a:6380") == "");
  CHECK(found("redis://a", "redis://b") == "");
  CHECK(found("unix:/s", "unix:/S") == "");
}

}  // namespace sluice::config
