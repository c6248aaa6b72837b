#include "sluice/proxy/site_cache.h"

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

}  // namespace

bool SiteCache::is_surrogate() const noexcept {
  return std::ranges::find(rules.targeted_fields, "surrogate-control") !=
         rules.targeted_fields.end();
}

SiteCache make_site_cache(const config::Route& route, const config::Config& config) {
  SiteCache made{rules_of(*route.cache), key_of(route.cache->key)};
  // One URL may lead to different pools, by header or method; then they share nothing.
  const bool is_only_pool =
      std::all_of(config.routes.begin(), config.routes.end(), [&](const config::Route& other) {
        return !other.cache || other.pool_index == route.pool_index;
      });
  if (!is_only_pool) made.key.space = route.pool;
  return made;
}

}  // namespace sluice::proxy
