#include "sluice/cache/policy_reuse.h"

#include <algorithm>

namespace sluice::cache {
namespace {

// What a soft purge leaves: expired, if only just.
constexpr Duration kMarkedTtl = std::chrono::seconds(-1);

Duration staleness(const EntryFacts& entry, WallTime now) noexcept {
  return std::max(entry.age(now) - entry.times.freshness, Duration{});
}

// RFC 9111 sections 5.2.2.2, 5.2.2.4, 5.2.2.8 and 5.2.2.10: these hold whatever anybody allows.
bool is_stale_forbidden(const EntryFacts& entry) noexcept {
  return entry.has(EntryFlag::must_revalidate) || entry.has(EntryFlag::no_cache);
}

bool is_too_old(const EntryFacts& entry, const http::RequestDirectives& request,
                WallTime now) noexcept {
  return request.max_age && entry.age(now) > *request.max_age;  // RFC 9111 section 5.2.1.1
}

Reuse judge_fresh(const EntryFacts& entry, const http::RequestDirectives& request,
                  WallTime now) noexcept {
  // RFC 8246 section 2.1: only no-cache asks for the validation of what does not change.
  if (!entry.has(EntryFlag::immutable) && is_too_old(entry, request, now)) {
    return Reuse::must_validate;
  }
  // RFC 9111 section 5.2.1.3
  if (request.min_fresh && entry.ttl(now) < *request.min_fresh) return Reuse::must_validate;
  return Reuse::fresh;
}

Reuse judge_stale(const EntryFacts& entry, const http::RequestDirectives& request,
                  WallTime now) noexcept {
  if (is_stale_forbidden(entry) || is_too_old(entry, request, now) || request.min_fresh) {
    return Reuse::must_validate;
  }
  const Duration stale = staleness(entry, now);
  // RFC 9111 section 5.2.1.1: with max-age a client wants nothing stale, unless it says max-stale.
  const bool wants_fresh = request.max_age && !request.max_stale;
  // RFC 5861 section 3
  if (!wants_fresh && stale < entry.times.stale_while_revalidate) {
    return Reuse::stale_while_revalidate;
  }
  // RFC 9111 section 5.2.1.2
  if (request.max_stale &&
      (*request.max_stale == http::kMostDelta || stale <= *request.max_stale)) {
    return Reuse::max_stale;
  }
  return Reuse::must_validate;
}

}  // namespace

Duration EntryFacts::age(WallTime now) const noexcept {
  const Duration resident = now - times.response;
  return times.initial_age + std::max(resident, Duration{});
}

Duration EntryFacts::ttl(WallTime now) const noexcept {
  const Duration ttl = times.freshness - age(now);
  return is_marked_stale ? std::min(ttl, kMarkedTtl) : ttl;
}

EntryFacts facts_of(const Entry& entry) noexcept {
  EntryFacts facts;
  facts.times = entry.times();
  for (const EntryFlag flag :
       {EntryFlag::must_revalidate, EntryFlag::no_cache, EntryFlag::immutable}) {
    if (entry.has(flag)) facts.flags |= static_cast<uint16_t>(flag);
  }
  facts.is_marked_stale = entry.is_marked_stale();
  return facts;
}

ReuseVerdict judge_reuse(const EntryFacts& entry, const http::RequestDirectives& request,
                         WallTime now) noexcept {
  ReuseVerdict verdict;
  verdict.ttl = entry.ttl(now);
  const bool is_fresh = verdict.ttl > Duration{};  // RFC 9111 section 4.2
  if (request.no_cache) {
    verdict.reason = ForwardReason::request;  // RFC 9111 section 5.2.1.4
  } else if (entry.has(EntryFlag::no_cache)) {
    verdict.reason = ForwardReason::stale;  // RFC 9111 section 5.2.2.4
  } else if (is_fresh) {
    verdict.reuse = judge_fresh(entry, request, now);
    verdict.reason = ForwardReason::request;
  } else {
    verdict.reuse = judge_stale(entry, request, now);
    verdict.reason = ForwardReason::stale;
  }
  if (verdict.reuse != Reuse::must_validate) verdict.reason = ForwardReason::none;
  return verdict;
}

// RFC 5861 section 4 names the four. Of them 502, 503 and 504 say that who should answer does not:
// RFC 9111 section 4.3.3 lets a cache act as if the endpoint had failed to respond.
std::optional<Failure> failure_of(int status) noexcept {
  switch (status) {
    case 500:
      return Failure::error;
    case 502:
    case 503:
    case 504:
      return Failure::unreachable;
    default:
      return std::nullopt;
  }
}

// Of the request only no-cache counts, which asks for a successful validation by name; directives
// of requests are advice (RFC 9111 section 5.2.1), and without an endpoint there is nothing better.
bool may_serve_after(Failure failure, const EntryFacts& entry,
                     const http::RequestDirectives& request, const CacheRules& rules,
                     WallTime now) noexcept {
  if (is_stale_forbidden(entry) || request.no_cache) return false;
  Duration allowed = std::max<Duration>(entry.times.stale_if_error,
                                        request.stale_if_error.value_or(http::Seconds(0)));
  if (failure == Failure::unreachable) allowed = std::max(allowed, rules.stale_if_unreachable);
  return staleness(entry, now) < allowed;
}

uint64_t age_to_send(const EntryTimes& times, WallTime now) noexcept {
  const EntryFacts facts{.times = times};
  const auto age = std::chrono::floor<http::Seconds>(facts.age(now));
  return static_cast<uint64_t>(std::clamp(age, http::Seconds(0), http::kMostDelta).count());
}

}  // namespace sluice::cache
