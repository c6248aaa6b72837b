#include "sluice/cache/policy_reuse.h"

#include "policy_cases.h"

using namespace sluice;
using namespace sluice::cache;
using namespace sluice::cache::test;

namespace {

constexpr uint16_t kBound = static_cast<uint16_t>(EntryFlag::must_revalidate);
constexpr uint16_t kNoCache = static_cast<uint16_t>(EntryFlag::no_cache);
constexpr uint16_t kImmutable = static_cast<uint16_t>(EntryFlag::immutable);

// Came `age` ago, fresh for 60 s.
EntryFacts aged(Duration age, uint16_t flags = 0, Duration swr = {}, Duration sie = {}) {
  EntryFacts facts;
  facts.times.response = kNow - age;
  facts.times.freshness = 60_s;
  facts.times.stale_while_revalidate = swr;
  facts.times.stale_if_error = sie;
  facts.flags = flags;
  return facts;
}

http::RequestDirectives request(std::string_view control) {
  if (control.empty()) return {};
  return http::parse_request_directives(FieldRows{{"Cache-Control", control}});
}

}  // namespace

TEST_CASE("cache/policy: may a stored response be used (RFC 9111 4.2, 5.2.1, 5.2.2)") {
  struct Row {
    EntryFacts entry;
    std::string_view control;
    Reuse reuse;
    ForwardReason reason = ForwardReason::none;
  };
  using enum Reuse;
  using Why = ForwardReason;
  for (const Row& row : {
           // 4.2: fresh while the lifetime is longer than the age
           Row{aged(0_s), "", fresh},
           Row{aged(59_s), "", fresh},
           Row{aged(60_s), "", must_validate, Why::stale},
           Row{aged(61_s), "", must_validate, Why::stale},
           // 5.2.1.1
           Row{aged(10_s), "max-age=10", fresh},
           Row{aged(11_s), "max-age=10", must_validate, Why::request},
           Row{aged(1_s), "max-age=0", must_validate, Why::request},
           Row{aged(0_s), "max-age=0", fresh},
           Row{aged(10_s), "max-age=x", must_validate, Why::request},
           // 5.2.1.3
           Row{aged(10_s), "min-fresh=50", fresh},
           Row{aged(10_s), "min-fresh=51", must_validate, Why::request},
           Row{aged(10_s), "min-fresh=x", must_validate, Why::request},
           Row{aged(10_s), "min-fresh=0", fresh},
           // 5.2.1.2
           Row{aged(70_s), "max-stale=10", max_stale},
           Row{aged(71_s), "max-stale=10", must_validate, Why::stale},
           Row{aged(100000_s), "max-stale", max_stale},
           Row{aged(70_s), "max-stale=x", must_validate, Why::stale},
           Row{aged(10_s), "max-stale=10", fresh},
           Row{aged(70_s), "max-stale=100, max-age=70", max_stale},
           Row{aged(70_s), "max-stale=100, max-age=69", must_validate, Why::stale},
           Row{aged(70_s), "max-stale=100, min-fresh=1", must_validate, Why::stale},
           // 5.2.1.4
           Row{aged(10_s), "no-cache", must_validate, Why::request},
           Row{aged(70_s, 0, 30_s), "no-cache", must_validate, Why::request},
           // 5.2.2.4
           Row{aged(10_s, kNoCache), "", must_validate, Why::stale},
           Row{aged(70_s, kNoCache, 30_s), "max-stale", must_validate, Why::stale},
           // 5.2.2.2, 5.2.2.8, 5.2.2.10
           Row{aged(10_s, kBound), "", fresh},
           Row{aged(70_s, kBound), "max-stale", must_validate, Why::stale},
           Row{aged(70_s, kBound, 30_s), "", must_validate, Why::stale},
           // RFC 5861 3
           Row{aged(60_s, 0, 30_s), "", stale_while_revalidate},
           Row{aged(89_s, 0, 30_s), "", stale_while_revalidate},
           Row{aged(90_s, 0, 30_s), "", must_validate, Why::stale},
           Row{aged(70_s, 0, 30_s), "max-stale=20", stale_while_revalidate},
           Row{aged(70_s, 0, 30_s), "max-age=100", must_validate, Why::stale},
           Row{aged(70_s, 0, 30_s), "max-age=100, max-stale=1", stale_while_revalidate},
           Row{aged(70_s, 0, 30_s), "min-fresh=0", must_validate, Why::stale},
           // RFC 8246 2.1
           Row{aged(10_s, kImmutable), "max-age=0", fresh},
           Row{aged(10_s, kImmutable), "no-cache", must_validate, Why::request},
           Row{aged(70_s, kImmutable), "", must_validate, Why::stale},
           Row{aged(10_s, kImmutable), "min-fresh=55", must_validate, Why::request},
       }) {
    CAPTURE(row.control);
    CAPTURE(to_ms(row.entry.age(kNow)));
    const auto verdict = judge_reuse(row.entry, request(row.control), kNow);
    CHECK(verdict.reuse == row.reuse);
    CHECK(verdict.reason == row.reason);
  }
}

