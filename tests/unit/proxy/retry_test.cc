#include "sluice/proxy/retry.h"

#include <doctest/doctest.h>

#include <string>

namespace sluice::proxy {

namespace {

using http::Method;

std::string_view text(RetryVerdict verdict) {
  switch (verdict) {
    case RetryVerdict::give_up:
      return "give up";
    case RetryVerdict::resend:
      return "resend";
    case RetryVerdict::retry:
      return "retry";
  }
  return "?";
}

std::string_view judge(const RetryFacts& facts, const config::Retry& rule = {}) {
  return text(judge_retry(facts, rule));
}

RetryFacts reset_on_reused(Method method) {
  RetryFacts facts;
  facts.error = Errc::kResetBeforeHead;
  facts.method = method;
  facts.connection_reused = true;
  return facts;
}

RetryFacts failed(Errc code, Method method = Method::get) {
  RetryFacts facts;
  facts.error = code;
  facts.method = method;
  return facts;
}

RetryFacts answered(int status, Method method = Method::get) {
  RetryFacts facts;
  facts.status = status;
  facts.method = method;
  facts.response_bytes_came = true;
  return facts;
}

config::Retry no_retry() {
  config::Retry rule;
  rule.attempts = 1;
  rule.on_connect = rule.on_reset = false;
  rule.on_statuses.clear();
  return rule;
}

struct MethodRow {
  Method method;
  std::string_view race, refused, reset, status;
};
constexpr MethodRow kMethods[] = {
    {Method::get, "resend", "retry", "retry", "retry"},
    {Method::head, "resend", "retry", "retry", "retry"},
    {Method::options, "resend", "retry", "retry", "retry"},
    {Method::put, "resend", "retry", "retry", "retry"},
    {Method::delete_, "resend", "retry", "retry", "retry"},
    {Method::post, "give up", "retry", "give up", "give up"},
    {Method::patch, "give up", "retry", "give up", "give up"},
    {Method::other, "give up", "give up", "give up", "give up"},
};

}  // namespace

TEST_CASE("proxy/retry: what each method allows (RFC 9110 9.2.2)") {
  for (const MethodRow& row : kMethods) {
    CAPTURE(static_cast<int>(row.method));
    CHECK(judge(reset_on_reused(row.method)) == row.race);
    CHECK(judge(failed(Errc::kConnectRefused, row.method)) == row.refused);
    CHECK(judge(failed(Errc::kResetBeforeHead, row.method)) == row.reset);
    CHECK(judge(answered(503, row.method)) == row.status);
  }
}

TEST_CASE("proxy/retry: a POST lost in the keep-alive race is not sent again (RFC 9110 9.2.2)") {
  CHECK(judge(reset_on_reused(Method::post)) == "give up");
}

TEST_CASE("proxy/retry: the keep-alive race costs no attempt and needs no rule") {
  RetryFacts facts = reset_on_reused(Method::get);
  CHECK(judge(facts, no_retry()) == "resend");
  facts.attempts = 2;
  CHECK(judge(facts) == "resend");
}

TEST_CASE("proxy/retry: the keep-alive race is resent once, then the rule decides") {
  RetryFacts facts = reset_on_reused(Method::get);
  facts.race_resent = true;
  CHECK(judge(facts) == "retry");
  CHECK(judge(facts, no_retry()) == "give up");
}

TEST_CASE("proxy/retry: a connection that broke after bytes of a response was no race") {
  RetryFacts facts = reset_on_reused(Method::get);
  facts.response_bytes_came = true;
  CHECK(judge(facts) == "give up");
}

TEST_CASE("proxy/retry: a fresh connection that broke was no race") {
  CHECK(judge(failed(Errc::kResetBeforeHead), no_retry()) == "give up");
}

TEST_CASE("proxy/retry: what forbids any further try") {
  for (RetryFacts facts : {reset_on_reused(Method::get), failed(Errc::kConnectRefused),
                           failed(Errc::kResetBeforeHead), answered(502)}) {
    CHECK(judge(facts) != "give up");
    RetryFacts begun = facts;
    begun.response_begun = true;
    CHECK(judge(begun) == "give up");
    RetryFacts left = facts;
    left.client_waits = false;
    CHECK(judge(left) == "give up");
    RetryFacts body_gone = facts;
    body_gone.body_replayable = false;
    CHECK(judge(body_gone) == "give up");
  }
}

TEST_CASE("proxy/retry: attempts count all tries") {
  struct Row {
    uint32_t made, allowed;
    std::string_view verdict;
  };
  for (const Row& row : {Row{1, 1, "give up"}, Row{1, 2, "retry"}, Row{2, 2, "give up"},
                         Row{2, 3, "retry"}, Row{3, 3, "give up"}, Row{4, 3, "give up"}}) {
    config::Retry rule;
    rule.attempts = row.allowed;
    for (RetryFacts facts :
         {failed(Errc::kConnectRefused), failed(Errc::kResetBeforeHead), answered(502)}) {
      facts.attempts = row.made;
      CHECK(judge(facts, rule) == row.verdict);
    }
  }
}

TEST_CASE("proxy/retry: each error has its verdict for GET on a fresh connection") {
  for (size_t i = 1; i < static_cast<size_t>(Errc::kCount); ++i) {
    const Errc code = static_cast<Errc>(i);
    std::string_view expected = "give up";
    switch (code) {
      case Errc::kDnsFailed:
      case Errc::kConnectRefused:
      case Errc::kConnectFailed:
      case Errc::kConnectTimeout:
      case Errc::kTlsFailed:
      case Errc::kResetBeforeHead:
        expected = "retry";
        break;
      default:
        break;
    }
    CAPTURE(Error(code).token());
    CHECK(judge(failed(code)) == expected);
  }
}

TEST_CASE("proxy/retry: a late answer is not asked for twice, even on a reused connection") {
  for (Errc code : {Errc::kHeadLate, Errc::kResponseStalled, Errc::kSendStalled}) {
    RetryFacts facts = failed(code);
    facts.connection_reused = true;
    CHECK(judge(facts) == "give up");
  }
}

TEST_CASE("proxy/retry: a rule that is off does not retry") {
  config::Retry rule;
  rule.on_connect = false;
  CHECK(judge(failed(Errc::kConnectTimeout), rule) == "give up");
  CHECK(judge(failed(Errc::kResetBeforeHead), rule) == "retry");
  rule = {};
  rule.on_reset = false;
  CHECK(judge(failed(Errc::kResetBeforeHead), rule) == "give up");
  CHECK(judge(failed(Errc::kConnectTimeout), rule) == "retry");
}

TEST_CASE("proxy/retry: only listed statuses are retried") {
  struct Row {
    int status;
    std::string_view verdict;
  };
  for (const Row& row :
       {Row{0, "give up"}, Row{200, "give up"}, Row{404, "give up"}, Row{500, "give up"},
        Row{502, "retry"}, Row{503, "retry"}, Row{504, "give up"}}) {
    CAPTURE(row.status);
    CHECK(judge(answered(row.status)) == row.verdict);
  }
  config::Retry rule;
  rule.on_statuses = {504};
  CHECK(judge(answered(504), rule) == "retry");
  CHECK(judge(answered(502), rule) == "give up");
  RetryFacts reused = answered(502);
  reused.connection_reused = true;
  CHECK(judge(reused) == "retry");
}

}  // namespace sluice::proxy
