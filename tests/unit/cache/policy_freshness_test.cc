#include "sluice/cache/policy_freshness.h"

#include "policy_cases.h"

using namespace sluice;
using namespace sluice::cache;
using namespace sluice::cache::test;

namespace {

Freshness judge(const FieldRows& fields, int status = 200, const CacheRules& rules = {},
                uint32_t random = 0) {
  const EffectiveDirectives directives = effective_directives(fields, rules);
  return judge_freshness({status, fields.list(), directives, kNow, kNow, random}, rules);
}

struct Row {
  FieldRows fields;
  Duration lifetime;
  LifetimeSource source = LifetimeSource::endpoint;
};

}  // namespace

TEST_CASE("cache/policy: the lifetime that a response gives (RFC 9111 4.2.1, 5.2.2.10, 5.3)") {
  const std::initializer_list<Row> rows = {
      {{{"Cache-Control", "max-age=60"}}, 60_s},
      {{{"Cache-Control", "s-maxage=60"}}, 60_s},
      {{{"Cache-Control", "max-age=60, s-maxage=10"}}, 10_s},
      {{{"Cache-Control", "s-maxage=3600, max-age=0"}, {"Expires", kDateBefore}}, 3600_s},
      {{{"Cache-Control", "max-age=60"}, {"Cache-Control", "s-maxage=1"}}, 1_s},
      {{{"Cache-Control", "max-age=0"}, {"Expires", kDateAfter}, {"Date", kDateNow}}, 0_s},
      {{{"Cache-Control", "max-age=60"}, {"Expires", kDateBefore}}, 60_s},
      {{{"Cache-Control", "max-age=60"}, {"Expires", "0"}}, 60_s},
      {{{"Cache-Control", "max-age=x"}}, 0_s},
      {{{"Cache-Control", "max-age=99999999999"}}, http::kMostDelta},
      {{{"Cache-Control", "public"}, {"Expires", kDateAfter}, {"Date", kDateNow}}, 1000_s},
      {{{"Expires", kDateAfter}, {"Date", kDateNow}}, 1000_s},
      {{{"Expires", kDateAfter}, {"Date", kDateBefore}}, 2000_s},
      {{{"Expires", kDateNow}, {"Date", kDateAfter}}, 0_s},
      {{{"Expires", kDateNow}, {"Date", kDateNow}}, 0_s},
      {{{"Expires", kDateAfter}}, 1000_s},                   // without Date: from receipt
      {{{"Expires", kDateAfter}, {"Date", "foo"}}, 1000_s},  // RFC 9110 6.6.1
      {{{"Expires", kDateAfter}, {"Date", kDateNow}, {"Date", kDateBefore}}, 1000_s},
      {{{"Expires", "0"}, {"Date", kDateNow}}, 0_s},
      {{{"Expires", ""}, {"Date", kDateNow}}, 0_s},
      {{{"Expires", "Sun, 06 Nov 1994 09:06:17 UTC"}, {"Date", kDateNow}}, 0_s},
      {{{"Expires", kDateAfter}, {"Expires", kDateNow}}, 0_s},
      {{{"Expires", "Fri, 31 Dec 9999 23:59:59 GMT"}, {"Date", kDateNow}}, http::kMostDelta},
      {{{"Expires", "Sunday, 06-Nov-94 09:06:17 GMT"}, {"Date", kDateNow}}, 1000_s},
      {{}, 0_s, LifetimeSource::none},
      {{{"Cache-Control", "public"}}, 0_s, LifetimeSource::none},
      {{{"Pragma", "no-cache"}, {"Cache-Control", "max-age=60"}}, 60_s},  // 5.4: for requests
  };
  int i = 0;
  for (const Row& row : rows) {
    CAPTURE(i);
    const Freshness got = judge(row.fields);
    CHECK(got.times.freshness == row.lifetime);
    CHECK(got.source == row.source);
    ++i;
  }
}

