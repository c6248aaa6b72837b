// Bytes from anywhere as the inside of a JSON string (RFC 8259 section 7). Pure, no allocation.
#pragma once

#include <cstddef>
#include <string_view>

namespace sluice::proxy {

// What one byte can become at most: "\u001f".
inline constexpr size_t kMostJsonPerByte = 6;

// Writes `text` without the quotes around it; `out` has room for kMostJsonPerByte times its size.
// Valid UTF-8 stays, a byte that is none becomes U+FFFD: the result is always valid JSON. Returns
// the end of what was written.
char* write_json_text(char* out, std::string_view text) noexcept;
// How many bytes write_json_text() would write.
size_t json_text_size(std::string_view text) noexcept;

}  // namespace sluice::proxy
