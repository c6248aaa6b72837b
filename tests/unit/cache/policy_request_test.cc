#include "sluice/cache/policy_request.h"

#include "policy_cases.h"

using namespace sluice;
using namespace sluice::cache;
using namespace sluice::cache::test;

namespace {

struct Row {
  http::Method method;
  FieldRows fields;
  bool looks_up, stores;
  ForwardReason reason = ForwardReason::none;
};

RequestPlan judge(http::Method method, const FieldRows& fields, const CacheRules& rules = {}) {
  http::RequestHead request;
  request.method = method;
  request.fields = fields;
  return judge_request(request, rules);
}

void check_all(std::initializer_list<Row> rows, const CacheRules& rules = {}) {
  int i = 0;
  for (const Row& row : rows) {
    CAPTURE(i);
    const RequestPlan plan = judge(row.method, row.fields, rules);
    CHECK(plan.may_look_up == row.looks_up);
    CHECK(plan.may_store == row.stores);
    CHECK(plan.reason == row.reason);
    ++i;
  }
}

using http::Method;
using enum ForwardReason;

}  // namespace

TEST_CASE("cache/policy: what requests a cache answers (RFC 9111 4, 4.3.2, 5.2.1)") {
  check_all({
      {Method::get, {}, true, true},
      {Method::head, {}, true, true},
      {Method::post, {}, false, true, method},  // RFC 9110 9.3.3
      {Method::post, {{"Cache-Control", "no-store"}}, false, false, method},
      {Method::put, {}, false, false, method},
      {Method::delete_, {}, false, false, method},
      {Method::options, {}, false, false, method},
      {Method::other, {}, false, false, method},
      {Method::get, {{"Range", "bytes=0-1"}}, true, true},
      {Method::get, {{"Authorization", "Basic x"}}, true, true},
      {Method::get, {{"Cookie", "a=b"}}, true, true},
      {Method::get, {{"Cache-Control", "no-cache"}}, true, true},
      {Method::get, {{"Cache-Control", "only-if-cached"}}, true, true},
      {Method::get, {{"Cache-Control", "no-store"}}, false, false, request},
      {Method::get, {{"If-None-Match", "\"a\""}}, true, true},
      {Method::get, {{"If-Match", "\"a\""}}, false, true, request},
      // What Connection names the endpoint does not get: Vary and the key must not go by it.
      {Method::get, {{"Connection", "X-Tenant"}, {"X-Tenant", "a"}}, false, false, request},
      {Method::get, {{"Connection", "close, cookie"}}, false, false, request},
      {Method::get, {{"Connection", "keep-alive"}}, true, true},
      {Method::get, {{"Connection", "Close, TE"}}, true, true},
      {Method::head, {{"If-Unmodified-Since", "x"}}, false, true, request},
      {Method::get, {{"Upgrade", "websocket"}, {"Connection", "upgrade"}}, false, false, request},
  });
  http::RequestHead with_body;
  with_body.method = Method::get;
  with_body.framing = {http::BodyKind::length, 3};
  CHECK_FALSE(judge_request(with_body, {}).may_look_up);
  CHECK_FALSE(judge_request(with_body, {}).may_store);
  CHECK(judge(Method::get, {{"Cache-Control", "only-if-cached"}}).directives.only_if_cached);
  CHECK(judge(Method::get, {{"Pragma", "no-cache"}}).directives.no_cache);  // 5.4
}

TEST_CASE("cache/policy: a route may keep clients from reaching the endpoint at will") {
  CacheRules rules;
  rules.honour_client = false;
  check_all(
      {
          {Method::get, {{"Cache-Control", "no-store"}}, true, false},  // 5.2.1.5: not stored
          {Method::get, {{"Cache-Control", "no-cache"}}, true, true},
          {Method::get, {{"If-Match", "\"a\""}}, false, true, request},
      },
      rules);
  const auto kept = judge(Method::get,
                          {{"Cache-Control",
                            "no-cache, max-age=0, min-fresh=9, max-stale, stale-if-error=9, "
                            "only-if-cached"}},
                          rules)
                        .directives;
  CHECK_FALSE(kept.no_cache);
  CHECK_FALSE(kept.max_age);
  CHECK_FALSE(kept.min_fresh);
  CHECK_FALSE(kept.max_stale);
  CHECK_FALSE(kept.stale_if_error);
  CHECK(kept.only_if_cached);
  CHECK_FALSE(judge(Method::get, {{"Pragma", "no-cache"}}, rules).directives.no_cache);
}

TEST_CASE("cache/policy: requests pass the cache by for a header or a cookie (RFC 9211 2.2)") {
  CacheRules rules;
  rules.bypass_fields = {"x-preview", "authorization"};
  rules.bypass_cookies = {"session"};
  check_all(
      {
          {Method::get, {{"X-Preview", ""}}, false, false, bypass},
          {Method::get, {{"Authorization", "x"}}, false, false, bypass},
          {Method::get, {{"Cookie", "session=1"}}, false, false, bypass},
          {Method::get, {{"Cookie", "a=b; session=1"}}, false, false, bypass},
          {Method::get, {{"Cookie", "a=b;session"}}, false, false, bypass},
          {Method::get, {{"Cookie", "a=b"}, {"Cookie", " session =1"}}, false, false, bypass},
          {Method::get, {{"Cookie", "Session=1"}}, true, true},
          {Method::get, {{"Cookie", "xsession=1; a=session"}}, true, true},
          {Method::get, {{"Cookie", ";;"}}, true, true},
          {Method::get, {{"X-Previews", "1"}}, true, true},
          {Method::post, {{"X-Preview", "1"}}, false, false, bypass},
      },
      rules);
}