TEST_CASE("cache/policy: a targeted field replaces Cache-Control and Expires (RFC 9213 2.2)") {
  const std::initializer_list<Row> rows = {
      {{{"CDN-Cache-Control", "max-age=60"}, {"Cache-Control", "max-age=5"}}, 60_s},
      {{{"CDN-Cache-Control", "max-age=5"}, {"Cache-Control", "s-maxage=60"}}, 5_s},
      {{{"CDN-Cache-Control", "max-age=60"}, {"Cache-Control", "no-store"}}, 60_s},
      {{{"CDN-Cache-Control", "must-revalidate"}, {"Expires", kDateAfter}},
       0_s,
       LifetimeSource::none},
      {{{"CDN-Cache-Control", "public"}, {"Cache-Control", "max-age=5"}},
       0_s,
       LifetimeSource::none},
      // 2.1: what is empty or no dictionary is ignored
      {{{"CDN-Cache-Control", ""}, {"Cache-Control", "max-age=5"}}, 5_s},
      {{{"CDN-Cache-Control", "max-age=\"60\""}, {"Cache-Control", "max-age=5"}}, 5_s},
      {{{"CDN-Cache-Control", "MAX-AGE=60"}, {"Cache-Control", "max-age=5"}}, 5_s},
      // the first of ours that is valid
      {{{"CDN-Cache-Control", "max-age=60"}, {"Sluice-Cache-Control", "max-age=7"}}, 7_s},
      {{{"CDN-Cache-Control", "max-age=60"}, {"Sluice-Cache-Control", "max-age="}}, 60_s},
      {{{"Other-Cache-Control", "max-age=60"}, {"Cache-Control", "max-age=5"}}, 5_s},
  };
  int i = 0;
  for (const Row& row : rows) {
    CAPTURE(i);
    const Freshness got = judge(row.fields);
    CHECK(got.times.freshness == row.lifetime);
    CHECK(got.source == row.source);
    ++i;
  }
  CacheRules none;
  none.targeted_fields.clear();
  CHECK(judge({{"CDN-Cache-Control", "max-age=60"}, {"Cache-Control", "max-age=5"}}, 200, none)
            .times.freshness == 5_s);
}

TEST_CASE("cache/policy: a guess is a tenth of the age of the content (RFC 9111 4.2.2)") {
  const FieldRows modified{{"Last-Modified", kDateBefore}, {"Date", kDateNow}};
  struct Status {
    int status;
    bool may_guess;
  };
  // RFC 9110 15.1, and some that are not among them
  for (const Status& row :
       {Status{200, true},  Status{201, false}, Status{202, false}, Status{203, true},
        Status{204, true},  Status{206, true},  Status{300, true},  Status{301, true},
        Status{302, false}, Status{303, false}, Status{307, false}, Status{308, true},
        Status{400, false}, Status{403, false}, Status{404, true},  Status{405, true},
        Status{410, true},  Status{414, true},  Status{500, false}, Status{501, true},
        Status{502, false}, Status{503, false}, Status{504, false}, Status{599, false}}) {
    CAPTURE(row.status);
    const Freshness got = judge(modified, row.status);
    CHECK(got.times.freshness == (row.may_guess ? 100_s : 0_s));
    CHECK(got.source == (row.may_guess ? LifetimeSource::guess : LifetimeSource::none));
    CHECK(is_heuristically_cacheable(row.status) == row.may_guess);
    // 5.2.2.9: public allows it for any
    const FieldRows shared{
        {"Cache-Control", "public"}, {"Last-Modified", kDateBefore}, {"Date", kDateNow}};
    CHECK(judge(shared, row.status).times.freshness == 100_s);
  }
  CHECK(judge({{"Last-Modified", kDateAfter}, {"Date", kDateNow}}).source == LifetimeSource::none);
  CHECK(judge({{"Last-Modified", "x"}, {"Date", kDateNow}}).source == LifetimeSource::none);
  CHECK(judge({{"Last-Modified", "Thu, 01 Jan 1970 00:00:00 GMT"}, {"Date", kDateNow}})
            .times.freshness == std::chrono::hours(24));
  CHECK(judge({{"Last-Modified", kDateBefore}, {"Date", kDateNow}, {"Cache-Control", "max-age=5"}})
            .times.freshness == 5_s);
  CacheRules off;
  off.heuristic = false;
  CHECK(judge(modified, 200, off).source == LifetimeSource::none);
}

