#include "sluice/proxy/cache_places.h"

#include <algorithm>
#include <string>
#include <utility>

#include "sluice/http/uri.h"
#include "sluice/proxy/router.h"

namespace sluice::proxy {
namespace {

bool has_cache(const config::Route& route) noexcept {
  return route.cache && route.action == config::Route::Action::kPool;
}

// One that begins with another is named by it already.
void add_prefix(std::string prefix, std::vector<std::string>& to) {
  const bool is_covered = std::any_of(
      to.begin(), to.end(), [&](const std::string& other) { return prefix.starts_with(other); });
  if (is_covered) return;
  std::erase_if(to, [&](const std::string& other) { return other.starts_with(prefix); });
  to.push_back(std::move(prefix));
}

// What is left of a path that begins so once `strip` is taken off; nullopt when none of its paths
// begins with that.
std::optional<std::string> stripped(std::string_view path, std::string_view strip) {
  if (http::path_has_prefix(path, strip)) {
    std::string_view rest = path.substr(strip.size());
    while (rest.starts_with('/')) rest.remove_prefix(1);
    return "/" + std::string(rest);
  }
  return strip.starts_with(path) ? std::optional<std::string>("/") : std::nullopt;
}

}  // namespace

std::vector<CachePlace> cache_places(const config::Snapshot& snapshot, const cache::KeyUrl& url,
                                     const HashSecret& secret, Arena& arena) {
  std::vector<CachePlace> places;
  const auto path = http::normalise_path(url.target.substr(0, url.target.find('?')), arena);
  if (!path) return places;
  for (const uint32_t index : routes_of_url(snapshot, url.authority, *path)) {
    const config::Route& route = snapshot.routes()[index];
    if (!has_cache(route)) continue;
    CachePlace place{&route, make_site_cache(route, snapshot.config), {}};
    cache::KeyUrl taken = url;
    if (!route.strip_prefix.empty()) {
      taken.target = http::strip_prefix(url.target, *path, route.strip_prefix, arena);
    }
    const auto key = cache::make_key(taken, {}, place.cache.key, secret, arena);
    if (!key) continue;
    place.key = *key;
    places.push_back(std::move(place));
  }
  return places;
}

cache::KeyUrl key_url_of(std::string_view canonical) noexcept {
  const size_t scheme_end = canonical.find("://");
  const size_t host = scheme_end + 3;
  const size_t path = std::min(canonical.find('/', host), canonical.size());
  return {canonical.substr(0, scheme_end), canonical.substr(host, path - host),
          canonical.substr(path)};
}

std::optional<size_t> purge_url(const config::Snapshot& snapshot, cache::Cache& cache,
                                const cache::KeyUrl& url, cache::PurgeKind kind,
                                const Purge& purge) {
  ChunkPool pool;
  Arena arena(pool);
  std::vector<std::string_view> urls, keys;
  size_t entries = 0;
  bool is_known = true;
  const auto add = [](std::string_view text, std::vector<std::string_view>& to) {
    const bool is_new = std::find(to.begin(), to.end(), text) == to.end();
    if (is_new) to.push_back(text);
    return is_new;
  };
  for (const CachePlace& place : cache_places(snapshot, url, cache.secret, arena)) {
    add(place.key.url, urls);
    is_known = is_known && place.is_only_key();
    // The purge itself does not count what is stored under keys with more than the URL.
    if (!place.key.has_extras() || !add(place.key.text, keys)) continue;
    cache::Variants found;
    cache.store.find(place.key, found);
    entries += found.all().size();
  }
  // As no route has it any more, but one may have had before a reload.
  if (const auto plain = cache::make_key(url, {}, {}, cache.secret, arena)) add(plain->url, urls);
  for (const std::string_view each : urls) {
    entries += purge({cache::PurgeOrder::What::url, kind, std::string(each), 0});
  }
  return is_known ? std::optional(entries) : std::nullopt;
}

size_t purge_prefix(const config::Snapshot& snapshot, std::string_view prefix,
                    cache::PurgeKind kind, const Purge& purge) {
  const cache::KeyUrl url = key_url_of(prefix);
  const std::string_view origin = prefix.substr(0, prefix.size() - url.target.size());
  std::vector<std::string> prefixes{std::string(prefix)};
  for (const config::Route& route : snapshot.routes()) {
    if (!has_cache(route) || route.strip_prefix.empty()) continue;
    if (!matches_host(route.match, url.authority)) continue;
    const auto rest = stripped(url.target, route.strip_prefix);
    if (rest) add_prefix(std::string(origin) + *rest, prefixes);
  }
  size_t entries = 0;
  for (std::string& each : prefixes) {
    entries += purge({cache::PurgeOrder::What::prefix, kind, std::move(each), 0});
  }
  return entries;
}

std::string count_text(size_t entries) {
  return std::to_string(entries) + (entries == 1 ? " entry" : " entries") + " in memory";
}

}  // namespace sluice::proxy
