// What Cache-Control and Age say (RFC 9111 sections 5.1 and 5.2, RFC 5861, RFC 9213), as values.
//
// All lines of a field are one list; names count in any case; arguments may be tokens or quoted;
// unknown directives are skipped. Where a directive is repeated, malformed or has a bad argument,
// the reading that caches least holds (RFC 9111 section 4.2.1): the shortest lifetime, none at all
// for a number that is none. A directive that loosens counts only when well-formed, one that
// forbids in any form. Views into the fields; pure.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "sluice/http/message.h"

namespace sluice::http {

using Seconds = std::chrono::seconds;

// Where delta-seconds saturate (RFC 9111 section 1.2.2).
inline constexpr Seconds kMostDelta{int64_t{1} << 31};

// The fields that no-cache="…" or private="…" names.
class FieldNames {
 public:
  bool is_empty() const noexcept { return count_ == 0; }
  bool names(std::string_view field) const noexcept;
  // False when `list` is no list of names or there is no room: then the directive is to be taken as
  // one without names (RFC 9111 section 5.2.2.4).
  bool add(std::string_view list) noexcept;

 private:
  std::array<std::string_view, 4> lists_;
  uint8_t count_ = 0;
};

struct ResponseDirectives {
  bool is_present = false;
  bool no_store = false;
  bool no_cache = false;    // without names
  bool is_private = false;  // without names
  bool is_public = false;
  bool must_revalidate = false;
  bool proxy_revalidate = false;
  bool must_understand = false;
  bool no_transform = false;
  bool is_immutable = false;
  std::optional<Seconds> max_age, s_maxage;
  std::optional<Seconds> stale_while_revalidate, stale_if_error;
  FieldNames no_cache_fields, private_fields;
};

struct RequestDirectives {
  bool is_present = false;
  bool no_store = false;
  bool no_cache = false;
  bool only_if_cached = false;
  bool no_transform = false;
  std::optional<Seconds> max_age;
  std::optional<Seconds> max_stale;  // kMostDelta when it names no limit
  std::optional<Seconds> min_fresh;
  std::optional<Seconds> stale_if_error;
};

ResponseDirectives parse_response_directives(const FieldList& fields) noexcept;
// Pragma: no-cache counts where Cache-Control is absent (RFC 9111 section 5.4).
RequestDirectives parse_request_directives(const FieldList& fields) noexcept;

// A targeted field such as CDN-Cache-Control (RFC 9213). nullopt when it is absent, empty, no valid
// dictionary, or gives a number of seconds in another type: then it is ignored (section 2.1).
std::optional<ResponseDirectives> parse_targeted_directives(const FieldList& fields,
                                                            std::string_view name) noexcept;

// Age as it came. Of a list the first member holds (RFC 9111 section 5.1).
struct ReceivedAge {
  Seconds age{0};
  // There is a field that says no one age. That section lets a cache ignore it; as the true age may
  // then be anything, such a response is better held stale.
  bool is_bad = false;
};
ReceivedAge parse_age(const FieldList& fields) noexcept;

// Digits only, saturating; nullopt for anything else (RFC 9111 section 1.2.2).
std::optional<Seconds> parse_delta_seconds(std::string_view text) noexcept;

}  // namespace sluice::http