TEST_CASE("cache/policy: the age a response comes with (RFC 9111 4.2.3)") {
  struct AgeRow {
    FieldRows fields;
    Duration age;
    Duration delay{};
  };
  const std::initializer_list<AgeRow> rows = {
      {{}, 0_s},
      {{{"Date", kDateNow}}, 0_s},
      {{{"Date", kDateAfter}}, 0_s},
      {{{"Date", kDateBefore}}, 1000_s},
      {{{"Date", "x"}}, 0_s},
      {{{"Date", kDateNow}, {"Age", "30"}}, 30_s},
      {{{"Date", kDateBefore}, {"Age", "30"}}, 1000_s},
      {{{"Date", kDateBefore}, {"Age", "1001"}}, 1001_s},
      {{{"Date", kDateNow}, {"Age", "30"}}, 32_s, 2_s},  // age_value + response_delay
      {{{"Date", kDateNow}}, 2_s, 2_s},
      {{{"Date", kDateBefore}}, 1000_s, 2_s},
      {{{"Date", "Sun, 06 Nov 0994 08:49:37 GMT"}}, kNow.time_since_epoch()},
      {{{"Age", "2147483648"}}, http::kMostDelta, 2_s},
      {{{"Age", "99999999999999999999"}}, http::kMostDelta},
  };
  int i = 0;
  for (const AgeRow& row : rows) {
    CAPTURE(i);
    const EffectiveDirectives none;
    const auto got = judge_freshness({200, row.fields.list(), none, kNow - row.delay, kNow, 0}, {});
    CHECK(got.times.initial_age == row.age);
    ++i;
  }
  // A clock that was set back meanwhile.
  CHECK(judge_freshness({200, {}, {}, kNow + 5_s, kNow, 0}, {}).times.initial_age == 0_s);
  const auto future = judge({{"Date", "Fri, 31 Dec 9999 23:59:59 GMT"}});
  CHECK(future.times.date - kNow <= Duration(http::kMostDelta) + 1_s);
}

TEST_CASE("cache/policy: an Age that says no one age makes a response stale (RFC 9111 5.1)") {
  for (std::string_view bad : {"abc", "-7200", "7200.0", "0, 0", "3600, 3600", ""}) {
    CAPTURE(bad);
    const auto got = judge({{"Date", kDateNow},
                            {"Cache-Control", "max-age=3600, stale-while-revalidate=60"},
                            {"Age", bad}});
    CHECK(got.times.freshness == 0_s);
    CHECK(got.times.stale_while_revalidate == 0_s);
  }
  CHECK(judge({{"Cache-Control", "max-age=3600"}, {"Age", "0"}, {"Age", "7200"}}).times.freshness ==
        0_s);
  CHECK(judge({{"Cache-Control", "max-age=3600"}, {"Age", "0,7200"}}).times.freshness == 3600_s);
}

