#include "sluice/cache/tags.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace sluice;
using namespace sluice::cache;

namespace {

struct Fill {
  uint64_t started;
  std::vector<EntryTag> tags;
};
Fill start(const Purges& purges, std::initializer_list<const char*> tags) {
  Fill fill{purges.last(), {}};
  for (const char* tag : tags) fill.tags.push_back({tag_hash(tag)});
  return fill;
}
Standing standing(const Purges& purges, const Fill& fill) {
  return purges.standing(fill.started, fill.tags);
}
Standing of_fill(const Purges& purges, const Fill& fill, std::string_view url) {
  return purges.standing_of_fill(fill.started, fill.tags, url);
}

}  // namespace

TEST_CASE("cache/tags: a purge hits what was begun before it and has the tag, nothing else") {
  Purges purges;
  const Fill both = start(purges, {"a", "b"}), other = start(purges, {"c"}),
             none = start(purges, {});
  CHECK(standing(purges, both) == Standing::good);
  purges.purge_tag(tag_hash("b"), PurgeKind::hard);
  CHECK(standing(purges, both) == Standing::gone);
  CHECK(standing(purges, other) == Standing::good);
  CHECK(standing(purges, none) == Standing::good);
  const Fill later = start(purges, {"b"});
  CHECK(standing(purges, later) == Standing::good);
  purges.purge_tag(tag_hash("b"), PurgeKind::hard);
  CHECK(standing(purges, later) == Standing::gone);
}

TEST_CASE("cache/tags: a soft purge makes stale; the worst of several counts") {
  Purges purges;
  const Fill fill = start(purges, {"a", "b"});
  purges.purge_tag(tag_hash("a"), PurgeKind::soft);
  CHECK(standing(purges, fill) == Standing::stale);
  purges.purge_tag(tag_hash("b"), PurgeKind::hard);
  CHECK(standing(purges, fill) == Standing::gone);
  purges.purge_tag(tag_hash("b"), PurgeKind::soft);
  CHECK(standing(purges, fill) == Standing::gone);
}

TEST_CASE("cache/tags: a purge of all hits what has no tag too") {
  Purges purges;
  const Fill fill = start(purges, {});
  purges.purge_all(PurgeKind::soft);
  CHECK(standing(purges, fill) == Standing::stale);
  purges.purge_all(PurgeKind::hard);
  CHECK(standing(purges, fill) == Standing::gone);
  CHECK(standing(purges, start(purges, {})) == Standing::good);
}

TEST_CASE("cache/tags: more tags than the table holds make everything tagged and older gone") {
  Purges purges;
  const Fill old = start(purges, {"never purged"}), untagged = start(purges, {});
  for (size_t i = 0; i < Purges::kMostTags; ++i) {
    purges.purge_tag(tag_hash(std::to_string(i)), PurgeKind::soft);
  }
  CHECK(standing(purges, old) == Standing::good);
  const Fill young = start(purges, {"17"});
  purges.purge_tag(tag_hash("one more"), PurgeKind::soft);
  CHECK(standing(purges, old) == Standing::gone);
  CHECK(standing(purges, young) == Standing::good);
  CHECK(standing(purges, untagged) == Standing::good);
  const Fill now = start(purges, {"17", "one more"});
  CHECK(standing(purges, now) == Standing::good);
  purges.purge_tag(tag_hash("17"), PurgeKind::hard);
  CHECK(standing(purges, now) == Standing::gone);
}

TEST_CASE("cache/tags: a fill under way is hit by purges of its URL and of a prefix") {
  Purges purges;
  const std::string_view url = "http://a:80/x/y";
  const Fill fill = start(purges, {});
  purges.purge_url("http://a:80/x/z", PurgeKind::hard);
  purges.purge_prefix("http://a:80/x/z", PurgeKind::hard);
  purges.purge_prefix("http://b", PurgeKind::hard);
  CHECK(of_fill(purges, fill, url) == Standing::good);
  purges.purge_prefix("http://a:80/x", PurgeKind::soft);
  CHECK(of_fill(purges, fill, url) == Standing::stale);
  CHECK(standing(purges, fill) == Standing::good);  // says nothing of what is stored
  const Fill second = start(purges, {"t"});
  purges.purge_url(url, PurgeKind::hard);
  CHECK(of_fill(purges, fill, url) == Standing::gone);
  CHECK(of_fill(purges, second, url) == Standing::gone);
  const Fill third = start(purges, {"t"});
  CHECK(of_fill(purges, third, url) == Standing::good);
  purges.purge_tag(tag_hash("t"), PurgeKind::hard);
  CHECK(of_fill(purges, third, url) == Standing::gone);
}

TEST_CASE("cache/tags: a fill older than what is remembered of purges is not stored") {
  Purges purges;
  const Fill before = start(purges, {});
  purges.purge_url("first", PurgeKind::soft);
  const Fill fill = start(purges, {});
  for (size_t i = 1; i < Purges::kMostUrls; ++i) {
    purges.purge_url("http://a:80/" + std::to_string(i), PurgeKind::hard);
  }
  CHECK(of_fill(purges, before, "other") == Standing::good);
  CHECK(of_fill(purges, before, "first") == Standing::stale);
  purges.purge_url("last", PurgeKind::hard);
  CHECK(of_fill(purges, before, "other") == Standing::gone);
  CHECK(of_fill(purges, fill, "other") == Standing::good);

  const Fill now = start(purges, {});
  for (size_t i = 0; i <= Purges::kMostPrefixes; ++i) purges.purge_prefix("x", PurgeKind::hard);
  CHECK(of_fill(purges, now, "other") == Standing::gone);
  const Fill last = start(purges, {});
  purges.purge_prefix(std::string(Purges::kLongestPrefix + 1, 'x'), PurgeKind::hard);
  CHECK(of_fill(purges, last, "other") == Standing::gone);
  CHECK(of_fill(purges, start(purges, {}), "other") == Standing::good);
}
