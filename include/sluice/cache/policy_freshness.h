// How long a response may be used (RFC 9111 section 4.2). Pure.
#pragma once

#include <cstdint>

#include "sluice/cache/entry.h"
#include "sluice/cache/policy_rules.h"
#include "sluice/http/cache_control.h"
#include "sluice/http/message.h"

namespace sluice::cache {

// The directives that count for us: of the first targeted field that is valid, which then stand in
// place of Cache-Control and Expires (RFC 9213 section 2.2), else of Cache-Control.
struct EffectiveDirectives {
  http::ResponseDirectives values;
  bool is_targeted = false;
};
EffectiveDirectives effective_directives(const http::FieldList& response,
                                         const CacheRules& rules) noexcept;

// One response, as it is to be stored.
struct Received {
  int status = 0;
  const http::FieldList& fields;
  const EffectiveDirectives& directives;
  WallTime sent;        // when its request was sent
  WallTime came;        // when its head came
  uint32_t random = 0;  // for the jitter
};

// Who gave the lifetime.
enum class LifetimeSource : uint8_t { none, endpoint, rule, forced, guess };

struct Freshness {
  EntryTimes times;
  LifetimeSource source = LifetimeSource::none;
};
Freshness judge_freshness(const Received& response, const CacheRules& rules) noexcept;

// RFC 9110 section 15.1: may be stored though nothing says so.
bool is_heuristically_cacheable(int status) noexcept;

}  // namespace sluice::cache
