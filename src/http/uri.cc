#include "sluice/http/uri.h"

#include <arpa/inet.h>

#include <cstring>

#include "sluice/base/strings.h"
#include "sluice/http/chars.h"

namespace sluice::http {
namespace {

bool is_escape(std::string_view text, size_t at) noexcept {
  return text.size() - at >= 3 && hex_value(text[at + 1]) >= 0 && hex_value(text[at + 2]) >= 0;
}

// RFC 3986 section 3.2.2: reg-name; IPv4 addresses are among them.
bool is_reg_name(std::string_view name) noexcept {
  if (is_all(name, kCharRegName)) return !name.empty();
  for (size_t i = 0; i < name.size(); ++i) {
    if (is_char(name[i], kCharRegName)) continue;
    if (name[i] != '%' || !is_escape(name, i)) return false;
    i += 2;
  }
  return !name.empty();
}

// Between the brackets. Zones and IPvFuture are refused: nobody routes on them.
bool is_ipv6(std::string_view text) noexcept {
  char copy[INET6_ADDRSTRLEN];
  if (text.empty() || text.size() >= sizeof(copy)) return false;
  text.copy(copy, text.size());
  copy[text.size()] = '\0';
  in6_addr address;
  return inet_pton(AF_INET6, copy, &address) == 1;
}

bool is_port(std::string_view port) noexcept {
  if (port.empty()) return true;  // RFC 3986 section 3.2.3: port = *DIGIT
  uint32_t number = 0;
  for (char c : port) {
    if (!is_digit(c) || port.size() > 5) return false;
    number = number * 10 + static_cast<uint32_t>(c - '0');
  }
  return number <= 65535;
}

}  // namespace

bool is_valid_host(std::string_view authority) noexcept {
  if (authority.empty()) return false;
  if (authority.front() != '[') {
    const size_t colon = authority.find(':');
    if (!is_reg_name(authority.substr(0, colon))) return false;
    return colon == std::string_view::npos || is_port(authority.substr(colon + 1));
  }
  const size_t close = authority.find(']');
  if (close == std::string_view::npos || !is_ipv6(authority.substr(1, close - 1))) return false;
  const std::string_view rest = authority.substr(close + 1);
  return rest.empty() || (rest.front() == ':' && is_port(rest.substr(1)));
}

Authority split_authority(std::string_view authority) noexcept {
  const bool is_literal = !authority.empty() && authority.front() == '[';
  const size_t bracket = is_literal ? authority.rfind(']') : std::string_view::npos;
  const size_t from = bracket == std::string_view::npos ? 0 : bracket;
  const size_t colon = authority.find(':', from);
  if (colon == std::string_view::npos) return {authority, {}};
  return {authority.substr(0, colon), authority.substr(colon + 1)};
}

std::optional<AbsoluteForm> parse_absolute_form(std::string_view target) noexcept {
  const size_t colon = target.find(':');
  if (colon == std::string_view::npos || target.substr(colon, 3) != "://") return std::nullopt;
  AbsoluteForm form;
  form.scheme = target.substr(0, colon);
  if (!equals_ignore_case(form.scheme, "http") && !equals_ignore_case(form.scheme, "https")) {
    return std::nullopt;
  }
  const std::string_view rest = target.substr(colon + 3);
  const size_t end = rest.find_first_of("/?");
  form.authority = rest.substr(0, end);
  if (end != std::string_view::npos) form.path_and_query = rest.substr(end);
  return form;
}

namespace {

bool may_change(std::string_view path) noexcept {
  for (size_t i = 0; i < path.size(); ++i) {
    if (!is_char(path[i], kCharPathMark)) continue;
    if (path[i] != '.' || (i > 0 && path[i - 1] == '/')) return true;
  }
  return false;
}

constexpr std::string_view kHex = "0123456789ABCDEF";

// RFC 3986 sections 6.2.2.1 and 6.2.2.2. Returns how many bytes `out` has, or npos.
size_t decode_unreserved(std::string_view path, char* out) noexcept {
  size_t size = 0;
  for (size_t i = 0; i < path.size(); ++i) {
    if (path[i] != '%') {
      out[size++] = path[i];
      continue;
    }
    if (!is_escape(path, i)) return std::string_view::npos;
    const int value = hex_value(path[i + 1]) * 16 + hex_value(path[i + 2]);
    i += 2;
    const char decoded = static_cast<char>(value);
    if (is_char(decoded, kCharUnreserved)) {
      out[size++] = decoded;
      continue;
    }
    out[size++] = '%';
    out[size++] = kHex[static_cast<size_t>(value) / 16];
    out[size++] = kHex[static_cast<size_t>(value) % 16];
  }
  return size;
}

// Whether an endpoint that decodes "%2F" or "%5C", or cuts parameters off a segment, would find "."
// or ".." in this one.
bool hides_dots(std::string_view segment) noexcept {
  for (size_t begin = 0; begin <= segment.size();) {
    size_t end = begin;
    while (end < segment.size() && segment.substr(end, 3) != "%2F" &&
           segment.substr(end, 3) != "%5C" && segment[end] != '\\') {
      ++end;
    }
    std::string_view piece = segment.substr(begin, end - begin);
    piece = piece.substr(0, piece.find(';'));
    if (piece == "." || piece == "..") return true;
    begin = end + (end < segment.size() && segment[end] == '%' ? 3 : 1);
  }
  return false;
}

// RFC 3986 section 5.2.4, in place, for a path that begins with "/"; how many bytes are left.
// Refused is what endpoints read in different ways, since routes may stand between the readings:
// ".." after an empty segment (some merge slashes first), and hidden dots.
Result<size_t> remove_dot_segments(char* path, size_t size) noexcept {
  size_t out = 0;
  for (size_t at = 0; at < size;) {
    size_t next = at + 1;  // path[at] is "/"
    while (next < size && path[next] != '/') ++next;
    const std::string_view segment(path + at + 1, next - at - 1);
    const bool is_last = next == size;
    if (segment == ".") {
      if (is_last) path[out++] = '/';
    } else if (segment == "..") {
      if (out == 0) return Error(Errc::kBadTarget, "a path above the root");
      if (path[out - 1] == '/') return Error(Errc::kBadTarget, "'..' after an empty segment");
      while (path[--out] != '/') {
      }
      if (is_last) path[out++] = '/';
    } else if (hides_dots(segment)) {
      return Error(Errc::kBadTarget, "a hidden dot segment");
    } else {
      std::memmove(path + out, path + at, next - at);
      out += next - at;
    }
    at = next;
  }
  return out;
}

}  // namespace

Result<std::string_view> normalise_path(std::string_view path, Arena& arena) {
  if (path.empty() || path.front() != '/' || !may_change(path)) return path;
  char* out = arena.allocate_array<char>(path.size());
  size_t size = decode_unreserved(path, out);
  if (size == std::string_view::npos)
    return Error(Errc::kBadTarget, "a malformed percent-encoding");
  SL_TRY(size, remove_dot_segments(out, size));
  const std::string_view normalised(out, size);
  return normalised == path ? path : normalised;
}

bool path_has_prefix(std::string_view path, std::string_view prefix) noexcept {
  if (!path.starts_with(prefix)) return false;
  if (prefix.empty() || prefix.back() == '/' || path.size() == prefix.size()) return true;
  return path[prefix.size()] == '/';
}

std::string_view strip_prefix(std::string_view path_and_query, std::string_view normalised_path,
                              std::string_view prefix, Arena& arena) {
  if (prefix.empty() || !path_has_prefix(normalised_path, prefix)) return path_and_query;
  const size_t question = path_and_query.find('?');
  const std::string_view path = path_and_query.substr(0, question);
  const std::string_view query =
      question == std::string_view::npos ? std::string_view() : path_and_query.substr(question);
  const size_t cut = prefix.back() == '/' ? prefix.size() - 1 : prefix.size();
  std::string_view rest = normalised_path.substr(cut);
  // "//host/" at the front would be read as an authority (RFC 3986 section 4.2).
  while (rest.starts_with("//")) rest.remove_prefix(1);
  if (normalised_path == path && !rest.empty()) {
    return path_and_query.substr(path.size() - rest.size());
  }
  if (rest.empty() && query.empty()) return "/";

  const size_t slash = rest.empty() ? 1 : 0;
  char* out = arena.allocate_array<char>(slash + rest.size() + query.size());
  out[0] = '/';
  rest.copy(out + slash, rest.size());
  query.copy(out + slash + rest.size(), query.size());
  return {out, slash + rest.size() + query.size()};
}

}  // namespace sluice::http
