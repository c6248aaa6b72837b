#include "sluice/proxy/site_cache.h"

#include <fmt/format.h>

#include <algorithm>

#include "sluice/base/hash.h"
#include "sluice/base/strings.h"

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

void add(std::string_view text, std::string& to) { to += fmt::format("{}:{}", text.size(), text); }

void add(const std::vector<config::HeaderField>& fields, std::string& to) {
  to += fmt::format("[{}", fields.size());
  for (const config::HeaderField& field : fields) {
    add(lower(field.name), to);
    add(field.value, to);
  }
}

void add(const std::vector<std::string>& texts, std::string& to) {
  to += fmt::format("[{}", texts.size());
  for (const std::string& text : texts) add(text, to);
}

// What makes this way to a pool another one: what it asks and what it keeps apart. By its values
// and not by its place, so that a file that changed, or that of another host, means the same by it.
std::string way_of(const config::Route& route) {
  const config::RouteCacheKey& key = route.cache->key;
  if (key == config::RouteCacheKey() && route.request_headers.empty()) return {};
  std::string text = fmt::format("{}{}", static_cast<int>(key.query), key.sort_query ? "s" : "");
  add(key.parameters, text);
  add(key.headers, text);
  add(key.cookies, text);
  add(route.request_headers.set, text);
  add(route.request_headers.add, text);
  add(route.request_headers.remove, text);
  return fmt::format("#{:016x}", hash64(text));
}

// One URL may lead to different pools, by header or method, or through routes that ask or keep
// apart differently: those share nothing.
std::string space_of(const config::Route& route, const config::Config& config) {
  const bool is_only_pool = std::ranges::all_of(config.routes, [&](const config::Route& other) {
    return !other.cache || other.pool_index == route.pool_index;
  });
  return (is_only_pool ? std::string() : route.pool) + way_of(route);
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