TEST_CASE("cache/policy: lifetimes of a route count from receipt and give way to the endpoint's") {
  CacheRules rules;
  rules.default_ttl = 5_s;
  rules.status_ttl = {{404, 3_s}, {503, 1_s}};
  struct RuleRow {
    FieldRows fields;
    int status;
    Duration left;
    LifetimeSource source = LifetimeSource::rule;
  };
  using enum LifetimeSource;
  const std::initializer_list<RuleRow> rows = {
      {{}, 200, 5_s},
      {{{"Age", "100"}}, 200, 5_s},
      {{{"Date", kDateBefore}}, 200, 5_s},
      {{{"Age", "bad"}}, 200, 5_s},
      {{{"Last-Modified", kDateBefore}, {"Date", kDateNow}}, 200, 5_s},
      {{{"Cache-Control", "max-age=60"}}, 200, 60_s, endpoint},
      {{{"Cache-Control", "max-age=0"}}, 200, 0_s, endpoint},
      {{}, 301, 5_s},
      {{}, 302, 0_s, none},
      {{}, 201, 0_s, none},
      {{}, 404, 3_s},
      {{{"Cache-Control", "max-age=60"}}, 404, 60_s, endpoint},
      {{}, 410, 0_s, none},
      {{}, 503, 1_s},
      {{}, 500, 0_s, none},
  };
  int i = 0;
  for (const RuleRow& row : rows) {
    CAPTURE(i);
    const auto got = judge(row.fields, row.status, rules);
    CHECK(got.times.freshness - got.times.initial_age == row.left);
    CHECK(got.source == row.source);
    ++i;
  }
  rules.forced_ttl = 9_s;
  CHECK(judge({{"Cache-Control", "max-age=60"}}, 200, rules).times.freshness == 9_s);
  CHECK(judge({{"Cache-Control", "max-age=60"}}, 200, rules).source == forced);
  CHECK(judge({{"Age", "x"}}, 200, rules).times.freshness == 9_s);
  CHECK(judge({{"Cache-Control", "max-age=60"}}, 500, rules).times.freshness == 60_s);
  // What an entry can hold.
  CHECK(judge({{"Age", "99999999999"}}, 200, rules).times.freshness == http::kMostDelta);
  CHECK(judge({}, 404, rules).times.freshness == 3_s);
}

TEST_CASE("cache/policy: an upper limit and the jitter only shorten") {
  CacheRules rules;
  rules.max_ttl = 60_s;
  CHECK(judge({{"Cache-Control", "max-age=61"}}, 200, rules).times.freshness == 60_s);
  CHECK(judge({{"Cache-Control", "max-age=59"}}, 200, rules).times.freshness == 59_s);
  CHECK(judge({{"Cache-Control", "max-age=600"}, {"Age", "10"}}, 200, rules).times.freshness ==
        70_s);
  rules = {};
  CHECK(judge({{"Cache-Control", "max-age=100"}}, 200, rules, UINT32_MAX).times.freshness == 100_s);
  rules.jitter_percent = 10;
  CHECK(judge({{"Cache-Control", "max-age=100"}}, 200, rules, 0).times.freshness == 100_s);
  CHECK(judge({{"Cache-Control", "max-age=100"}}, 200, rules, 1u << 31).times.freshness == 95_s);
  const auto most = judge({{"Cache-Control", "max-age=100"}}, 200, rules, UINT32_MAX);
  CHECK(most.times.freshness > 90_s);
  CHECK(most.times.freshness < 91_s);
  // Of what is left, so that an old response is not made stale by it.
  CHECK(judge({{"Cache-Control", "max-age=100"}, {"Age", "50"}}, 200, rules, 1u << 31)
            .times.freshness == 100_s - 2500_s / 1000);
  CHECK(judge({{"Cache-Control", "max-age=100"}, {"Age", "200"}}, 200, rules, 1u << 31)
            .times.freshness == 100_s);
}

TEST_CASE("cache/policy: windows for what is stale, the endpoint's first (RFC 5861 3, 4)") {
  CacheRules rules;
  rules.stale_while_revalidate = 30_s;
  rules.stale_if_error = 40_s;
  const auto own = judge(
      {{"Cache-Control", "max-age=1, stale-while-revalidate=5, stale-if-error=0"}}, 200, rules);
  CHECK(own.times.stale_while_revalidate == 5_s);
  CHECK(own.times.stale_if_error == 0_s);
  const auto given = judge({{"Cache-Control", "max-age=1"}}, 200, rules);
  CHECK(given.times.stale_while_revalidate == 30_s);
  CHECK(given.times.stale_if_error == 40_s);
  const auto never_fresh = judge({{"ETag", "\"a\""}}, 200, rules);
  CHECK(never_fresh.times.stale_while_revalidate == 0_s);
  CHECK(never_fresh.times.stale_if_error == 40_s);
  const auto targeted = judge(
      {{"CDN-Cache-Control", "max-age=1"}, {"Cache-Control", "stale-while-revalidate=5"}}, 200, {});
  CHECK(targeted.times.stale_while_revalidate == 0_s);
}
