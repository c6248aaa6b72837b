#include "sluice/proxy/site_cache.h"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::proxy {

namespace {

std::optional<Duration> given(Duration ttl) {
  return ttl > Duration{0} ? std::optional(ttl) : std::nullopt;
}

cache::SetCookieRule set_cookie_rule(config::StoreSetCookie configured) {
  switch (configured) {
    case config::StoreSetCookie::kWhenExplicit:
      return cache::SetCookieRule::when_explicit;
    case config::StoreSetCookie::kNever:
      return cache::SetCookieRule::never;
  }
  return cache::SetCookieRule::never;
}

cache::CacheRules rules_of(const config::RouteCache& configured) {
  cache::CacheRules rules;
  rules.default_ttl = given(configured.default_ttl);
  rules.forced_ttl = given(configured.forced_ttl);
  // Here 0 is a lifetime: a status may be exempt from default_ttl.
  for (const config::StatusTtl& each : configured.status_ttl) {
    rules.status_ttl.push_back({each.status, each.ttl});
  }
  rules.max_ttl = given(configured.max_ttl);
  rules.jitter_percent = configured.jitter_percent;
  rules.heuristic = configured.heuristic;
  rules.stale_while_revalidate = configured.stale_while_revalidate;
  rules.stale_if_error = configured.stale_if_error;
  rules.stale_if_unreachable = configured.stale_if_unreachable;
  rules.stale_beside_s_maxage = configured.stale_beside_s_maxage;
  rules.uncacheable_ttl = configured.uncacheable_ttl;
  rules.keep = configured.keep;
  rules.set_cookie = set_cookie_rule(configured.set_cookie);
  rules.honour_client = configured.honour_client;
  rules.bypass_fields = configured.bypass_headers;
  rules.bypass_cookies = configured.bypass_cookies;
  rules.targeted_fields = configured.targeted_fields;
  return rules;
}

cache::KeyRule::Query query_rule(config::RouteCacheKey::Query configured) {
  switch (configured) {
    case config::RouteCacheKey::Query::kAll:
      return cache::KeyRule::Query::all;
    case config::RouteCacheKey::Query::kOnly:
      return cache::KeyRule::Query::only;
    case config::RouteCacheKey::Query::kWithout:
      return cache::KeyRule::Query::without;
  }
  return cache::KeyRule::Query::all;
}

cache::KeyRule key_of(const config::RouteCacheKey& configured) {
  cache::KeyRule key;
  key.query = query_rule(configured.query);
  key.parameters = configured.parameters;
  key.sort = configured.sort_query;
  key.fields = configured.headers;
  key.cookies = configured.cookies;
  return key;
}

bool is_alike(const config::Route& a, const config::Route& b) {
  return a.cache->key == b.cache->key && a.request_headers == b.request_headers;
}

// One URL may lead to different pools, by header or method, or through routes that ask or keep
// apart differently: those share nothing. Empty while there is only one way.
std::string space_of(const config::Route& route, const config::Config& config) {
  bool has_pools = false;
  std::vector<const config::Route*> ways;  // to this pool
  size_t mine = 0;
  for (const config::Route& other : config.routes) {
    if (!other.cache) continue;
    if (other.pool_index != route.pool_index) {
      has_pools = true;
      continue;
    }
    const auto alike = [&](const config::Route* way) { return is_alike(*way, other); };
    if (std::ranges::find_if(ways, alike) == ways.end()) ways.push_back(&other);
    if (&other == &route) {
      const auto own = std::ranges::find_if(ways, alike);
      mine = static_cast<size_t>(own - ways.begin());
    }
  }
  std::string space = has_pools || mine > 0 ? route.pool : std::string();
  if (mine > 0) space += fmt::format("#{}", mine + 1);
  return space;
}

}  // namespace

SiteCache make_site_cache(const config::Route& route, const config::Config& config) {
  SiteCache made{rules_of(*route.cache), key_of(route.cache->key)};
  made.key.space = space_of(route, config);
  made.is_surrogate = std::ranges::find(made.rules.targeted_fields, "surrogate-control") !=
                      made.rules.targeted_fields.end();
  return made;
}

}  // namespace sluice::proxy
