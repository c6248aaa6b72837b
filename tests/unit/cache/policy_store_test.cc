#include "sluice/cache/policy_store.h"

#include "policy_cases.h"
#include "sluice/cache/policy_invalidate.h"

using namespace sluice;
using namespace sluice::cache;
using namespace sluice::cache::test;
using enum NoStoreReason;

namespace {

struct Row {
  Case facts;
  NoStoreReason refused;
};

void check_all(std::initializer_list<Row> rows, const CacheRules& rules = {}) {
  int i = 0;
  for (const Row& row : rows) {
    CAPTURE(i);
    Judge judge;
    CHECK(to_string(judge.store(row.facts, rules).refused) == to_string(row.refused));
    ++i;
  }
}

constexpr std::string_view kFresh = "max-age=60";
bool has(const StorePlan& plan, EntryFlag flag) {
  return (plan.flags & static_cast<uint16_t>(flag)) != 0;
}

}  // namespace

TEST_CASE("cache/policy: directives of a response that forbid storing (RFC 9111 3, 5.2.2)") {
  check_all({
      {{{{"Cache-Control", kFresh}}}, kNone},
      {{{{"Cache-Control", "no-store"}}}, kNoStore},
      {{{{"Cache-Control", "No-StOrE, max-age=60"}}}, kNoStore},
      {{{{"Cache-Control", "max-age=60"}, {"Cache-Control", "no-store"}}}, kNoStore},
      {{{{"Cache-Control", "private, max-age=60"}}}, kPrivate},
      {{{{"Cache-Control", "private=\"\", max-age=60"}}}, kPrivate},
      {{{{"Cache-Control", "private=\"x-user\", max-age=60"}}}, kNone},  // 5.2.2.7
      {{{{"Cache-Control", "no-cache, max-age=60"}}}, kExpired},         // cannot be validated
      {{{{"Cache-Control", "no-cache"}, {"ETag", "\"a\""}}}, kNone},     // 5.2.2.4
      {{{{"Cache-Control", "no-cache=\"a\", max-age=60"}}}, kNone},
      {{{{"CDN-Cache-Control", "no-store"}, {"Cache-Control", kFresh}}}, kNoStore},  // RFC 9213
      {{{{"CDN-Cache-Control", "max-age=60"}, {"Cache-Control", "no-store, private"}}}, kNone},
      // 5.2.2.3: must-understand lifts no-store where the status is understood
      {{{{"Cache-Control", "max-age=60, must-understand"}}}, kNone},
      {{{{"Cache-Control", "max-age=60, must-understand, no-store"}}}, kNone},
      {{{{"Cache-Control", "max-age=60, must-understand"}}, 599}, kNotUnderstood},
      {{{{"Cache-Control", "max-age=60, must-understand, no-store"}}, 599}, kNotUnderstood},
      {{{{"Cache-Control", "max-age=60, must-understand=1, no-store"}}}, kNoStore},
      {{{{"Cache-Control", "max-age=60, must-understand, private"}}}, kPrivate},
  });
}

TEST_CASE("cache/policy: what is stored without a word about freshness (RFC 9111 3, last item)") {
  check_all({
      {{{}}, kNoFreshness},
      {{{{"Content-Type", "text/plain"}}}, kNoFreshness},
      {{{{"ETag", "\"a\""}}}, kNone},
      {{{{"ETag", "bad"}}}, kNoFreshness},
      {{{{"Last-Modified", kDateAfter}, {"Date", kDateNow}}}, kNone},  // no guess, but validation
      {{{{"ETag", "\"a\""}}, 302}, kNoFreshness},
      {{{{"ETag", "\"a\""}, {"Cache-Control", "public"}}, 302}, kNone},
      {{{{"Cache-Control", "public"}}}, kNoFreshness},
      {{{{"Cache-Control", "stale-while-revalidate=60"}}}, kNone},
      {{{{"Cache-Control", "stale-while-revalidate=0"}}}, kNoFreshness},
      {{{{"Cache-Control", "max-age=0"}}}, kExpired},
      {{{{"Cache-Control", "max-age=0, stale-if-error=60"}}}, kNone},
      {{{{"Cache-Control", "max-age=0"}, {"ETag", "\"a\""}}}, kNone},
      {{{{"Expires", "0"}}}, kExpired},
      {{{{"Cache-Control", "max-age=60"}, {"Age", "100"}}}, kNone},  // max-stale may ask for it
      {{{{"Cache-Control", "max-age=60"}, {"Age", "x"}}}, kExpired},
      {{{{"Cache-Control", "max-age=60"}, {"Age", "x"}, {"ETag", "\"a\""}}}, kNone},
  });
}

