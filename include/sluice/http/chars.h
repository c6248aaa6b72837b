// Classes of bytes in HTTP/1 messages (RFC 9110 section 5.6, RFC 3986 section 2), as one table.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice::http {

enum CharClass : uint8_t {
  kCharToken = 1,   // tchar, RFC 9110 section 5.6.2
  kCharTarget = 2,  // VCHAR but '#': a request target carries no fragment (RFC 9112 section 3.2)
  kCharValue = 4,   // VCHAR, obs-text, SP, HTAB: RFC 9110 section 5.5
  kCharUnreserved = 8,   // RFC 3986 section 2.3
  kCharRegName = 16,     // unreserved and sub-delims, RFC 3986 section 3.2.2 (without "%")
  kCharRequestId = 32,   // [A-Za-z0-9._-]
  kCharQuotedText = 64,  // qdtext, RFC 9110 section 5.6.4
  kCharPathMark = 128,   // what a path may be written in another way with: '%', '\\', '.'
};

constexpr std::array<uint8_t, 256> make_char_table() noexcept {
  constexpr std::string_view token_marks = "!#$%&'*+-.^_`|~";
  constexpr std::string_view sub_delims = "!$&'()*+,;=";
  std::array<uint8_t, 256> table{};
  for (int i = 0; i < 256; ++i) {
    const char c = static_cast<char>(i);
    const bool alpha = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool alnum = alpha || (c >= '0' && c <= '9');
    const bool visible = i > 0x20 && i < 0x7f;
    const bool value = visible || i >= 0x80 || c == ' ' || c == '\t';
    const bool unreserved = alnum || std::string_view("-._~").find(c) != std::string_view::npos;
    const bool delim = sub_delims.find(c) != std::string_view::npos;
    int classes = 0;
    if (alnum || token_marks.find(c) != std::string_view::npos) classes |= kCharToken;
    if (visible && c != '#') classes |= kCharTarget;
    if (value) classes |= kCharValue;
    if (unreserved) classes |= kCharUnreserved;
    if (unreserved || delim) classes |= kCharRegName;
    if (unreserved && c != '~') classes |= kCharRequestId;
    if (value && c != '"' && c != '\\') classes |= kCharQuotedText;
    if (c == '%' || c == '\\' || c == '.') classes |= kCharPathMark;
    table[static_cast<size_t>(i)] = static_cast<uint8_t>(classes);
  }
  table[0] = 0;  // string_view::find never matches it, yet say so
  return table;
}
inline constexpr std::array<uint8_t, 256> kCharTable = make_char_table();

constexpr bool is_char(char c, CharClass wanted) noexcept {
  return (kCharTable[static_cast<uint8_t>(c)] & wanted) != 0;
}
constexpr bool is_all(std::string_view text, CharClass wanted) noexcept {
  for (char c : text) {
    if (!is_char(c, wanted)) return false;
  }
  return true;
}
constexpr bool is_token(std::string_view text) noexcept {
  return !text.empty() && is_all(text, kCharToken);
}

}  // namespace sluice::http
