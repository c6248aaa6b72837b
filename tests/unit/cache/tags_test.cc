#include "sluice/cache/tags.h"

#include <doctest/doctest.h>

#include <algorithm>
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

// Fewer slots than purges: who shares one is fetched once too often, and the others stay.
TEST_CASE("cache/tags: any number of purged tags hits those who share a slot, and no others") {
  Purges purges;
  std::vector<Fill> fills;
  for (size_t i = 0; i < 1000; ++i) {
    const std::string tag = "kept" + std::to_string(i);
    fills.push_back(start(purges, {tag.c_str()}));
  }
  const Fill untagged = start(purges, {});
  for (size_t i = 0; i < 4097; ++i) purges.purge_tag(tag_hash(std::to_string(i)), PurgeKind::soft);
  const auto hit = std::count_if(fills.begin(), fills.end(), [&](const Fill& fill) {
    return standing(purges, fill) != Standing::good;
  });
  CHECK(hit > 150);  // a fourth of the slots
  CHECK(hit < 500);
  CHECK(standing(purges, untagged) == Standing::good);
  for (size_t i = 0; i < 200'000; ++i) {
    purges.purge_tag(tag_hash(std::to_string(i)), PurgeKind::soft);
  }
  CHECK(standing(purges, fills.front()) == Standing::stale);  // and not gone
  CHECK(standing(purges, untagged) == Standing::good);
  CHECK(purges.last() == 204'097);
  const Fill now = start(purges, {"17"});
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

TEST_CASE("cache/tags: any number of purged URLs hits those who share a slot, and no others") {
  Purges purges({.tags = 16, .urls = 1024, .prefixes = 4});
  const Fill before = start(purges, {});
  purges.purge_url("first", PurgeKind::soft);
  const Fill fill = start(purges, {});
  const auto good = [&](const Fill& of) {
    size_t count = 0;
    for (size_t i = 0; i < 1000; ++i) {
      count += of_fill(purges, of, "http://b:80/" + std::to_string(i)) == Standing::good ? 1 : 0;
    }
    return count;
  };
  for (size_t i = 0; i < 256; ++i) {
    purges.purge_url("http://a:80/" + std::to_string(i), PurgeKind::hard);
  }
  CHECK(of_fill(purges, before, "first") != Standing::good);
  CHECK(good(fill) > 700);
  CHECK(good(fill) < 850);
  CHECK(good(start(purges, {})) == 1000);
}

TEST_CASE("cache/tags: prefixes that are too many become what two of one origin begin with") {
  Purges purges({.tags = 16, .urls = 16, .prefixes = 3});
  const Fill fill = start(purges, {});
  purges.purge_prefix("http://a:80/x/1", PurgeKind::hard);
  const Fill second = start(purges, {});
  purges.purge_prefix("http://b:80/", PurgeKind::soft);
  purges.purge_prefix("http://a:80/x/2", PurgeKind::soft);
  const Fill last = start(purges, {});
  CHECK(of_fill(purges, fill, "http://a:80/x/3") == Standing::good);
  purges.purge_prefix("http://c:80/", PurgeKind::hard);
  CHECK(of_fill(purges, fill, "http://a:80/x/1") == Standing::gone);
  CHECK(of_fill(purges, fill, "http://a:80/x/3") == Standing::gone);
  CHECK(of_fill(purges, second, "http://a:80/x/2") == Standing::gone);
  CHECK(of_fill(purges, last, "http://a:80/x/3") == Standing::good);
  CHECK(of_fill(purges, fill, "http://a:80/y") == Standing::good);
  CHECK(of_fill(purges, fill, "http://b:80/x") == Standing::stale);
  CHECK(of_fill(purges, fill, "http://d:80/x") == Standing::good);
}

TEST_CASE("cache/tags: only prefixes of too many origins are forgotten, the oldest first") {
  Purges purges({.tags = 16, .urls = 16, .prefixes = 2});
  const Fill fill = start(purges, {});
  purges.purge_prefix("http://a:80/", PurgeKind::hard);
  const Fill second = start(purges, {});
  purges.purge_prefix("http://ab:80/", PurgeKind::hard);
  purges.purge_prefix("http://b:80/", PurgeKind::hard);
  CHECK(of_fill(purges, fill, "http://x:80/") == Standing::gone);
  CHECK(of_fill(purges, second, "http://x:80/") == Standing::good);
  CHECK(of_fill(purges, second, "http://ab:80/1") == Standing::gone);
}

TEST_CASE("cache/tags: a prefix again, or a wider one, takes no second place") {
  Purges purges({.tags = 16, .urls = 16, .prefixes = 2});
  const Fill fill = start(purges, {});
  purges.purge_prefix("http://a:80/x", PurgeKind::hard);
  for (int i = 0; i < 10; ++i) purges.purge_prefix("http://b:80/x/1", PurgeKind::hard);
  purges.purge_prefix("http://b:80/x", PurgeKind::hard);
  CHECK(of_fill(purges, fill, "http://a:80/x") == Standing::gone);
  CHECK(of_fill(purges, fill, "http://b:80/x/2") == Standing::gone);
  CHECK(of_fill(purges, fill, "http://c:80/") == Standing::good);
  // What a soft one covers was removed all the same.
  purges.purge_prefix("http://b:80/", PurgeKind::soft);
  CHECK(of_fill(purges, fill, "http://b:80/x/2") == Standing::gone);
}

TEST_CASE("cache/tags: the text of prefixes is bounded, and a long one counts as its beginning") {
  Purges purges({.tags = 16, .urls = 16, .prefixes = 64});
  const Fill fill = start(purges, {});
  const std::string url = "http://a:80/" + std::string(3000, 'x');
  purges.purge_prefix(url + "y", PurgeKind::hard);
  CHECK(of_fill(purges, fill, url) == Standing::gone);
  CHECK(of_fill(purges, fill, "http://a:80/xx") == Standing::good);
  const Fill next = start(purges, {});
  for (char each = 'a'; each <= 'z'; ++each) {
    purges.purge_prefix("http://b:80/" + std::string(2000, each), PurgeKind::hard);
  }
  CHECK(of_fill(purges, next, "http://b:80/" + std::string(2001, 'z')) == Standing::gone);
  CHECK(of_fill(purges, next, "http://b:80/" + std::string(2001, 'a')) == Standing::gone);
  CHECK(of_fill(purges, next, "http://c:80/") == Standing::good);
}
