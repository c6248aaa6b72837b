#include "sluice/proxy/site_cache.h"

#include <algorithm>

namespace sluice::proxy {

SiteCache make_site_cache(const config::Route& route, const config::Config& config) {
  SiteCache made;
  cache::CacheRules& rules = made.rules;
  if (route.cache->default_ttl > Duration{0}) rules.default_ttl = route.cache->default_ttl;
  rules.stale_while_revalidate = route.cache->stale_while_revalidate;
  rules.stale_if_error = route.cache->stale_if_error;
  // One URL may lead to different pools, by header or method; then they share nothing.
  const bool is_only_pool =
      std::all_of(config.routes.begin(), config.routes.end(), [&](const config::Route& other) {
        return !other.cache || other.pool_index == route.pool_index;
      });
  if (!is_only_pool) made.key.space = route.pool;
  return made;
}

}  // namespace sluice::proxy
