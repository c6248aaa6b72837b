#include "sluice/proxy/json_text.h"

#include <cstdint>
#include <cstring>

namespace sluice::proxy {

namespace {

constexpr uint64_t kOnes = 0x0101010101010101;
constexpr uint64_t kHighBits = 0x8080808080808080;

constexpr uint64_t has_zero_byte(uint64_t word) noexcept {
  return (word - kOnes) & ~word & kHighBits;
}

// Eight bytes at once that stand for themselves: no control byte, no quote, no backslash, no UTF-8.
bool are_plain(uint64_t word) noexcept {
  const uint64_t control = (word - kOnes * 0x20) & ~word;
  const uint64_t quote = has_zero_byte(word ^ (kOnes * '"'));
  const uint64_t backslash = has_zero_byte(word ^ (kOnes * '\\'));
  return (((control | word) & kHighBits) | quote | backslash) == 0;
}

bool is_plain(unsigned char byte) noexcept {
  return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
}

// The length of the UTF-8 sequence that `text` begins with, 0 if it is none (RFC 3629 section 4).
size_t utf8_length(std::string_view text) noexcept {
  const auto byte = [text](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  const size_t length = first < 0xC2   ? 0
                        : first < 0xE0 ? 2
                        : first < 0xF0 ? 3
                        : first < 0xF5 ? 4
                                       : 0;
  if (length == 0 || text.size() < length) return 0;
  const unsigned char least = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
  const unsigned char most = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
  if (byte(1) < least || byte(1) > most) return 0;
  for (size_t i = 2; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  return length;
}

// One character that is not plain: what to write for it, and how many bytes of the text it takes.
struct Escape {
  char text[kMostJsonPerByte];
  uint8_t size;
  uint8_t taken;
};

Escape escape(std::string_view text) noexcept {
  static constexpr char kHex[] = "0123456789abcdef";
  const unsigned char byte = static_cast<unsigned char>(text[0]);
  if (byte == '"' || byte == '\\') return {{'\\', text[0]}, 2, 1};
  if (byte < 0x20) return {{'\\', 'u', '0', '0', kHex[byte >> 4], kHex[byte & 15]}, 6, 1};
  const size_t length = utf8_length(text);
  if (length == 0) return {{'\\', 'u', 'f', 'f', 'f', 'd'}, 6, 1};
  Escape same{{}, static_cast<uint8_t>(length), static_cast<uint8_t>(length)};
  std::memcpy(same.text, text.data(), length);
  return same;
}

}  // namespace

char* write_json_text(char* out, std::string_view text) noexcept {
  const char* p = text.data();
  const char* const end = p + text.size();
  while (p != end) {
    uint64_t word;
    while (end - p >= 8) {
      std::memcpy(&word, p, 8);
      if (!are_plain(word)) break;
      std::memcpy(out, &word, 8);
      p += 8;
      out += 8;
    }
    while (p != end && is_plain(static_cast<unsigned char>(*p))) *out++ = *p++;
    if (p == end) break;
    const Escape escaped = escape({p, static_cast<size_t>(end - p)});
    std::memcpy(out, escaped.text, escaped.size);
    out += escaped.size;
    p += escaped.taken;
  }
  return out;
}

size_t json_text_size(std::string_view text) noexcept {
  size_t size = 0;
  while (!text.empty()) {
    if (is_plain(static_cast<unsigned char>(text[0]))) {
      ++size;
      text.remove_prefix(1);
      continue;
    }
    const Escape escaped = escape(text);
    size += escaped.size;
    text.remove_prefix(escaped.taken);
  }
  return size;
}

}  // namespace sluice::proxy
