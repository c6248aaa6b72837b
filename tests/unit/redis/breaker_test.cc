#include "sluice/redis/breaker.h"

#include <doctest/doctest.h>

namespace sluice::redis {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Verdict = Breaker::Verdict;

constexpr TimePoint kStart{seconds(100)};

// Opens `breaker` at `now`.
void open(Breaker& breaker, TimePoint now) {
  for (int i = 0; i < 5; ++i) breaker.on_failure(false, now, 0);
}

TEST_CASE("redis/breaker: opens after so many failures in a row, and not before") {
  Breaker breaker({});
  for (int i = 0; i < 4; ++i) breaker.on_failure(false, kStart, 0);
  breaker.on_success(false);
  for (int i = 0; i < 4; ++i) breaker.on_failure(false, kStart, 0);
  CHECK(breaker.admit(kStart) == Verdict::kAdmit);
  breaker.on_failure(false, kStart, 0);
  CHECK(breaker.state() == Breaker::State::kOpen);
  CHECK(breaker.admit(kStart) == Verdict::kRefuse);
  CHECK(breaker.admit(kStart + milliseconds(999)) == Verdict::kRefuse);
}

TEST_CASE("redis/breaker: one probe when the time is over; its success closes") {
  Breaker breaker({});
  open(breaker, kStart);
  CHECK(breaker.admit(kStart + seconds(1)) == Verdict::kProbe);
  CHECK(breaker.admit(kStart + seconds(1)) == Verdict::kRefuse);
  CHECK(breaker.admit(kStart + seconds(60)) == Verdict::kRefuse);
  breaker.on_success(true);
  CHECK(breaker.state() == Breaker::State::kClosed);
  CHECK(breaker.admit(kStart + seconds(60)) == Verdict::kAdmit);
}

TEST_CASE("redis/breaker: what was let through before it opened decides nothing") {
  Breaker breaker({});
  open(breaker, kStart);
  breaker.on_success(false);
  CHECK(breaker.state() == Breaker::State::kOpen);
  breaker.on_failure(false, kStart + milliseconds(900), 0);
  CHECK(breaker.admit(kStart + seconds(1)) == Verdict::kProbe);
  breaker.on_success(false);
  breaker.on_failure(false, kStart + seconds(1), 0);
  CHECK(breaker.state() == Breaker::State::kProbing);
}

TEST_CASE("redis/breaker: each failed probe doubles the time, up to the longest; success forgets") {
  Breaker breaker({});
  TimePoint now = kStart;
  open(breaker, now);
  for (int seconds_open : {1, 2, 4, 5, 5, 5}) {
    CAPTURE(seconds_open);
    CHECK(breaker.admit(now + seconds(seconds_open) - milliseconds(1)) == Verdict::kRefuse);
    now += seconds(seconds_open);
    REQUIRE(breaker.admit(now) == Verdict::kProbe);
    breaker.on_failure(true, now, 0);
  }
  now += seconds(5);
  REQUIRE(breaker.admit(now) == Verdict::kProbe);
  breaker.on_success(true);
  open(breaker, now);
  CHECK(breaker.admit(now + seconds(1)) == Verdict::kProbe);
}

TEST_CASE("redis/breaker: chance takes at most a fifth off") {
  Breaker breaker({});
  for (int i = 0; i < 5; ++i) breaker.on_failure(false, kStart, 0.999);
  CHECK(breaker.admit(kStart + milliseconds(799)) == Verdict::kRefuse);
  CHECK(breaker.admit(kStart + milliseconds(802)) == Verdict::kProbe);
}

}  // namespace
}  // namespace sluice::redis
