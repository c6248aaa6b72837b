#include "sluice/cache/key.h"

#include <algorithm>
#include <cstring>
#include <span>

#include "sluice/base/strings.h"
#include "sluice/http/chars.h"
#include "sluice/http/uri.h"

namespace sluice::cache {
namespace {

constexpr std::string_view kMethod = "GET ";

// Writes text; without a place to write to, measures it.
class TextWriter {
 public:
  TextWriter() noexcept = default;
  explicit TextWriter(char* out) noexcept : out_(out) {}

  void put(std::string_view bytes) noexcept {
    if (out_ != nullptr && !bytes.empty()) std::memcpy(out_ + size_, bytes.data(), bytes.size());
    size_ += bytes.size();
  }
  void put(char byte) noexcept {
    if (out_ != nullptr) out_[size_] = byte;
    ++size_;
  }
  // Needs a place to write to.
  void put_lower(std::string_view text) noexcept {
    char* at = out_ + size_;
    for (char c : text) *at++ = to_lower(c);
    size_ += text.size();
  }
  void put_number(uint64_t number) noexcept {
    char digits[20];
    put({digits, write_decimal(digits, number)});
  }
  // "<length>:<bytes>"
  void put_counted(std::string_view bytes) noexcept {
    put_number(bytes.size());
    put(':');
    put(bytes);
  }
  size_t size() const noexcept { return size_; }

 private:
  char* out_ = nullptr;
  size_t size_ = 0;
};

// `most` bounds what will be written.
template <typename F>
std::string_view write_text(Arena& arena, size_t most, F&& write) noexcept {
  char* text = arena.allocate_array<char>(most);
  TextWriter out(text);
  write(out);
  SL_CHECK(out.size() <= most);
  return {text, out.size()};
}

// Query ---------------------------------------------------------------------------------------

struct Parameter {
  std::string_view text;  // as it came
  std::string_view name;  // up to "="
};

bool matches(std::string_view pattern, std::string_view name) noexcept {
  if (!pattern.ends_with('*')) return pattern == name;
  return name.starts_with(pattern.substr(0, pattern.size() - 1));
}
bool matches_any(const std::vector<std::string>& patterns, std::string_view name) noexcept {
  return std::any_of(patterns.begin(), patterns.end(),
                     [name](const std::string& pattern) { return matches(pattern, name); });
}

// Whatever the case, which some endpoints do not heed.
bool resembles_any(const std::vector<std::string>& patterns, std::string_view name) noexcept {
  return std::any_of(patterns.begin(), patterns.end(), [name](std::string_view pattern) {
    const bool is_prefix = pattern.ends_with('*');
    if (is_prefix) pattern.remove_suffix(1);
    return equals_ignore_case(pattern, is_prefix ? name.substr(0, pattern.size()) : name);
  });
}

// A name that everybody reads alike: some cut others at a NUL, drop spaces, or put "_" in place of
// dots.
bool is_plain(std::string_view name) noexcept {
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return http::is_char(c, http::kCharRequestId) && c != '.'; });
}

// The name as endpoints may read it: decoded, "+" as space, without "[...]".
std::string_view read_name(std::string_view name, Arena& arena) noexcept {
  char* out = arena.allocate_array<char>(name.size());
  size_t size = 0;
  for (size_t i = 0; i < name.size(); ++i) {
    char c = name[i] == '+' ? ' ' : name[i];
    if (c == '%' && i + 2 < name.size() && hex_value(name[i + 1]) >= 0 &&
        hex_value(name[i + 2]) >= 0) {
      c = static_cast<char>(hex_value(name[i + 1]) << 4 | hex_value(name[i + 2]));
      i += 2;
    }
    out[size++] = c;
  }
  const std::string_view read(out, size);
  return read.substr(0, read.find('['));
}

bool is_kept(const Parameter& parameter, const KeyRule& rule, Arena& arena) noexcept {
  if (parameter.text.find(';') != std::string_view::npos) return true;
  switch (rule.query) {
    case KeyRule::Query::all:
      return true;
    case KeyRule::Query::only: {
      // In doubt it is kept: an endpoint may take it for one of the names.
      const std::string_view name = read_name(parameter.name, arena);
      return !is_plain(name) || resembles_any(rule.parameters, name) ||
             matches_any(rule.parameters, parameter.name);
    }
    case KeyRule::Query::without:
      return !matches_any(rule.parameters, parameter.name);
  }
  return true;
}

