// Health, outlier and retry-budget rules with the time passed in.
#include <doctest/doctest.h>

#include <string>

#include "sluice/upstream/health.h"
#include "sluice/upstream/outlier.h"
#include "sluice/upstream/retry_budget.h"

namespace sluice::upstream {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

TEST_CASE("upstream/health: flips after rise or fall probes in a row") {
  struct Case {
    uint32_t rise, fall;
    bool up;
    std::string probes;  // '+' and '-'
    std::string states;  // 'U' and 'D' after each
  } const cases[] = {
      {2, 3, true, "---", "UUD"},    {2, 3, true, "--+---", "UUUUUD"}, {2, 3, false, "++", "DU"},
      {2, 3, false, "+-++", "DDDU"}, {1, 1, true, "-+-+", "DUDU"},     {2, 2, true, "--++", "UDDU"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.probes);
    RiseFall row(c.rise, c.fall, c.up);
    std::string states;
    bool before = c.up;
    for (char probe : c.probes) {
      const bool changed = row.observe(probe == '+');
      CHECK(changed == (row.is_up() != before));
      before = row.is_up();
      states += row.is_up() ? 'U' : 'D';
    }
    CHECK(states == c.states);
  }
}

TEST_CASE(
    "upstream/health: probes speed up while the state may be changing, with a tenth of spread") {
  CHECK(next_probe_after(seconds(2), false, 0.5) == seconds(2));
  CHECK(next_probe_after(seconds(2), true, 0.5) == milliseconds(500));
  CHECK(next_probe_after(milliseconds(200), true, 0.5) == milliseconds(100));
  CHECK(next_probe_after(milliseconds(50), true, 0.5) == milliseconds(50));
  CHECK(next_probe_after(seconds(2), false, 0.0) == milliseconds(1800));
  CHECK(next_probe_after(seconds(2), false, 0.999999) <= milliseconds(2200));
}

TEST_CASE("upstream/health: statuses are judged by the configured ranges") {
  config::Health check;
  check.expect = {{200, 299}, {404, 404}};
  for (int status : {200, 250, 299, 404}) CHECK(is_expected(status, check));
  for (int status : {100, 199, 300, 403, 405, 503}) CHECK_FALSE(is_expected(status, check));
}

TEST_CASE("upstream/outlier: each time out is twice as long, up to five minutes") {
  OutlierRecord record;
  TimePoint now(seconds(1000));
  for (Duration expected :
       {Duration(seconds(10)), Duration(seconds(20)), Duration(seconds(40)), Duration(seconds(80)),
        Duration(seconds(160)), Duration(minutes(5)), Duration(minutes(5))}) {
    const Duration time = record.next_ejection(now, seconds(10));
    CHECK(time == expected);
    now += time + seconds(1);
  }
}

TEST_CASE("upstream/outlier: a good while forgives") {
  OutlierRecord record;
  TimePoint now(seconds(1000));
  for (int i = 0; i < 3; ++i) now += record.next_ejection(now, seconds(10));
  CHECK(record.ejections() == 3);
  now += seconds(10) * kForgiveAfter;  // one step
  CHECK(record.next_ejection(now, seconds(10)) == seconds(40));
  now += seconds(40) + 10 * seconds(10) * kForgiveAfter;  // all
  CHECK(record.next_ejection(now, seconds(10)) == seconds(10));
}

TEST_CASE("upstream/outlier: never more than the share is out, and no half endpoint") {
  struct Case {
    size_t out, total;
    double share;
    bool allowed;
  } const cases[] = {
      {0, 1, 0.5, false}, {0, 1, 1.0, true},   {0, 2, 0.5, true}, {1, 2, 0.5, false},
      {0, 3, 0.5, true},  {1, 3, 0.5, false},  {1, 4, 0.5, true}, {2, 4, 0.5, false},
      {0, 10, 0.1, true}, {1, 10, 0.1, false}, {2, 3, 1.0, true}, {0, 5, 0.0, false},
  };
  for (const Case& c : cases) {
    CAPTURE(c.total);
    CAPTURE(c.out);
    CHECK(may_eject(c.out, c.total, c.share) == c.allowed);
  }
}

TEST_CASE("upstream/retry_budget: three a second are free") {
  RetryBudget budget(2);
  TimePoint now(seconds(5000));
  for (int second = 0; second < 15; ++second, now += seconds(1)) {
    for (int i = 0; i < 3; ++i) CHECK(budget.take_retry(0.2, now + milliseconds(i)));
    CHECK_FALSE(budget.take_retry(0.2, now + milliseconds(5)));
  }
}

TEST_CASE("upstream/retry_budget: a share of the requests of all workers in ten seconds") {
  RetryBudget budget(2);
  const TimePoint now(seconds(5000));
  for (int i = 0; i < 100; ++i) budget.count_request(0, now);
  for (int i = 0; i < 100; ++i) budget.count_request(1, now + seconds(1));
  int taken = 0;
  while (budget.take_retry(0.2, now + seconds(1)) && taken < 1000) ++taken;
  CHECK(taken == 40);
  // Both count for ten seconds, requests and retries.
  CHECK(budget.take_retry(0.2, now + seconds(9)));  // free
  for (int i = 0; i < 2; ++i) CHECK(budget.take_retry(0.2, now + seconds(9)));
  CHECK_FALSE(budget.take_retry(0.2, now + seconds(9)));
  taken = 0;
  while (budget.take_retry(0.2, now + seconds(30)) && taken < 1000) ++taken;
  CHECK(taken == 3);
}

TEST_CASE("upstream/retry_budget: a second that comes round again starts from zero") {
  SecondsWindow window;
  const TimePoint now(seconds(5000));
  for (int i = 0; i < 7; ++i) window.count(now);
  CHECK(window.sum(now) == 7);
  CHECK(window.sum(now + seconds(9)) == 7);
  CHECK(window.sum(now + seconds(10)) == 0);
  window.count(now + seconds(16));  // the same bucket
  CHECK(window.this_second(now + seconds(16)) == 1);
  CHECK(window.sum(now + seconds(16)) == 1);
  CHECK(window.this_second(now + seconds(17)) == 0);
}

}  // namespace
}  // namespace sluice::upstream
