// Targets, authorities and paths (RFC 9112 section 3.2, RFC 3986). Pure.
#pragma once

#include <optional>
#include <string_view>

#include "sluice/base/arena.h"
#include "sluice/base/error.h"

namespace sluice::http {

// An authority that may stand in Host: reg-name, IPv4 or [IPv6] (no zone), optional port up to
// 65535. Empty is false: http and https always have a host (RFC 9110 section 4.2.1). Userinfo is
// refused.
bool is_valid_host(std::string_view authority) noexcept;

struct Authority {
  std::string_view host;  // without brackets' meaning changed, port removed
  std::string_view port;  // "" when none
};
Authority split_authority(std::string_view authority) noexcept;

// "http://host/path?query" taken apart; nullopt when it is not absolute-form with http or https.
struct AbsoluteForm {
  std::string_view scheme, authority, path_and_query;  // path_and_query may be empty
};
std::optional<AbsoluteForm> parse_absolute_form(std::string_view target) noexcept;

// The path (no query) that routes are matched on: percent-encoded unreserved characters decoded,
// dot segments removed (RFC 3986 sections 6.2.2 and 5.2.4). Returns `path` itself when nothing
// changes. kBadTarget: bad percent encoding, dot segments that climb above "/", and what endpoints
// are known to read differently: ".." after an empty segment, dots hidden by "%2F", "%5C" or ";".
// Empty segments stay: "//a" is not "/a".
Result<std::string_view> normalise_path(std::string_view path, Arena& arena);

// True when `path` is `prefix`, or lies below it by whole segments: /a has /a and /a/b, not /ab;
// a prefix that ends with "/" has only what lies below it.
bool path_has_prefix(std::string_view path, std::string_view prefix) noexcept;

// `path_and_query` (as received) without `prefix`; always begins with one "/". When normalisation
// changed the path, the normalised path is the base of the result. Allocates in the arena only
// then.
std::string_view strip_prefix(std::string_view path_and_query, std::string_view normalised_path,
                              std::string_view prefix, Arena& arena);

}  // namespace sluice::http