TEST_CASE("cache/policy: statuses (RFC 9111 3, RFC 9110 15, RFC 6585)") {
  const FieldRows fresh{{"Cache-Control", kFresh}};
  for (int status : {200, 201, 203, 204, 299, 300, 301, 302, 303, 307, 308,
                     400, 401, 404, 410, 499, 500, 501, 502, 503, 504, 599}) {
    CAPTURE(status);
    Judge judge;
    const StorePlan plan = judge.store({fresh, status});
    CHECK(plan.refused == kNone);
    CHECK(plan.status == status);
    CHECK(plan.reason == "Reason");
  }
  for (int status : {100, 101, 103, 304, 412, 416, 428, 429, 431, 511}) {
    CAPTURE(status);
    Judge judge;
    CHECK(judge.store({fresh, status}).refused == kStatus);
  }
  const FieldRows modified{{"Last-Modified", kDateBefore}, {"Date", kDateNow}};
  const FieldRows shared{
      {"Last-Modified", kDateBefore}, {"Date", kDateNow}, {"Cache-Control", "public"}};
  check_all({{{modified, 404}, kNone},
             {{modified, 501}, kNone},
             {{modified, 201}, kNoFreshness},
             {{modified, 503}, kNoFreshness},
             {{modified, 599}, kNoFreshness},
             {{shared, 599}, kNone}});
}

TEST_CASE("cache/policy: methods (RFC 9111 3, RFC 9110 9.3)") {
  const FieldRows fresh{{"Cache-Control", kFresh}};
  using http::Method;
  check_all({{{fresh, 200, {}, Method::head}, kHead},
             {{fresh, 200, {}, Method::put}, kMethod},
             {{fresh, 200, {}, Method::delete_}, kMethod},
             {{fresh, 200, {}, Method::options}, kMethod},
             {{fresh, 200, {}, Method::patch}, kMethod},
             {{fresh, 200, {}, Method::other}, kMethod},
             {{fresh, 200, {}, Method::post}, kMethod}});
}

TEST_CASE("cache/policy: POST is stored for GET where it is the same content (RFC 9110 9.3.3)") {
  const auto post = [](std::string_view location, int status = 200,
                       std::string_view control = kFresh) {
    Judge judge;
    return judge
        .store({{{"Cache-Control", control}, {"Content-Location", location}},
                status,
                {},
                http::Method::post})
        .refused;
  };
  CHECK(post("/a/b?q=1") == kNone);
  CHECK(post("http://shop.example/a/b?q=1") == kNone);
  CHECK(post("http://SHOP.example:80/a/b?q=1") == kNone);
  CHECK(post("//shop.example/a/b?q=1") == kNone);
  CHECK(post("b?q=1") == kNone);
  CHECK(post("?q=1") == kNone);
  CHECK(post("") == kNone);
  CHECK(post("/a/b") == kMethod);
  CHECK(post("/a/B?q=1") == kMethod);
  CHECK(post("https://shop.example/a/b?q=1") == kMethod);
  CHECK(post("http://other.example/a/b?q=1") == kMethod);
  CHECK(post("/a/b?q=1", 201) == kMethod);
  CHECK(post("/a/b?q=1", 404) == kMethod);
  CHECK(post("/a/b?q=1", 200, "public") == kMethod);
  CHECK(post("/a/b?q=1", 200, "max-age=60, no-store") == kNoStore);
  CacheRules rules;
  rules.default_ttl = 60_s;
  Judge judge;
  CHECK(judge.store({{{"Content-Location", "/a/b?q=1"}}, 200, {}, http::Method::post}, rules)
            .refused == kMethod);
}

