// What a route says about caching. Plain values, filled from the configuration.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sluice/base/clock.h"

namespace sluice::cache {

struct StatusTtl {
  int status = 0;
  Duration ttl{};
};

enum class SetCookieRule : uint8_t {
  when_explicit,  // a response with Set-Cookie is stored if it gives a lifetime or says "public"
  never
};

struct CacheRules {
  // Lifetimes that the operator gives; they count from the moment a response came.
  std::optional<Duration> default_ttl;  // where the endpoint gives none
  std::optional<Duration> forced_ttl;   // in place of what the endpoint gives
  std::vector<StatusTtl> status_ttl;    // where it gives none, by status: negative caching
  std::optional<Duration> max_ttl;      // upper limit of any lifetime
  uint8_t jitter_percent = 0;           // a lifetime may be this much shorter, at random
  bool heuristic = true;                // a lifetime guessed from Last-Modified

  // How long after its lifetime a response may be sent; those of the endpoint come first.
  Duration stale_while_revalidate{};
  Duration stale_if_error{};
  // While no endpoint answers at all: RFC 9111 section 4.2.4 allows it without being asked.
  Duration stale_if_unreachable = std::chrono::hours(1);
  // stale-while-revalidate and stale-if-error count although s-maxage, which forbids them, stands
  // beside them.
  bool stale_beside_s_maxage = false;

  Duration uncacheable_ttl = std::chrono::seconds(10);  // of a marker that nothing will be stored
  Duration keep = std::chrono::minutes(10);  // of a stale response, to be validated some day

  SetCookieRule set_cookie = SetCookieRule::when_explicit;
  bool honour_client = true;  // Cache-Control and Pragma of requests
  // Names in lower case.
  std::vector<std::string> bypass_fields;   // a request with one of them passes the cache by
  std::vector<std::string> bypass_cookies;  // the same; cookie names, in their case
  // Fields that replace Cache-Control and Expires for us; the first that is valid counts
  // (RFC 9213 section 2.2).
  std::vector<std::string> targeted_fields = {"sluice-cache-control", "cdn-cache-control",
                                              "surrogate-control"};
};

}  // namespace sluice::cache
