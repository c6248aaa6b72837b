// Under which keys the cache has what a URL leads to, and the purge of all of them: by the routes
// that a GET for it may take, what these strip from its path, and their key rules.
//
// For people and PURGE, who name a URL as clients ask for it. Thread: any; texts live in the arena.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/base/arena.h"
#include "sluice/base/hash.h"
#include "sluice/cache/cache.h"
#include "sluice/cache/key.h"
#include "sluice/cache/purge.h"
#include "sluice/config/snapshot.h"
#include "sluice/proxy/site_cache.h"

namespace sluice::proxy {

struct CachePlace {
  const config::Route* route = nullptr;
  SiteCache cache;
  cache::Key key;  // as of a request without any field
  // No request has another one there: neither fields nor cookies are in it.
  bool is_only_key() const noexcept {
    return cache.key.fields.empty() && cache.key.cookies.empty();
  }
};
// `url`: its target as it comes from clients.
std::vector<CachePlace> cache_places(const config::Snapshot& snapshot, const cache::KeyUrl& url,
                                     const HashSecret& secret, Arena& arena);

// The parts of what canonical_url() made.
cache::KeyUrl key_url_of(std::string_view canonical) noexcept;

// A purge of what has been asked for: in this process when it returns, see cache::PurgeHub. Returns
// how many entries it named.
using Purge = std::function<size_t(const cache::PurgeOrder&)>;

// Of a URL with all its variants, under each of its keys. How many entries there were; nullopt when
// keys with fields or cookies in them cannot be counted.
std::optional<size_t> purge_url(const config::Snapshot& snapshot, cache::Cache& cache,
                                const cache::KeyUrl& url, cache::PurgeKind kind,
                                const Purge& purge);

// "1 entry in memory", "2 entries in memory"
std::string count_text(size_t entries);

// Of all URLs that begin like this one, which is canonical, as clients ask for them: where a route
// strips a prefix that goes on from there, all that it stored for the host.
size_t purge_prefix(const config::Snapshot& snapshot, std::string_view prefix,
                    cache::PurgeKind kind, const Purge& purge);

}  // namespace sluice::proxy
