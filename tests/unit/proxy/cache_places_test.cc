#include "sluice/proxy/cache_places.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace sluice::proxy {
namespace {

using cache::PurgeKind;

config::Route route(std::string path, std::string strip = "") {
  config::Route made;
  made.name = path;
  if (path != "/") {
    made.match.path_kind = config::Match::PathKind::kSegment;
    made.match.path = std::move(path);
  }
  made.strip_prefix = std::move(strip);
  made.cache.emplace();
  return made;
}

struct Bed {
  explicit Bed(std::vector<config::Route> routes) {
    config::Config config;
    config.pools.resize(2);
    config.routes = std::move(routes);
    snapshot = config::make_snapshot(std::move(config), 1);
  }
  std::vector<std::string> places(std::string_view target, std::string_view host = "shop") {
    std::vector<std::string> out;
    for (const CachePlace& place :
         cache_places(*snapshot, {"http", host, target}, store.secret, arena)) {
      out.push_back(place.route->name + " " + std::string(place.key.url));
    }
    return out;
  }
  std::vector<std::string> purged_prefixes(std::string_view prefix) {
    std::vector<std::string> out;
    purge_prefix(*snapshot, prefix, PurgeKind::hard, [&](const cache::PurgeOrder& order) {
      out.push_back(order.url);
      return size_t{1};
    });
    return out;
  }

  ChunkPool pool;
  Arena arena{pool};
  config::SnapshotPtr snapshot;
  cache::Cache store{{}, "test:", 1};
};

using List = std::vector<std::string>;

}  // namespace

TEST_CASE("proxy/cache_places: the route of the URL decides, and what it strips") {
  config::Route plain = route("/plain");
  plain.cache.reset();
  Bed bed({plain, route("/app", "/app"), route("/")});
  CHECK(bed.places("/x?q") == List{"/ http://shop:80/x?q"});
  CHECK(bed.places("/x", "Shop:8080") == List{"/ http://shop:8080/x"});
  CHECK(bed.places("/app/x?q") == List{"/app http://shop:80/x?q"});
  CHECK(bed.places("/app") == List{"/app http://shop:80/"});
  CHECK(bed.places("/plain").empty());
  CHECK(bed.places("/../x").empty());  // answered 400
  CHECK(bed.places("*").empty());
}

TEST_CASE("proxy/cache_places: a route that asks for a header may be taken or not: both count") {
  config::Route by_header = route("/a", "/a"), by_method = route("/a"), other_host = route("/a");
  by_header.match.headers = {{"x-v", "1"}};
  by_method.match.methods = {"POST"};
  other_host.match.host_kind = config::Match::HostKind::kExact;
  other_host.match.host = "other";
  Bed bed({by_method, other_host, by_header, route("/"), route("/a")});
  CHECK(bed.places("/a/x") == List{"/a http://shop:80/x", "/ http://shop:80/a/x"});
}

TEST_CASE("proxy/cache_places: a purge of a URL counts what each pool has of it") {
  config::Route a = route("/a"), b = route("/");
  a.pool = "a";
  b.pool = "b";
  b.pool_index = 1;
  Bed bed({a, b});
  List purged;
  const auto entries = purge_url(*bed.snapshot, bed.store, {"http", "shop", "/a"}, PurgeKind::soft,
                                 [&](const cache::PurgeOrder& order) {
                                   purged.push_back(to_text(order));
                                   return size_t{2};
                                 });
  CHECK(purged == List{"soft url http://shop:80/a"});
  CHECK(entries == 2);
}

TEST_CASE("proxy/cache_places: a prefix means what clients ask for, also where a route strips") {
  config::Route other_host = route("/app", "/app");
  other_host.match.host_kind = config::Match::HostKind::kExact;
  other_host.match.host = "other";
  Bed bed({other_host, route("/api/v1", "/api/v1"), route("/")});
  CHECK(bed.purged_prefixes("http://shop:80/img/") == List{"http://shop:80/img/"});
  CHECK(bed.purged_prefixes("http://shop:80/app/x") == List{"http://shop:80/app/x"});
  CHECK(bed.purged_prefixes("http://shop:80/api/v1/x") ==
        List{"http://shop:80/api/v1/x", "http://shop:80/x"});
  CHECK(bed.purged_prefixes("http://shop:80/api/v1/") == List{"http://shop:80/"});
  CHECK(bed.purged_prefixes("http://shop:80/api") == List{"http://shop:80/"});
  CHECK(bed.purged_prefixes("http://shop:80/") == List{"http://shop:80/"});
  CHECK(bed.purged_prefixes("http://other:80/app/x") ==
        List{"http://other:80/app/x", "http://other:80/x"});
}

TEST_CASE("proxy/cache_places: the parts of a canonical URL") {
  const cache::KeyUrl url = key_url_of("https://[::1]:8443/a?b://c/d");
  CHECK(url.scheme == "https");
  CHECK(url.authority == "[::1]:8443");
  CHECK(url.target == "/a?b://c/d");
}

}  // namespace sluice::proxy
