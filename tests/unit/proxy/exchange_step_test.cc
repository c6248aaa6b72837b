#include "sluice/proxy/exchange_step.h"

#include <doctest/doctest.h>

#include <initializer_list>

namespace sluice::proxy {
namespace {

bool follows(std::initializer_list<Step> path) {
  const Step* at = path.begin();
  for (const Step* next = at + 1; next != path.end(); at = next++) {
    if (!allowed(*at, *next)) return false;
  }
  return true;
}

constexpr int kSteps = static_cast<int>(Step::kDone) + 1;

}  // namespace

TEST_CASE("proxy/exchange_step: the whole way of a request over an idle connection") {
  CHECK(follows({Step::kBorn, Step::kRoute, Step::kAdmit, Step::kPick, Step::kAcquire, Step::kSend,
                 Step::kAwait, Step::kRespond, Step::kRelay, Step::kFlush, Step::kFinish,
                 Step::kDone}));
}

TEST_CASE("proxy/exchange_step: a retry goes back to pick, a resend to acquire") {
  CHECK(follows(
      {Step::kAwait, Step::kJudge, Step::kPick, Step::kAcquire, Step::kConnect, Step::kSend}));
  CHECK(follows({Step::kAwait, Step::kJudge, Step::kAcquire, Step::kConnect, Step::kJudge}));
}

TEST_CASE("proxy/exchange_step: after response bytes nothing leads back to an endpoint") {
  for (Step from : {Step::kRespond, Step::kRelay, Step::kFlush, Step::kReply, Step::kAbort}) {
    for (Step to : {Step::kPick, Step::kAcquire, Step::kConnect, Step::kSend, Step::kJudge}) {
      CAPTURE(to_string(from));
      CAPTURE(to_string(to));
      CHECK_FALSE(allowed(from, to));
    }
  }
  CHECK_FALSE(allowed(Step::kRelay, Step::kReply));
}

TEST_CASE("proxy/exchange_step: done is terminal, and only finish leads to it") {
  for (int i = 0; i < kSteps; ++i) {
    CHECK_FALSE(allowed(Step::kDone, static_cast<Step>(i)));
    CHECK(allowed(static_cast<Step>(i), Step::kDone) == (static_cast<Step>(i) == Step::kFinish));
  }
}

TEST_CASE("proxy/exchange_step: every step before finish may abort") {
  for (int i = 0; i < static_cast<int>(Step::kAbort); ++i) {
    CAPTURE(to_string(static_cast<Step>(i)));
    CHECK(allowed(static_cast<Step>(i), Step::kAbort));
  }
}

}  // namespace sluice::proxy