TEST_CASE("cache/policy: requests with Authorization or no-store (RFC 9111 3.5, 5.2.1.5)") {
  const FieldRows user{{"Authorization", "Basic x"}};
  check_all({
      {{{{"Cache-Control", kFresh}}, 200, user}, kAuthorization},
      {{{{"Expires", kDateAfter}}, 200, user}, kAuthorization},
      {{{{"Cache-Control", "max-age=60, public"}}, 200, user}, kNone},
      {{{{"Cache-Control", "max-age=60, must-revalidate"}}, 200, user}, kNone},
      {{{{"Cache-Control", "s-maxage=60"}}, 200, user}, kNone},
      {{{{"Cache-Control", "max-age=60, proxy-revalidate"}}, 200, user}, kAuthorization},
      {{{{"CDN-Cache-Control", "s-maxage=60"}}, 200, user}, kNone},
      {{{{"CDN-Cache-Control", "max-age=60"}, {"Cache-Control", "public"}}, 200, user},
       kAuthorization},
      {{{{"Cache-Control", kFresh}}, 200, {{"Cache-Control", "no-store"}}}, kRequest},
      {{{{"Cache-Control", kFresh}}, 200, {{"Cache-Control", "no-cache"}}}, kNone},
      {{{{"Cache-Control", kFresh}}, 200, {{"Cookie", "a=b"}}}, kNone},
  });
  CacheRules forced;
  forced.forced_ttl = 60_s;
  check_all({{{{}, 200, user}, kAuthorization}}, forced);
}

TEST_CASE("cache/policy: Set-Cookie is shared only where the endpoint says so (RFC 9111 7.3)") {
  const FieldRows fresh{{"Cache-Control", kFresh}, {"Set-Cookie", "a=b"}};
  const FieldRows silent{{"ETag", "\"a\""}, {"Set-Cookie", "a=b"}};
  check_all({
      {{fresh}, kNone},
      {{silent}, kSetCookie},
      {{{{"Expires", kDateAfter}, {"Set-Cookie", "a=b"}}}, kNone},
      {{{{"Last-Modified", kDateBefore}, {"Date", kDateNow}, {"Set-Cookie", "a=b"}}}, kSetCookie},
      {{{{"Cache-Control", "public"}, {"ETag", "\"a\""}, {"Set-Cookie", "a=b"}}}, kNone},
      {{{{"Cache-Control", "private=\"set-cookie\""}, {"ETag", "\"a\""}, {"Set-Cookie", "a=b"}}},
       kNone},
  });
  CacheRules rules;
  rules.default_ttl = 60_s;
  check_all({{{silent}, kSetCookie}, {{fresh}, kNone}}, rules);
  rules.forced_ttl = 60_s;
  check_all({{{fresh}, kSetCookie}}, rules);
  rules = {};
  rules.set_cookie = SetCookieRule::never;
  check_all({{{fresh}, kSetCookie}}, rules);
}

TEST_CASE("cache/policy: a forced lifetime does not lift no-store or private") {
  CacheRules rules;
  rules.forced_ttl = 60_s;
  check_all({{{{}}, kNone},
             {{{{"Cache-Control", "max-age=0"}}}, kNone},
             {{{{"Cache-Control", "no-cache"}}}, kNone},
             {{{{"Cache-Control", "no-store"}}}, kNoStore},
             {{{{"Cache-Control", "private"}}}, kPrivate},
             {{{}, 500}, kNoFreshness}},
            rules);
  Judge judge;
  CHECK_FALSE(has(judge.store({{{"Cache-Control", "no-cache"}}}, rules), EntryFlag::no_cache));
}

TEST_CASE("cache/policy: Vary (RFC 9111 4.1)") {
  Judge judge;
  const auto plan = judge.store({{{"Cache-Control", kFresh}, {"Vary", "Foo, accept"}}});
  REQUIRE(plan.vary.size() == 2);
  CHECK(plan.vary[0] == "accept");
  CHECK(plan.vary[1] == "foo");
  CHECK(judge.store({{{"Cache-Control", kFresh}, {"Vary", "Foo, *"}}}).refused == kVary);
}

