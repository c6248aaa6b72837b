#include "sluice/cache/purge.h"

#include "hosts.h"
#include "src/cache/purge_script.h"

namespace sluice::cache {
namespace {

using namespace test;

TEST_CASE("cache/purge: a purge as text and back") {
  for (const char* text :
       {"hard all", "soft all", "hard url http://shop.example:80/a?b=c d", "soft url http://x:80/",
        "hard prefix http://shop.example:80/a", "soft tag 00a1b2c3d4e5f607"}) {
    CAPTURE(text);
    const auto order = parse_purge(text);
    REQUIRE(order);
    CHECK(to_text(*order) == text);
    CHECK(parse_purge(to_text(*order)) == order);
  }
}

TEST_CASE("cache/purge: what is no purge") {
  for (const char* text : {"",
                           " ",
                           "all",
                           "hard",
                           "hard ",
                           "hard all ",
                           "hard all x",
                           "HARD all",
                           "weak all",
                           "hard url",
                           "hard url ",
                           "hard tag",
                           "hard tag 1",
                           "hard tag 00a1b2c3d4e5f60",
                           "hard tag 0000000000000000",
                           "hard tag 00a1b2c3d4e5f6078",
                           "hard tag x0a1b2c3d4e5f607",
                           "hard tag +0a1b2c3d4e5f607",
                           "hard host x",
                           " hard all",
                           "hard  all"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_purge(text));
  }
}

TEST_CASE("cache/purge: news and numbered purges") {
  const auto news = parse_news("7 12 hard url http://x:80/a b");
  REQUIRE(news);
  CHECK(news->stamp == SharedStamp{7, 12});
  CHECK(news->order.url == "http://x:80/a b");
  for (const char* text :
       {"", "7", "7 12", "7 12 ", "0 12 hard all", "7 0 hard all", "x 1 hard all", "7 -1 hard all",
        "7 1 2 hard all", "7 99999999999999999999 hard all"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_news(text));
  }
  const std::string longest = "http://x:80/" + std::string(kLongestPurge, 'a');
  CHECK_FALSE(parse_numbered("1 hard url " + longest));
  CHECK(parse_numbered("1 hard url " + longest.substr(0, 60'000)));
}

TEST_CASE("cache/purge: a URL too long to be told becomes a prefix") {
  const PurgeOrder fits = order_of("soft url http://x:80/" + std::string(60'000, 'a'));
  CHECK(within_limits(fits) == fits);
  const PurgeOrder wider =
      within_limits(order_of("soft url http://x:80/" + std::string(70'000, 'a')));
  CHECK(wider.what == What::prefix);
  CHECK(wider.kind == PurgeKind::soft);
  CHECK(wider.url == "http://x:80/" + std::string(Purges::kLongestPrefix - 12, 'a'));
}

TEST_CASE("cache/purge: how a server handles its memory") {
  CHECK(memory_warning("").empty());
  CHECK(memory_warning("# Memory\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n")
            .starts_with("it has no maxmemory"));
  CHECK(memory_warning("maxmemory:100\r\nmaxmemory_human:1\r\nmaxmemory_policy:noeviction\r\n")
            .starts_with("its maxmemory-policy is noeviction"));
  CHECK(memory_warning("maxmemory:100\r\nmaxmemory_policy:allkeys-lfu\r\n").empty());
}

}  // namespace
}  // namespace sluice::cache
