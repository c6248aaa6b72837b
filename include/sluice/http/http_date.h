// The timestamps of HTTP (RFC 9110 section 5.6.7) as seconds since 1970. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace sluice::http {

// All three forms: IMF-fixdate, RFC 850 and asctime. Letters count in any case, and only GMT is a
// zone (RFC 9111 section 4.2). The day of the week must be a name but need not fit the date.
// `now` tells the century of RFC 850's two digits. nullopt for anything else.
std::optional<int64_t> parse_http_date(std::string_view text, int64_t now) noexcept;

// "Sun, 06 Nov 1994 08:49:37 GMT" into out[29].
void write_http_date(char* out, int64_t unix_seconds) noexcept;

}  // namespace sluice::http
