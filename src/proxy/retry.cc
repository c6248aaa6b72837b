#include "sluice/proxy/retry.h"

#include <algorithm>

namespace sluice::proxy {

namespace {

bool may_try_again(const RetryFacts& facts) noexcept {
  return !facts.response_begun && facts.client_waits && facts.body_replayable &&
         facts.method != http::Method::other;
}

bool is_lost_before_answer(const RetryFacts& facts) noexcept {
  return facts.error.retry() == RetryClass::if_reused && !facts.response_bytes_came;
}

// RFC 9112 section 9.3.1: a connection may be closed at any time, so a client has to be ready to
// repeat on a new one what it sent, for idempotent methods.
bool is_keep_alive_race(const RetryFacts& facts) noexcept {
  return facts.connection_reused && is_lost_before_answer(facts) && !facts.race_resent;
}

bool is_listed(int status, const config::Retry& rule) noexcept {
  return std::find(rule.on_statuses.begin(), rule.on_statuses.end(), status) !=
         rule.on_statuses.end();
}

}  // namespace

RetryVerdict judge_retry(const RetryFacts& facts, const config::Retry& rule) noexcept {
  if (!may_try_again(facts)) return RetryVerdict::give_up;
  const bool idempotent = http::is_idempotent(facts.method);
  if (idempotent && is_keep_alive_race(facts)) return RetryVerdict::resend;
  if (facts.attempts >= rule.attempts) return RetryVerdict::give_up;

  bool wanted = false;
  if (!facts.error) {
    wanted = idempotent && is_listed(facts.status, rule);
  } else if (facts.error.retry() == RetryClass::always) {
    wanted = rule.on_connect;
  } else if (is_lost_before_answer(facts)) {
    wanted = rule.on_reset && idempotent;
  }
  return wanted ? RetryVerdict::retry : RetryVerdict::give_up;
}

}  // namespace sluice::proxy
