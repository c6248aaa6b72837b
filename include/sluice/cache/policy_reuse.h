// Whether a stored response may answer a request (RFC 9111 sections 4 and 4.2). Pure.
#pragma once

#include <cstdint>
#include <optional>

#include "sluice/cache/entry.h"
#include "sluice/cache/policy_rules.h"
#include "sluice/cache/policy_status.h"
#include "sluice/http/cache_control.h"

namespace sluice::cache {

// What counts of an Entry.
struct EntryFacts {
  EntryTimes times;
  uint16_t flags = 0;  // EntryFlag
  bool is_marked_stale = false;

  bool has(EntryFlag flag) const noexcept { return (flags & static_cast<uint16_t>(flag)) != 0; }
  // RFC 9111 section 4.2.3
  Duration age(WallTime now) const noexcept;
  // How long it will be fresh; negative, or zero, when it is not. A soft purge ends it.
  Duration ttl(WallTime now) const noexcept;
};
EntryFacts facts_of(const Entry& entry) noexcept;

enum class Reuse : uint8_t {
  fresh,
  stale_while_revalidate,  // send it, and validate it in the background
  max_stale,               // send it: stale, but the client asked for no better
  must_validate            // ask an endpoint first
};

struct ReuseVerdict {
  Reuse reuse = Reuse::must_validate;
  ForwardReason reason = ForwardReason::none;  // of must_validate
  Duration ttl{};
};
// `request`: those of the RequestPlan.
ReuseVerdict judge_reuse(const EntryFacts& entry, const http::RequestDirectives& request,
                         WallTime now) noexcept;

// What went wrong at the endpoint.
enum class Failure : uint8_t {
  error,       // it answered 500
  unreachable  // it did not answer, none could be asked, or 502, 503, 504
};
// nullopt: a status that is an answer.
std::optional<Failure> failure_of(int status) noexcept;

// Whether the stored response, which could not be validated, may be sent all the same (RFC 9111
// section 4.2.4, RFC 5861 section 4).
bool may_serve_after(Failure failure, const EntryFacts& entry,
                     const http::RequestDirectives& request, const CacheRules& rules,
                     WallTime now) noexcept;

// The value of Age, in seconds (RFC 9111 section 5.1).
uint64_t age_to_send(const EntryTimes& times, WallTime now) noexcept;

}  // namespace sluice::cache