std::span<Parameter> parameters_of(std::string_view query, const KeyRule& rule,
                                   Arena& arena) noexcept {
  const auto most = static_cast<size_t>(std::count(query.begin(), query.end(), '&')) + 1;
  auto* parameters = arena.allocate_array<Parameter>(most);
  size_t count = 0;
  while (!query.empty()) {
    const size_t end = std::min(query.find('&'), query.size());
    const std::string_view text = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    const Parameter parameter{text, text.substr(0, text.find('='))};
    if (!text.empty() && is_kept(parameter, rule, arena)) parameters[count++] = parameter;
  }
  return {parameters, count};
}

// The target with the query that the rule leaves of it; itself where the rule says nothing.
std::string_view target_for(std::string_view target, const KeyRule& rule, Arena& arena) noexcept {
  const size_t mark = target.find('?');
  if (mark == std::string_view::npos) return target;
  if (rule.query == KeyRule::Query::all && !rule.sort) return target;
  const std::span<Parameter> kept = parameters_of(target.substr(mark + 1), rule, arena);
  if (rule.sort) {
    // Equal names by their place, as stable_sort would, which allocates.
    std::sort(kept.begin(), kept.end(), [](const Parameter& a, const Parameter& b) {
      const int order = a.name.compare(b.name);
      return order != 0 ? order < 0 : a.text.data() < b.text.data();
    });
  }
  return write_text(arena, target.size(), [&](TextWriter& out) {
    out.put(target.substr(0, mark));
    char separator = '?';
    for (const Parameter& parameter : kept) {
      out.put(separator);
      out.put(parameter.text);
      separator = '&';
    }
  });
}

// URL -----------------------------------------------------------------------------------------

// Nothing of a host but what may stand in one stays as it is: so no host can imitate a port or a
// path.
void put_host(std::string_view host, TextWriter& out) noexcept {
  constexpr std::string_view hex = "0123456789ABCDEF";
  if (http::is_all(host, http::kCharRegName)) return out.put_lower(host);
  const bool is_ip6 = host.size() > 2 && host.front() == '[' && host.back() == ']';
  for (size_t i = 0; i < host.size(); ++i) {
    const char c = host[i];
    const bool is_bracket = is_ip6 && (i == 0 || i + 1 == host.size());
    if (http::is_char(c, http::kCharRegName) || is_bracket || (is_ip6 && c == ':')) {
      out.put(to_lower(c));
      continue;
    }
    const auto byte = static_cast<uint8_t>(c);
    out.put('%');
    out.put(hex[byte >> 4]);
    out.put(hex[byte & 15]);
  }
}

// "scheme://host:port"
std::string_view origin_of(const KeyUrl& url, Arena& arena) noexcept {
  const http::Authority authority = http::split_authority(url.authority);
  const bool is_tls = url.scheme == "https";
  return write_text(arena, 16 + 3 * url.authority.size(), [&](TextWriter& out) {
    out.put(is_tls ? "https://" : "http://");
    put_host(authority.host, out);
    out.put(':');
    if (authority.port.empty()) {
      out.put(is_tls ? "443" : "80");
    } else {
      put_host(authority.port, out);
    }
  });
}

std::string_view join(std::string_view a, std::string_view b, Arena& arena) noexcept {
  return write_text(arena, a.size() + b.size(), [&](TextWriter& out) {
    out.put(a);
    out.put(b);
  });
}

// Extras --------------------------------------------------------------------------------------

// Calls f(value) for each field of that name, lower case.
template <typename F>
void for_each_value(const http::FieldList& fields, std::string_view name, F&& f) {
  for (const http::Field& field : fields) {
    if (equals_ignore_case(field.name, name)) f(field.value);
  }
}