TEST_CASE("cache/policy: one range is stored as part of a 200 (RFC 9111 3.3)") {
  const FieldRows asked{{"Range", "bytes=-5"}};
  const auto part = [&](FieldRows response, const FieldRows& request) {
    Judge judge;
    return judge.store({std::move(response), 206, request}).refused;
  };
  Judge judge;
  const auto plan = judge.store(
      {{{"Cache-Control", kFresh}, {"Content-Range", "bytes 4-9/10"}, {"Content-Length", "6"}},
       206,
       asked});
  CHECK(plan.refused == kNone);
  CHECK(plan.status == 200);
  CHECK(plan.reason == "OK");
  REQUIRE(plan.range);
  CHECK(plan.range->first == 4);
  CHECK(plan.range->last == 9);
  CHECK(plan.complete_length == 10);
  CHECK(values_of(plan.fields, "Content-Range") == "");
  CHECK(values_of(plan.fields, "Content-Length") == "");

  CHECK(part({{"Cache-Control", kFresh}, {"Content-Range", "bytes 0-4/*"}}, asked) == kNone);
  CHECK(part({{"Cache-Control", kFresh}, {"Content-Range", "bytes 0-4/10"}}, {}) == kRange);
  CHECK(part({{"Cache-Control", kFresh}}, asked) == kRange);
  CHECK(part({{"Cache-Control", kFresh}, {"Content-Range", "pages 1-2/3"}}, asked) == kRange);
  CHECK(part({{"Cache-Control", kFresh}, {"Content-Range", "bytes */10"}}, asked) == kRange);
  CHECK(part({{"Cache-Control", kFresh}, {"Content-Type", "multipart/byteranges; boundary=x"}},
             asked) == kRange);
  CHECK(part({{"Cache-Control", kFresh},
              {"Content-Range", "bytes 0-4/10"},
              {"Content-Range", "bytes 0-5/10"}},
             asked) == kRange);
  // A whole response keeps a Content-Range, whatever it means there.
  const auto whole = judge.store({{{"Cache-Control", kFresh}, {"Content-Range", "x"}}});
  CHECK(values_of(whole.fields, "Content-Range") == "x");
  CHECK_FALSE(whole.range);
}

TEST_CASE("cache/policy: flags of an entry (RFC 9111 5.2.2, RFC 8246)") {
  struct FlagRow {
    std::string_view control;
    EntryFlag flag;
    bool is_set;
  };
  for (const FlagRow& row : {
           FlagRow{"max-age=60, must-revalidate", EntryFlag::must_revalidate, true},
           FlagRow{"max-age=60, proxy-revalidate", EntryFlag::must_revalidate, true},
           FlagRow{"s-maxage=60", EntryFlag::must_revalidate, true},  // 5.2.2.10
           FlagRow{"s-maxage=60, stale-while-revalidate=9", EntryFlag::must_revalidate, true},
           FlagRow{"max-age=60", EntryFlag::must_revalidate, false},
           FlagRow{"max-age=60, no-cache", EntryFlag::no_cache, true},
           FlagRow{"max-age=60, no-cache=\"a\"", EntryFlag::no_cache, false},
           FlagRow{"max-age=60, immutable", EntryFlag::immutable, true},
           FlagRow{"max-age=60", EntryFlag::heuristic, false},
           FlagRow{"public", EntryFlag::heuristic, true},
       }) {
    CAPTURE(row.control);
    Judge judge;
    const auto plan = judge.store({{{"Cache-Control", row.control},
                                    {"ETag", "\"a\""},
                                    {"Last-Modified", kDateBefore},
                                    {"Date", kDateNow}}});
    CHECK(has(plan, row.flag) == row.is_set);
  }
  CacheRules rules;
  rules.stale_beside_s_maxage = true;
  Judge judge;
  CHECK(has(judge.store({{{"Cache-Control", "s-maxage=60"}}}, rules), EntryFlag::must_revalidate));
  CHECK_FALSE(has(judge.store({{{"Cache-Control", "s-maxage=60, stale-if-error=9"}}}, rules),
                  EntryFlag::must_revalidate));
  CHECK(has(
      judge.store({{{"Cache-Control", "s-maxage=60, stale-if-error=9, must-revalidate"}}}, rules),
      EntryFlag::must_revalidate));
  CHECK(has(judge.store({{{"Cache-Control", "public, max-age=9"}}, 200, {{"Authorization", "x"}}}),
            EntryFlag::has_authorization));
}

