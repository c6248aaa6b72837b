// What the cache may do for a request, before it looks for anything. Pure.
#pragma once

#include "sluice/cache/policy_rules.h"
#include "sluice/cache/policy_status.h"
#include "sluice/http/cache_control.h"
#include "sluice/http/message.h"

namespace sluice::cache {

struct RequestPlan {
  bool may_look_up = false;  // a stored response may answer it
  bool may_store = false;    // its response may be stored, if judge_store() says so
  ForwardReason reason = ForwardReason::none;  // why there is no looking up
  // Those that count on this route. With only_if_cached what is not answered from the cache is
  // answered 504 (RFC 9111 section 5.2.1.7).
  http::RequestDirectives directives;
};

RequestPlan judge_request(const http::RequestHead& request, const CacheRules& rules) noexcept;

}  // namespace sluice::cache
