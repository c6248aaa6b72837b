#include "sluice/cache/policy_freshness.h"

#include <algorithm>
#include <optional>

#include "sluice/http/http_date.h"

namespace sluice::cache {
namespace {

using http::FieldId;
using http::Seconds;

constexpr Seconds kLongestGuess = std::chrono::hours(24);

int64_t unix_seconds(WallTime time) noexcept {
  return std::chrono::floor<Seconds>(time.time_since_epoch()).count();
}

// The only field of its kind as a date. Several are none: which is true cannot be told.
std::optional<int64_t> date_in(const http::FieldList& fields, FieldId id, int64_t now) noexcept {
  const http::Field* field = fields.find(id);
  if (field == nullptr || fields.is_repeated(id)) return std::nullopt;
  return http::parse_http_date(field->value, now);
}

// RFC 9110 section 6.6.1: without a Date, or with a bad one, that of receipt. Kept within what an
// entry can hold, as is the age.
WallTime date_of(const Received& response) noexcept {
  const int64_t came = unix_seconds(response.came);
  const auto date = date_in(response.fields, FieldId::kDate, came);
  if (!date) return response.came;
  return WallTime(Seconds(std::clamp<int64_t>(*date, 0, came + http::kMostDelta.count())));
}

// RFC 9111 section 4.2.3
Duration initial_age(const Received& response, WallTime date, Seconds age) noexcept {
  const Duration apparent_age = std::max(response.came - date, WallTime::duration{});
  const Duration delay = std::max(response.came - response.sent, WallTime::duration{});
  return std::min<Duration>(std::max<Duration>(apparent_age, age + delay), http::kMostDelta);
}

// RFC 9111 section 5.3: anything that is no date is in the past.
Seconds until_expires(const Received& response, int64_t date) noexcept {
  const auto expires = date_in(response.fields, FieldId::kExpires, date);
  if (!expires || *expires <= date) return Seconds(0);
  return std::min(Seconds(*expires - date), http::kMostDelta);
}

// RFC 9111 section 4.2.1, in its order.
std::optional<Seconds> endpoint_lifetime(const Received& response, int64_t date) noexcept {
  const http::ResponseDirectives& directives = response.directives.values;
  if (directives.s_maxage) return directives.s_maxage;
  if (directives.max_age) return directives.max_age;
  if (response.directives.is_targeted || !response.fields.has(FieldId::kExpires)) {
    return std::nullopt;
  }
  return until_expires(response, date);
}

// Errors are not what anybody means who gives a lifetime to a route.
bool takes_route_ttl(int status) noexcept {
  return status < 400 && is_heuristically_cacheable(status);
}

std::optional<Duration> rule_lifetime(int status, const CacheRules& rules) noexcept {
  for (const StatusTtl& row : rules.status_ttl) {
    if (row.status == status) return row.ttl;
  }
  return takes_route_ttl(status) ? rules.default_ttl : std::nullopt;
}

// RFC 9111 section 4.2.2: a tenth of the time since it was changed.
std::optional<Seconds> guessed_lifetime(const Received& response, int64_t date) noexcept {
  const bool may_guess =
      is_heuristically_cacheable(response.status) || response.directives.values.is_public;
  const auto modified = date_in(response.fields, FieldId::kLastModified, date);
  if (!may_guess || !modified || *modified > date) return std::nullopt;
  return std::min(Seconds((date - *modified) / 10), kLongestGuess);
}

struct Lifetime {
  Duration value{};
  LifetimeSource source = LifetimeSource::none;
};

Lifetime lifetime_of(const Received& response, const EntryTimes& times,
                     const CacheRules& rules) noexcept {
  const int64_t date = unix_seconds(times.date);
  // What an operator gives counts from receipt.
  if (rules.forced_ttl && takes_route_ttl(response.status)) {
    return {*rules.forced_ttl + times.initial_age, LifetimeSource::forced};
  }
  if (const auto lifetime = endpoint_lifetime(response, date)) {
    return {*lifetime, LifetimeSource::endpoint};
  }
  if (const auto lifetime = rule_lifetime(response.status, rules)) {
    return {*lifetime + times.initial_age, LifetimeSource::rule};
  }
  const auto guess = rules.heuristic ? guessed_lifetime(response, date) : std::nullopt;
  if (guess) return {*guess, LifetimeSource::guess};
  return {};
}

// Never longer: what the endpoint allows is a limit.
Duration shortened(Duration lifetime, const Received& response, Duration age,
                   const CacheRules& rules) noexcept {
  if (rules.max_ttl) lifetime = std::min(lifetime, *rules.max_ttl + age);
  lifetime = std::min<Duration>(lifetime, http::kMostDelta);
  const Duration left = lifetime - age;
  if (left <= Duration{}) return lifetime;
  const uint32_t share = std::min<uint32_t>(rules.jitter_percent, 100);
  const double part = share / 100.0 * (response.random / 4294967296.0);
  return lifetime - Duration(static_cast<int64_t>(static_cast<double>(left.count()) * part));
}

// RFC 5861 sections 3 and 4. What never was fresh does not go stale: there a route's window would
// be a lifetime.
void set_windows(EntryTimes& times, const http::ResponseDirectives& directives,
                 LifetimeSource source, const CacheRules& rules) noexcept {
  if (source != LifetimeSource::none) times.stale_while_revalidate = rules.stale_while_revalidate;
  times.stale_if_error = rules.stale_if_error;
  if (directives.stale_while_revalidate) {
    times.stale_while_revalidate = *directives.stale_while_revalidate;
  }
  if (directives.stale_if_error) times.stale_if_error = *directives.stale_if_error;
}

}  // namespace

EffectiveDirectives effective_directives(const http::FieldList& response,
                                         const CacheRules& rules) noexcept {
  for (const std::string& name : rules.targeted_fields) {
    const auto targeted = http::parse_targeted_directives(response, name);
    if (targeted) return {*targeted, true};
  }
  return {http::parse_response_directives(response), false};
}

Freshness judge_freshness(const Received& response, const CacheRules& rules) noexcept {
  const http::ReceivedAge age = http::parse_age(response.fields);
  Freshness out;
  EntryTimes& times = out.times;
  times.request = response.sent;
  times.response = response.came;
  times.date = date_of(response);
  times.initial_age = initial_age(response, times.date, age.age);

  const Lifetime lifetime = lifetime_of(response, times, rules);
  out.source = lifetime.source;
  times.freshness = shortened(lifetime.value, response, times.initial_age, rules);
  set_windows(times, response.directives.values, out.source, rules);
  const bool is_ours =
      lifetime.source == LifetimeSource::rule || lifetime.source == LifetimeSource::forced;
  if (age.is_bad && !is_ours) {
    // RFC 9111 section 5.1 lets a cache ignore such an Age. But then some cache before us did keep
    // the response for a while, and nobody knows how long: safer to take it for stale.
    times.freshness = times.stale_while_revalidate = times.stale_if_error = Duration{};
  }
  return out;
}

bool is_heuristically_cacheable(int status) noexcept {
  switch (status) {
    case 200:
    case 203:
    case 204:
    case 206:
    case 300:
    case 301:
    case 308:
    case 404:
    case 405:
    case 410:
    case 414:
    case 501:
      return true;
    default:
      return false;
  }
}

}  // namespace sluice::cache
