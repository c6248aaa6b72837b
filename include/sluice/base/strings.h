// ASCII text helpers for protocol bytes: no locale, no allocation unless a std::string is returned.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

constexpr char to_lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}
constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
// The value of a hexadecimal digit, or -1.
constexpr int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}
bool equals_ignore_case(std::string_view a, std::string_view b) noexcept;
std::string lower(std::string_view text);
// Without spaces and tabs (RFC 9110 OWS) at both ends.
std::string_view trim(std::string_view text) noexcept;

// Decimal digits only, no sign, no overflow; nullopt otherwise.
std::optional<uint64_t> parse_decimal(std::string_view text) noexcept;

// Calls f(element) for each non-empty, trimmed element of a comma list (RFC 9110 section 5.6.1)
// without quoted strings; stops when f returns false and returns whether all were visited.
template <typename F>
bool for_each_element(std::string_view list, F&& f) {
  while (!list.empty()) {
    size_t comma = list.find(',');
    std::string_view item = trim(list.substr(0, comma));
    list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
    if (!item.empty() && !f(item)) return false;
  }
  return true;
}

std::vector<std::string_view> split(std::string_view text, char separator);

// The candidate nearest to `word` by edits (Damerau-Levenshtein), if near enough to be what was
// meant.
std::optional<std::string_view> nearest(std::string_view word,
                                        const std::vector<std::string_view>& candidates);

// Writes `value` in decimal into `out` (at least 20 bytes); returns the length.
size_t write_decimal(char* out, uint64_t value) noexcept;

}  // namespace sluice
