// What a route with a cache goes by, made from its configuration. Plain values; a Site owns one a
// route.
#pragma once

#include "sluice/cache/key.h"
#include "sluice/cache/policy_rules.h"
#include "sluice/config/config.h"

namespace sluice::proxy {

struct SiteCache {
  cache::CacheRules rules;
  cache::KeyRule key;
};

// `route` has a cache; `config` is what it stands in.
SiteCache make_site_cache(const config::Route& route, const config::Config& config);

}  // namespace sluice::proxy