// Calls f(value) for each cookie of that name (RFC 6265 section 4.2); many endpoints allow space
// around it.
template <typename F>
void for_each_cookie(const http::FieldList& fields, std::string_view name, F&& f) {
  if (!fields.has(http::FieldId::kCookie)) return;
  for (const http::Field& field : fields) {
    if (field.id != http::FieldId::kCookie) continue;
    for (std::string_view rest = field.value; !rest.empty();) {
      const size_t end = std::min(rest.find(';'), rest.size());
      const std::string_view pair = trim(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
      const size_t equals = pair.find('=');
      if (equals != std::string_view::npos && trim(pair.substr(0, equals)) == name) {
        f(pair.substr(equals + 1));
      }
    }
  }
}

// One part: its mark, the name, how many values, the values. Nothing when there is none.
template <typename F>
void put_part(char mark, std::string_view name, F&& for_each, TextWriter& out) {
  size_t count = 0;
  for_each([&count](std::string_view) { ++count; });
  if (count == 0) return;
  out.put(mark);
  out.put_counted(name);
  out.put(' ');
  out.put_number(count);
  for_each([&out](std::string_view value) {
    out.put(' ');
    out.put_counted(value);
  });
}

void put_extras(const http::FieldList& fields, const KeyRule& rule, TextWriter& out) {
  for (const std::string& name : rule.fields) {
    put_part(
        'h', name, [&](auto&& f) { for_each_value(fields, name, f); }, out);
  }
  for (const std::string& name : rule.cookies) {
    put_part(
        'c', name, [&](auto&& f) { for_each_cookie(fields, name, f); }, out);
  }
  if (rule.space.empty()) return;
  out.put('s');
  out.put_counted(rule.space);
}

struct KeyPieces {
  std::string_view origin, target;
  size_t extras;  // how many bytes put_extras writes
};

template <typename F>
Key finish_key(const KeyPieces& pieces, const HashSecret& secret, Arena& arena, F&& put_extras) {
  Key key;
  const size_t url_size = pieces.origin.size() + pieces.target.size();
  const size_t most = kMethod.size() + sizeof("18446744073709551615 ") + url_size + pieces.extras;
  size_t url_at = 0;
  key.text = write_text(arena, most, [&](TextWriter& out) {
    out.put(kMethod);
    out.put_number(url_size);
    out.put(' ');
    url_at = out.size();
    out.put(pieces.origin);
    out.put(pieces.target);
    put_extras(out);
  });
  key.url = key.text.substr(url_at, url_size);
  key.hash = hash128(key.text, secret);
  return key;
}

}  // namespace

std::optional<Key> make_key(const KeyUrl& url, const http::FieldList& fields, const KeyRule& rule,
                            const HashSecret& secret, Arena& arena) {
  if (!url.target.starts_with('/')) return std::nullopt;
  TextWriter measure;
  put_extras(fields, rule, measure);
  const KeyPieces pieces{origin_of(url, arena), target_for(url.target, rule, arena),
                         measure.size()};
  return finish_key(pieces, secret, arena, [&](TextWriter& out) { put_extras(fields, rule, out); });
}

Key key_of_url(std::string_view url, const HashSecret& secret, Arena& arena) {
  return finish_key({url, {}, 0}, secret, arena, [](TextWriter&) {});
}

std::optional<std::string_view> canonical_url(std::string_view url, const KeyRule& rule,
                                              Arena& arena) {
  const auto parts = http::parse_absolute_form(url);
  if (!parts || !http::is_valid_host(parts->authority)) return std::nullopt;
  std::string_view target = parts->path_and_query;
  // RFC 3986 section 6.2.3: an empty path is "/"
  if (!target.starts_with('/')) target = join("/", target, arena);
  const bool is_tls = equals_ignore_case(parts->scheme, "https");
  const KeyUrl taken{is_tls ? "https" : "http", parts->authority, target};
  return join(origin_of(taken, arena), target_for(target, rule, arena), arena);
}

std::optional<std::string_view> url_of_key(std::string_view text) noexcept {
  if (!text.starts_with(kMethod)) return std::nullopt;
  text.remove_prefix(kMethod.size());
  const size_t space = text.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  const auto size = parse_decimal(text.substr(0, space));
  text.remove_prefix(space + 1);
  if (!size || *size > text.size()) return std::nullopt;
  return text.substr(0, *size);
}

}  // namespace sluice::cache
