#include "sluice/proxy/site_cache.h"

#include <doctest/doctest.h>

namespace sluice::proxy {

namespace {

using std::chrono::minutes;
using std::chrono::seconds;

SiteCache made_of(const config::RouteCache& cache) {
  config::Config config;
  config.routes.resize(1);
  config.routes[0].cache = cache;
  return make_site_cache(config.routes[0], config);
}

config::Route route_to(const char* pool, uint32_t index, bool has_cache = true) {
  config::Route route;
  route.pool = pool;
  route.pool_index = index;
  if (has_cache) route.cache.emplace();
  return route;
}

}  // namespace

TEST_CASE("proxy/site_cache: a configuration's defaults are those of the rules") {
  const SiteCache made = made_of({});
  const cache::CacheRules rules;
  CHECK_FALSE(made.rules.default_ttl);
  CHECK_FALSE(made.rules.forced_ttl);
  CHECK(made.rules.status_ttl.empty());
  CHECK_FALSE(made.rules.max_ttl);
  CHECK(made.rules.jitter_percent == rules.jitter_percent);
  CHECK(made.rules.heuristic == rules.heuristic);
  CHECK(made.rules.stale_while_revalidate == rules.stale_while_revalidate);
  CHECK(made.rules.stale_if_error == rules.stale_if_error);
  CHECK(made.rules.stale_if_unreachable == rules.stale_if_unreachable);
  CHECK(made.rules.stale_beside_s_maxage == rules.stale_beside_s_maxage);
  CHECK(made.rules.uncacheable_ttl == rules.uncacheable_ttl);
  CHECK(made.rules.keep == rules.keep);
  CHECK(made.rules.set_cookie == rules.set_cookie);
  CHECK(made.rules.honour_client == rules.honour_client);
  CHECK(made.rules.bypass_fields == rules.bypass_fields);
  CHECK(made.rules.bypass_cookies == rules.bypass_cookies);
  CHECK(made.rules.targeted_fields == rules.targeted_fields);
  CHECK(made.key.query == cache::KeyRule::Query::all);
  CHECK(made.key.parameters.empty());
  CHECK_FALSE(made.key.sort);
  CHECK(made.key.fields.empty());
  CHECK(made.key.cookies.empty());
  CHECK(made.key.space.empty());
}

TEST_CASE("proxy/site_cache: every rule of a route arrives") {
  config::RouteCache cache;
  cache.default_ttl = seconds(1);
  cache.forced_ttl = seconds(2);
  cache.status_ttl = {{301, Duration{0}}, {404, seconds(3)}};
  cache.max_ttl = seconds(4);
  cache.jitter_percent = 5;
  cache.heuristic = false;
  cache.stale_while_revalidate = seconds(6);
  cache.stale_if_error = seconds(7);
  cache.stale_if_unreachable = seconds(8);
  cache.stale_beside_s_maxage = true;
  cache.uncacheable_ttl = seconds(9);
  cache.keep = minutes(10);
  cache.set_cookie = config::StoreSetCookie::kNever;
  cache.honour_client = false;
  cache.bypass_headers = {"x-a"};
  cache.bypass_cookies = {"B"};
  cache.targeted_fields = {"c-cache-control"};
  const cache::CacheRules rules = made_of(cache).rules;
  CHECK(rules.default_ttl == seconds(1));
  CHECK(rules.forced_ttl == seconds(2));
  REQUIRE(rules.status_ttl.size() == 2);
  CHECK(rules.status_ttl[0].status == 301);
  CHECK(rules.status_ttl[0].ttl == Duration{0});
  CHECK(rules.status_ttl[1].status == 404);
  CHECK(rules.status_ttl[1].ttl == seconds(3));
  CHECK(rules.max_ttl == seconds(4));
  CHECK(rules.jitter_percent == 5);
  CHECK_FALSE(rules.heuristic);
  CHECK(rules.stale_while_revalidate == seconds(6));
  CHECK(rules.stale_if_error == seconds(7));
  CHECK(rules.stale_if_unreachable == seconds(8));
  CHECK(rules.stale_beside_s_maxage);
  CHECK(rules.uncacheable_ttl == seconds(9));
  CHECK(rules.keep == minutes(10));
  CHECK(rules.set_cookie == cache::SetCookieRule::never);
  CHECK_FALSE(rules.honour_client);
  CHECK(rules.bypass_fields == std::vector<std::string>{"x-a"});
  CHECK(rules.bypass_cookies == std::vector<std::string>{"B"});
  CHECK(rules.targeted_fields == std::vector<std::string>{"c-cache-control"});
}

TEST_CASE("proxy/site_cache: the rule of the key arrives") {
  config::RouteCache cache;
  cache.key.query = config::RouteCacheKey::Query::kOnly;
  cache.key.parameters = {"page", "f*"};
  cache.key.sort_query = true;
  cache.key.headers = {"x-country"};
  cache.key.cookies = {"Theme"};
  const cache::KeyRule key = made_of(cache).key;
  CHECK(key.query == cache::KeyRule::Query::only);
  CHECK(key.parameters == cache.key.parameters);
  CHECK(key.sort);
  CHECK(key.fields == std::vector<std::string>{"x-country"});
  CHECK(key.cookies == std::vector<std::string>{"Theme"});
  cache.key.query = config::RouteCacheKey::Query::kWithout;
  CHECK(made_of(cache).key.query == cache::KeyRule::Query::without);
}

TEST_CASE("proxy/site_cache: routes to different pools share nothing, those to one pool do") {
  config::Config config;
  config.routes = {route_to("a", 0), route_to("a", 0), route_to("b", 1, false)};
  CHECK(make_site_cache(config.routes[0], config).key.space.empty());
  config.routes.push_back(route_to("b", 1));
  CHECK(make_site_cache(config.routes[0], config).key.space == "a");
  CHECK(make_site_cache(config.routes[3], config).key.space == "b");
}

TEST_CASE("proxy/site_cache: it is a surrogate only where Surrogate-Control counts") {
  CHECK(made_of({}).is_surrogate);
  config::RouteCache cache;
  cache.targeted_fields = {"cdn-cache-control"};
  CHECK_FALSE(made_of(cache).is_surrogate);
}

TEST_CASE("proxy/site_cache: routes to one pool that ask or keep apart differently share nothing") {
  config::Config config;
  config.routes.resize(4);
  for (config::Route& route : config.routes) {
    route.pool = "a";
    route.cache.emplace();
  }
  config.routes[1].cache->key.sort_query = true;
  config.routes[2].request_headers.remove = {"accept-encoding"};
  const auto space = [&](size_t index) {
    return make_site_cache(config.routes[index], config).key.space;
  };
  CHECK(space(0).empty());
  CHECK(space(1).starts_with("#"));
  CHECK(space(2).starts_with("#"));
  CHECK(space(1) != space(2));
  CHECK(space(3).empty());  // as the first
}

TEST_CASE("proxy/site_cache: a route has the same space wherever it stands in the file") {
  config::Config config;
  config.routes.resize(2);
  for (config::Route& route : config.routes) {
    route.pool = "a";
    route.cache.emplace();
  }
  config.routes[0].request_headers.set = {{"X-Tenant", "beta"}};
  const std::string beta = make_site_cache(config.routes[0], config).key.space;
  CHECK(make_site_cache(config.routes[1], config).key.space.empty());
  std::swap(config.routes[0], config.routes[1]);
  CHECK(make_site_cache(config.routes[1], config).key.space == beta);
  config.routes[1].request_headers.set = {{"X-Tenant", "gamma"}};
  CHECK(make_site_cache(config.routes[1], config).key.space != beta);
}

}  // namespace sluice::proxy
