#include "sluice/http/structured.h"

#include "sluice/base/strings.h"
#include "sluice/http/chars.h"

namespace sluice::http {
namespace {

constexpr std::string_view kSpace = " ";
constexpr std::string_view kOptionalWhite = " \t";

bool is_lower(char c) noexcept { return c >= 'a' && c <= 'z'; }
bool is_alpha(char c) noexcept { return is_lower(to_lower(c)); }
bool is_key_char(char c) noexcept {
  return is_lower(c) || is_digit(c) || c == '_' || c == '-' || c == '.' || c == '*';
}
bool is_token_char(char c) noexcept { return is_char(c, kCharToken) || c == ':' || c == '/'; }
bool is_base64_char(char c) noexcept {
  return is_alpha(c) || is_digit(c) || c == '+' || c == '/' || c == '=';
}
bool is_printable(char c) noexcept { return c >= ' ' && c <= '~'; }
bool is_lower_hex(char c) noexcept { return is_digit(c) || (c >= 'a' && c <= 'f'); }

}  // namespace

// RFC 9651 section 4.2: only spaces may surround the whole.
StructuredReader::StructuredReader(std::string_view line, Keys keys) noexcept
    : rest_(line), keys_(keys) {
  skip_white(kSpace);
  const size_t last = rest_.find_last_not_of(kSpace);
  rest_ = rest_.substr(0, last == std::string_view::npos ? 0 : last + 1);
}

// Section 4.2.2.
bool StructuredReader::next(StructuredMember& member) noexcept {
  if (!begin_member()) return false;
  member.value = {.kind = StructuredItem::Kind::boolean, .integer = 1, .text = {}};
  if (!key(member.key)) return end_member(false);
  return end_member(take('=') ? member_value(member.value) : parameters());
}

// Section 4.2.1.
bool StructuredReader::next(StructuredItem& member) noexcept {
  return begin_member() && end_member(member_value(member));
}

bool StructuredReader::begin_member() noexcept {
  if (failed_ || rest_.empty()) {
    failed_ = failed_ || needs_member_;
    return false;
  }
  return true;
}

bool StructuredReader::end_member(bool is_good) noexcept {
  if (is_good) {
    skip_white(kOptionalWhite);
    needs_member_ = take(',');
    skip_white(kOptionalWhite);
  }
  failed_ = !is_good || (!needs_member_ && !rest_.empty());
  return !failed_;
}

// Section 4.2.3.3.
bool StructuredReader::key(std::string_view& out) noexcept {
  const auto seen = [this](char c) { return keys_ == Keys::lower ? c : to_lower(c); };
  if (rest_.empty() || (!is_lower(seen(rest_.front())) && rest_.front() != '*')) return false;
  size_t size = 1;
  while (size < rest_.size() && is_key_char(seen(rest_[size]))) ++size;
  out = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return true;
}

bool StructuredReader::member_value(StructuredItem& out) noexcept {
  if (take('(')) {
    out.kind = StructuredItem::Kind::inner_list;
    if (!inner_list()) return false;
  } else if (!bare_item(out)) {
    return false;
  }
  return parameters();
}

// Section 4.2.3.2.
bool StructuredReader::parameters() noexcept {
  while (take(';')) {
    std::string_view ignored_key;
    StructuredItem ignored;
    skip_white(kSpace);
    if (!key(ignored_key) || (take('=') && !bare_item(ignored))) return false;
  }
  return true;
}

// Section 4.2.1.2, behind the parenthesis.
bool StructuredReader::inner_list() noexcept {
  skip_white(kSpace);
  while (!take(')')) {
    StructuredItem ignored;
    if (!bare_item(ignored) || !parameters()) return false;
    const bool is_apart = skip_white(kSpace) > 0;
    if (!is_apart && !rest_.starts_with(')')) return false;
  }
  return true;
}

// Section 4.2.3.1.
bool StructuredReader::bare_item(StructuredItem& out) noexcept {
  if (rest_.empty()) return false;
  const char first = rest_.front();
  if (first == '-' || is_digit(first)) return number(out);
  if (first == '"') return string(out);
  if (first == '*' || is_alpha(first)) return token(out);
  if (take(':')) {
    out.kind = StructuredItem::Kind::bytes;
    return bytes();
  }
  if (take('?')) return boolean(out);
  if (take('@')) {
    const bool is_integer = number(out) && out.kind == StructuredItem::Kind::integer;
    out.kind = StructuredItem::Kind::date;
    return is_integer;
  }
  out.kind = StructuredItem::Kind::display_string;
  return take('%') && display_string();
}

// Section 4.2.4: up to 15 digits, or up to 12 with one to three behind a point.
bool StructuredReader::number(StructuredItem& out) noexcept {
  const std::string_view begin = rest_;
  const bool is_negative = take('-');
  size_t digits = 0;
  int64_t value = 0;
  while (digits < rest_.size() && digits < 16 && is_digit(rest_[digits])) {
    value = value * 10 + (rest_[digits++] - '0');
  }
  if (digits == 0 || digits > 15) return false;
  rest_.remove_prefix(digits);
  out.kind = StructuredItem::Kind::integer;
  out.integer = is_negative ? -value : value;
  out.text = begin.substr(0, begin.size() - rest_.size());
  if (!take('.')) return true;
  size_t decimals = 0;
  while (decimals < rest_.size() && is_digit(rest_[decimals])) ++decimals;
  rest_.remove_prefix(decimals);
  out.kind = StructuredItem::Kind::decimal;
  return digits <= 12 && decimals >= 1 && decimals <= 3;
}

// Section 4.2.5.
bool StructuredReader::string(StructuredItem& out) noexcept {
  out.kind = StructuredItem::Kind::string;
  for (size_t at = 1; at < rest_.size(); ++at) {
    const char c = rest_[at];
    if (c == '"') {
      out.text = rest_.substr(1, at - 1);
      rest_.remove_prefix(at + 1);
      return true;
    }
    if (c == '\\') {
      if (++at == rest_.size() || (rest_[at] != '"' && rest_[at] != '\\')) return false;
    } else if (!is_printable(c)) {
      return false;
    }
  }
  return false;
}

// Section 4.2.6.
bool StructuredReader::token(StructuredItem& out) noexcept {
  size_t size = 1;
  while (size < rest_.size() && is_token_char(rest_[size])) ++size;
  out.kind = StructuredItem::Kind::token;
  out.text = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return true;
}

// Section 4.2.7, behind the first colon.
bool StructuredReader::bytes() noexcept {
  size_t size = 0;
  while (size < rest_.size() && is_base64_char(rest_[size])) ++size;
  rest_.remove_prefix(size);
  return take(':');
}

// Section 4.2.8, behind the question mark.
bool StructuredReader::boolean(StructuredItem& out) noexcept {
  out.kind = StructuredItem::Kind::boolean;
  out.integer = take('1') ? 1 : 0;
  return out.integer == 1 || take('0');
}

// Section 4.2.10, behind the per cent sign. That the bytes are UTF-8 is not asked: no field that
// sluice reads has such a member, so nobody sees them.
bool StructuredReader::display_string() noexcept {
  if (!take('"')) return false;
  while (!rest_.empty()) {
    if (take('"')) return true;
    const bool is_escape = rest_.front() == '%';
    if (!is_printable(rest_.front())) return false;
    if (is_escape && (rest_.size() < 3 || !is_lower_hex(rest_[1]) || !is_lower_hex(rest_[2]))) {
      return false;
    }
    rest_.remove_prefix(is_escape ? 3 : 1);
  }
  return false;
}

bool StructuredReader::take(char wanted) noexcept {
  if (!rest_.starts_with(wanted)) return false;
  rest_.remove_prefix(1);
  return true;
}

size_t StructuredReader::skip_white(std::string_view white) noexcept {
  const size_t first = rest_.find_first_not_of(white);
  const size_t size = first == std::string_view::npos ? rest_.size() : first;
  rest_.remove_prefix(size);
  return size;
}

std::string_view unescape(std::string_view string, Arena& arena) noexcept {
  if (string.find('\\') == std::string_view::npos) return string;
  char* const out = arena.allocate_array<char>(string.size());
  size_t size = 0;
  for (size_t at = 0; at < string.size(); ++at) {
    if (string[at] == '\\' && at + 1 < string.size()) ++at;
    out[size++] = string[at];
  }
  return {out, size};
}

namespace {

// Calls f(text) for each member; false when the field is no List of Strings.
template <typename F>
bool for_each_string(const FieldList& fields, std::string_view name, F&& f) noexcept {
  for (const Field& field : fields) {
    if (!equals_ignore_case(field.name, name)) continue;
    StructuredReader reader(field.value);
    StructuredItem item;
    while (reader.next(item)) {
      if (item.kind != StructuredItem::Kind::string) return false;
      f(item.text);
    }
    if (reader.has_failed()) return false;
  }
  return true;
}

}  // namespace

std::optional<std::span<const std::string_view>> parse_string_list(const FieldList& fields,
                                                                   std::string_view name,
                                                                   Arena& arena) noexcept {
  size_t count = 0;
  if (!for_each_string(fields, name, [&](std::string_view) { ++count; })) return std::nullopt;
  auto* const strings = arena.allocate_array<std::string_view>(count);
  size_t at = 0;
  for_each_string(fields, name,
                  [&](std::string_view text) { strings[at++] = unescape(text, arena); });
  return std::span<const std::string_view>(strings, count);
}

}  // namespace sluice::http
