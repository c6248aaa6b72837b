#include "sluice/cache/shared_tier.h"

#include <algorithm>
#include <array>
#include <map>

#include "hosts.h"

namespace sluice::cache {
namespace {

using namespace test;

const std::string kUrl = kSite + "/a";

Standing judge(const PurgeLog& log, SharedStamp stamp, SharedStamp state,
               std::span<const EntryTag> tags = {}, std::string_view url = kUrl) {
  return log.standing(stamp, state, tags, url);
}

TEST_CASE("cache/shared_tier: a log that has heard nothing takes everything for gone") {
  PurgeLog log;
  CHECK_FALSE(log.now().is_known());
  CHECK(judge(log, {}, {}) == Standing::gone);
  CHECK(judge(log, {7, 0}, {7, 0}) == Standing::gone);
  log.begin({7, 0});
  CHECK(judge(log, {7, 0}, {7, 0}) == Standing::good);
  log.begin({});
  CHECK(judge(log, {}, {}) == Standing::gone);
  CHECK(judge(log, {7, 0}, {7, 0}) == Standing::gone);
}

TEST_CASE("cache/shared_tier: an entry is judged by what was purged since its stamp") {
  PurgeLog log;
  log.begin({7, 10});
  const EntryTag tagged[] = {{tag_hash("red")}};
  log.apply({.what = What::tag, .kind = PurgeKind::soft, .url = {}, .tag = tag_hash("red")});
  log.apply({.what = What::url, .kind = PurgeKind::hard, .url = kUrl});
  log.apply({.what = What::prefix, .kind = PurgeKind::hard, .url = kSite + "/b/"});
  REQUIRE(log.now() == SharedStamp{7, 13});
  const SharedStamp state{7, 13};
  CHECK(judge(log, {7, 10}, state, tagged, kSite + "/c") == Standing::stale);
  CHECK(judge(log, {7, 11}, state, tagged, kSite + "/c") == Standing::good);
  CHECK(judge(log, {7, 11}, state) == Standing::gone);
  CHECK(judge(log, {7, 12}, state) == Standing::good);
  CHECK(judge(log, {7, 12}, state, {}, kSite + "/b/1") == Standing::gone);
  CHECK(judge(log, {7, 13}, state, {}, kSite + "/b/1") == Standing::good);
}

TEST_CASE("cache/shared_tier: what the log does not reach is gone") {
  PurgeLog log;
  log.begin({7, 10});
  log.apply({});
  SUBCASE("a stamp from before it begins") { CHECK(judge(log, {7, 9}, {7, 11}) == Standing::gone); }
  SUBCASE("another epoch") {
    CHECK(judge(log, {8, 11}, {7, 11}) == Standing::gone);
    CHECK(judge(log, {7, 11}, {8, 11}) == Standing::gone);
    CHECK(judge(log, {8, 11}, {8, 11}) == Standing::gone);
  }
  SUBCASE("a server that knows of more") { CHECK(judge(log, {7, 11}, {7, 12}) == Standing::gone); }
  SUBCASE("a stamp of a purge that the server has not had") {
    CHECK(judge(log, {7, 12}, {7, 11}) == Standing::gone);
  }
  SUBCASE("an epoch that begins") {
    log.begin({8, 0});
    CHECK(judge(log, {7, 11}, {8, 0}) == Standing::gone);
    CHECK(judge(log, {8, 0}, {8, 0}) == Standing::good);
  }
}

TEST_CASE("cache/shared_tier: thousands of purges hit what they name, and little else") {
  PurgeLog log;
  log.begin({7, 100});
  for (int i = 0; i < 4097; ++i) {
    log.apply({What::url, PurgeKind::hard, kSite + "/login?n=" + std::to_string(i), 0});
  }
  CHECK(judge(log, {7, 100}, log.now()) == Standing::good);
  CHECK(judge(log, {7, 100}, log.now(), {}, kSite + "/login?n=0") == Standing::gone);
  for (int i = 0; i < 1500; ++i) {
    log.apply({What::prefix, PurgeKind::hard, kSite + "/" + std::to_string(i) + "/", 0});
  }
  CHECK(judge(log, {7, 100}, log.now(), {}, "http://b:80/kept") == Standing::good);
  CHECK(judge(log, {7, 100}, log.now(), {}, kSite + "/0/x") == Standing::gone);
}

std::vector<redis::Address> addresses(std::initializer_list<const char*> hosts) {
  std::vector<redis::Address> all;
  for (const char* host : hosts) {
    redis::Address address;
    address.host = host;
    all.push_back(address);
  }
  return all;
}

std::string host_of(const SharedTier& tier, const Hash128& key) {
  return tier.server(tier.place_of(key)).address.host;
}

TEST_CASE("cache/shared_tier: a key has the same server on every host") {
  const auto one = tier_of(addresses({"a", "b", "c"}));
  const auto other = tier_of(addresses({"c", "a", "b"}));
  for (uint64_t i = 0; i < 1000; ++i) {
    const Hash128 key = hash128(std::to_string(i), kSecret);
    CHECK(host_of(*one, key) == host_of(*other, key));
  }
}

TEST_CASE("cache/shared_tier: servers have even shares, and a new one takes only its own") {
  const auto before = tier_of(addresses({"a", "b", "c"}));
  const auto after = tier_of(addresses({"a", "b", "c", "d"}));
  std::map<std::string, int> share;
  for (uint64_t i = 0; i < 4000; ++i) {
    const Hash128 key = hash128(std::to_string(i), kSecret);
    const std::string now = host_of(*after, key);
    ++share[now];
    CHECK((now == "d" || now == host_of(*before, key)));
  }
  for (const auto& [host, count] : share) {
    CAPTURE(host);
    CHECK(count > 800);
    CHECK(count < 1200);
  }
}

TEST_CASE("cache/shared_tier: names of keys") {
  const auto tier = tier_of(addresses({"a"}));
  CHECK(tier->state_key() == "t:state");
  CHECK(tier->purges_key() == "t:purges");
  CHECK(tier->news_channel() == "t:news");
  CHECK(tier->entry_key({.low = 0x2, .high = 0x1}) == "t:v1:{00000000000000010000000000000002}");
}

}  // namespace
}  // namespace sluice::cache
