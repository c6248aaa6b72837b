// Preconditions of a request against the validators of a representation (RFC 9110 section 13).
// Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "sluice/http/message.h"

namespace sluice::http {

struct EntityTag {
  std::string_view opaque;  // between the quotes
  bool is_weak = false;
};
// nullopt unless all of `text` is one tag (RFC 9110 section 8.8.3).
std::optional<EntityTag> parse_entity_tag(std::string_view text) noexcept;
// RFC 9110 section 8.8.3.2.
bool matches_strongly(const EntityTag& a, const EntityTag& b) noexcept;
bool matches_weakly(const EntityTag& a, const EntityTag& b) noexcept;

// What a stored response can be compared by; dates are seconds since 1970.
struct Validators {
  std::optional<EntityTag> etag;
  std::optional<int64_t> last_modified;
  std::optional<int64_t> date;  // that of the response, or when it was received
};
// Malformed ones are as if absent. `received` stands in for a missing Date.
Validators validators_of(const FieldList& response, int64_t received) noexcept;

enum class Precondition : uint8_t {
  none,          // nothing was asked, or nothing that counts
  proceed,       // all that was asked holds
  not_modified,  // 304
  failed         // 412
};
// By the precedence of RFC 9110 section 13.2.2, without Range. If-Match and If-Unmodified-Since are
// for the origin alone: a cache forwards where `has_origin_precondition` (RFC 9111 section
// 4.3.2). If-Modified-Since falls back to the Date when there is no Last-Modified (the same).
Precondition evaluate_preconditions(const RequestHead& request, const Validators& validators,
                                    int64_t now) noexcept;
// Whether there is anything to evaluate, Range included; most requests have none of them.
bool has_condition_or_range(const FieldList& request) noexcept;
bool has_origin_precondition(const FieldList& request) noexcept;

// False when If-Range is there and does not match, so that Range does not count (RFC 9110 section
// 13.1.5). A date must be the Last-Modified exactly, and that a strong validator.
bool if_range_holds(const FieldList& request, const Validators& validators, int64_t now) noexcept;

}  // namespace sluice::http