TEST_CASE("cache/policy: age and what is left of a lifetime (RFC 9111 4.2.3, 5.1)") {
  EntryFacts facts = aged(10_s);
  facts.times.initial_age = 30_s;
  CHECK(facts.age(kNow) == 40_s);
  CHECK(facts.ttl(kNow) == 20_s);
  CHECK(age_to_send(facts.times, kNow) == 40);
  CHECK(age_to_send(facts.times, kNow + std::chrono::milliseconds(999)) == 40);
  CHECK(facts.age(kNow - 60_s) == 30_s);  // a clock that was set back
  CHECK(judge_reuse(facts, {}, kNow + 25_s).ttl == -5_s);
  facts.times.initial_age = http::kMostDelta;
  CHECK(age_to_send(facts.times, kNow) == 2147483648);
}

TEST_CASE("cache/policy: a soft purge makes stale, not useless") {
  EntryFacts facts = aged(10_s, 0, 30_s);
  facts.is_marked_stale = true;
  CHECK(facts.ttl(kNow) == -1_s);
  CHECK(judge_reuse(facts, {}, kNow).reuse == Reuse::stale_while_revalidate);
  CHECK(judge_reuse(facts, {}, kNow + 85_s).reuse == Reuse::must_validate);
  CHECK(judge_reuse(facts, {}, kNow + 85_s).ttl == -35_s);
  facts.times.stale_while_revalidate = {};
  CHECK(judge_reuse(facts, {}, kNow).reuse == Reuse::must_validate);
  CHECK(judge_reuse(facts, request("max-stale=5"), kNow).reuse == Reuse::max_stale);
  CHECK(may_serve_after(Failure::unreachable, facts, {}, {}, kNow));
}

TEST_CASE("cache/policy: stale after a failure (RFC 9111 4.2.4, 4.3.3, RFC 5861 4)") {
  CacheRules strict;
  strict.stale_if_unreachable = {};
  CacheRules loose;
  loose.stale_if_unreachable = 3600_s;
  struct Row {
    EntryFacts entry;
    Failure failure;
    const CacheRules& rules;
    std::string_view control;
    bool may_serve;
  };
  using enum Failure;
  for (const Row& row : {
           Row{aged(70_s), error, strict, "", false},
           Row{aged(70_s), unreachable, strict, "", false},
           Row{aged(70_s), error, loose, "", false},
           Row{aged(70_s), unreachable, loose, "", true},
           Row{aged(3659_s), unreachable, loose, "", true},
           Row{aged(3660_s), unreachable, loose, "", false},
           Row{aged(79_s, 0, 0_s, 20_s), error, strict, "", true},
           Row{aged(80_s, 0, 0_s, 20_s), error, strict, "", false},
           Row{aged(79_s, 0, 0_s, 20_s), unreachable, strict, "", true},
           Row{aged(70_s), error, strict, "stale-if-error=11", true},
           Row{aged(70_s), error, strict, "stale-if-error=10", false},
           Row{aged(70_s, 0, 30_s), error, strict, "", false},  // another window
           // 5.2.2.2: even then
           Row{aged(70_s, kBound, 0_s, 20_s), unreachable, loose, "stale-if-error=99", false},
           Row{aged(70_s, kNoCache, 0_s, 20_s), unreachable, loose, "", false},
           Row{aged(10_s, kNoCache), unreachable, loose, "", false},
           Row{aged(70_s), unreachable, loose, "no-cache", false},
           Row{aged(70_s), unreachable, loose, "max-age=0", true},
       }) {
    CAPTURE(to_ms(row.entry.age(kNow)));
    CAPTURE(row.control);
    CHECK(may_serve_after(row.failure, row.entry, request(row.control), row.rules, kNow) ==
          row.may_serve);
  }
  CHECK(failure_of(500) == error);
  for (int status : {502, 503, 504}) CHECK(failure_of(status) == unreachable);
  for (int status : {200, 304, 404, 501, 505, 599}) CHECK_FALSE(failure_of(status));
}

TEST_CASE("cache/policy: the facts of an entry") {
  MemoryBudget budget(1 << 20);
  EntrySpec spec;
  ChunkPool pool;
  Arena arena(pool);
  spec.key = key_of_url("http://shop.example:80/", HashSecret("test"), arena);
  spec.status = 200;
  spec.times.freshness = 60_s;
  spec.flags = EntryFlag::must_revalidate | EntryFlag::immutable;
  const Ref<Entry> entry = Entry::make(budget, spec);
  REQUIRE(entry);
  CHECK(facts_of(*entry).times == spec.times);
  CHECK(facts_of(*entry).flags == spec.flags);
  CHECK_FALSE(facts_of(*entry).is_marked_stale);
  entry->mark_stale();
  CHECK(facts_of(*entry).is_marked_stale);
}