TEST_CASE("cache/policy: tags from Surrogate-Key, Cache-Tag and Cache-Groups (RFC 9875 2)") {
  Judge judge;
  const auto plan = judge.store({{{"Cache-Control", kFresh},
                                  {"Surrogate-Key", "a  b"},
                                  {"Surrogate-Key", "a,c"},
                                  {"Cache-Tag", "x y, z,,"},
                                  {"Cache-Groups", "\"a\", \"g\""}}});
  REQUIRE(plan.tags.size() == 7);
  int i = 0;
  for (std::string_view tag : {"a", "b", "c", "x y", "z"}) {
    CHECK(plan.tags[static_cast<size_t>(i++)].hash == tag_hash(tag));
  }
  CHECK(plan.tags[5].hash == group_tag(kUrl, "a", judge.arena));
  CHECK(plan.tags[6].hash == group_tag(kUrl, "g", judge.arena));
  CHECK(values_of(plan.fields, "Surrogate-Key") == "");
  CHECK(values_of(plan.fields, "Cache-Tag") == "");
  CHECK(values_of(plan.fields, "Cache-Groups") == "\"a\", \"g\"");
  // No List of Strings: ignored as a whole
  CHECK(judge.store({{{"Cache-Control", kFresh}, {"Cache-Groups", "\"a\", b"}}}).tags.empty());

  std::string many;
  for (size_t n = 0; n < kMostEntryTags; ++n) many += std::to_string(n) + " ";
  CHECK(judge.store({{{"Cache-Control", kFresh}, {"Surrogate-Key", many}}}).refused == kNone);
  CHECK(judge.store({{{"Cache-Control", kFresh}, {"Surrogate-Key", many}, {"Cache-Tag", "1, x"}}})
            .refused == kTooManyTags);
}

TEST_CASE("cache/policy: an update keeps the tags unless others are named") {
  Judge judge;
  const EntryTag old[] = {{tag_hash("a")}, {tag_hash("b")}};
  judge.is_update = true;
  judge.old_tags = old;
  const auto kept = judge.store({{{"Cache-Control", kFresh}}});
  REQUIRE(kept.tags.size() == 2);
  CHECK(kept.tags[1].hash == tag_hash("b"));
  const auto renamed = judge.store({{{"Cache-Control", kFresh}, {"Cache-Tag", "c"}}});
  REQUIRE(renamed.tags.size() == 1);
  CHECK(renamed.tags[0].hash == tag_hash("c"));
  // The method was judged when it was stored; the directives count anew.
  CHECK(judge.store({{{"Cache-Control", kFresh}}, 200, {}, http::Method::head}).refused == kNone);
  CHECK(judge.store({{{"Cache-Control", "no-store"}}}).refused == kNoStore);
}

TEST_CASE("cache/policy: which reasons deserve a marker for the key") {
  using http::Method;
  CHECK(is_marked(kNoStore, Method::get));
  CHECK(is_marked(kSetCookie, Method::get));
  CHECK(is_marked(kVary, Method::get));
  CHECK_FALSE(is_marked(kNoStore, Method::post));
  CHECK_FALSE(is_marked(kCount, Method::get));
  // What one client sends must not stop others from waiting for one response.
  for (const auto reason : {kNone, kRequest, kAuthorization, kMethod, kHead, kRange, kStatus}) {
    CAPTURE(to_string(reason));
    CHECK_FALSE(is_marked(reason, Method::get));
  }
  CHECK(to_string(kNoFreshness) == "no-freshness");
  CHECK(to_string(kCount) == "?");
}

TEST_CASE("cache/policy: an entry is kept as long as it can be of use") {
  EntryTimes times;
  times.freshness = 60_s;
  times.initial_age = 20_s;
  CacheRules rules;
  rules.stale_if_unreachable = 5_s;
  rules.keep = 100_s;
  CHECK(storage_time(times, false, rules) == 45_s);
  CHECK(storage_time(times, true, rules) == 140_s);
  times.stale_while_revalidate = 200_s;
  CHECK(storage_time(times, true, rules) == 240_s);
  times.initial_age = 500_s;
  CHECK(storage_time(times, true, rules) == 200_s);
}
