// What a request of an unsafe method makes invalid (RFC 9111 section 4.4, RFC 9875). Pure; texts
// live in the arena.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "sluice/base/arena.h"
#include "sluice/cache/key.h"
#include "sluice/http/message.h"

namespace sluice::cache {

// A longer list of groups counts as all of the origin: one purge that all hosts hear of, not
// thousands.
inline constexpr size_t kMostGroups = 256;

struct Invalidation {
  std::span<const std::string_view> targets;  // path and query, at the origin of the request
  std::span<const uint64_t> tags;             // hashes, as group_tag() makes them
  bool is_all_of_origin = false;              // there were more groups than kMostGroups
  bool is_empty() const noexcept { return targets.empty() && tags.empty() && !is_all_of_origin; }
};
Invalidation judge_invalidation(const http::RequestHead& request, const KeyUrl& url,
                                const http::ResponseHead& response, Arena& arena);

// Path and query of a reference (RFC 3986 section 5.2), without fragment; nullopt when it leads to
// another origin.
std::optional<std::string_view> resolve_target(const KeyUrl& base, std::string_view reference,
                                               Arena& arena);

// The tag of a group of Cache-Groups, which is one of its origin's alone (RFC 9875 section 2.1).
uint64_t group_tag(const KeyUrl& url, std::string_view group, Arena& arena);

}  // namespace sluice::cache
