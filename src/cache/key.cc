#include "sluice/cache/key.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "sluice/base/strings.h"
#include "sluice/http/chars.h"
#include "sluice/http/uri.h"

namespace sluice::cache {
namespace {

constexpr std::string_view kMethod = "GET ";

// What may stand in the name of a host (RFC 3986 section 3.2.2), in lower case; 0 for all else.
constexpr std::array<char, 256> make_reg_name_table() noexcept {
  std::array<char, 256> table{};
  for (size_t i = 0; i < table.size(); ++i) {
    const char c = static_cast<char>(i);
    if (http::is_char(c, http::kCharRegName)) table[i] = to_lower(c);
  }
  return table;
}
constexpr std::array<char, 256> kRegName = make_reg_name_table();

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
  // In lower case, if nothing but what may stand in the name of a host is in it; else nothing is
  // written. Needs a place to write to.
  bool put_reg_name(std::string_view text) noexcept {
    char* at = out_ + size_;
    for (char c : text) {
      const char lower = kRegName[static_cast<uint8_t>(c)];
      if (lower == 0) return false;
      *at++ = lower;
    }
    size_ += text.size();
    return true;
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
void put_odd_host(std::string_view host, TextWriter& out) noexcept {
  constexpr std::string_view hex = "0123456789ABCDEF";
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

void put_host(std::string_view host, TextWriter& out) noexcept {
  if (!out.put_reg_name(host)) put_odd_host(host, out);
}

size_t most_of_origin(const KeyUrl& url) noexcept { return 16 + 3 * url.authority.size(); }

// "scheme://host:port"
void put_origin(const KeyUrl& url, TextWriter& out) noexcept {
  const http::Authority authority = http::split_authority(url.authority);
  const bool is_tls = url.scheme == "https";
  if (is_tls) {
    out.put("https://");
  } else {
    out.put("http://");
  }
  put_host(authority.host, out);
  out.put(':');
  if (authority.port.empty()) {
    out.put(is_tls ? "443" : "80");
  } else {
    put_host(authority.port, out);
  }
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

// "GET 4711 " is written last, when the URL's length is known, and in front of it.
constexpr size_t kMostPrefix = kMethod.size() + sizeof("18446744073709551615");

// `put_url` and `put_extras` write at most as many bytes as are given with them.
struct KeySizes {
  size_t most_url, extras;
};

template <typename Url, typename Extras>
Key write_key(const KeySizes& sizes, const HashSecret& secret, Arena& arena, Url&& put_url,
              Extras&& put_extras) {
  const size_t most = sizes.most_url + sizes.extras;
  char* const url = arena.allocate_array<char>(kMostPrefix + most) + kMostPrefix;
  TextWriter out(url);
  put_url(out);
  Key key;
  key.url = {url, out.size()};
  if (sizes.extras > 0) put_extras(out);
  SL_CHECK(out.size() <= most);

  char prefix[kMostPrefix];
  size_t size = kMethod.copy(prefix, kMethod.size());
  size += write_decimal(prefix + size, key.url.size());
  prefix[size++] = ' ';
  char* const text = url - size;
  std::memcpy(text, prefix, size);
  key.text = {text, size + out.size()};
  key.hash = hash128(key.text, secret);
  return key;
}

}  // namespace

std::optional<Key> make_key(const KeyUrl& url, const http::FieldList& fields, const KeyRule& rule,
                            const HashSecret& secret, Arena& arena) {
  if (!url.target.starts_with('/')) return std::nullopt;
  TextWriter measure;
  put_extras(fields, rule, measure);
  const std::string_view target = target_for(url.target, rule, arena);
  return write_key(
      {most_of_origin(url) + target.size(), measure.size()}, secret, arena,
      [&](TextWriter& out) {
        put_origin(url, out);
        out.put(target);
      },
      [&](TextWriter& out) { put_extras(fields, rule, out); });
}

Key key_of_url(std::string_view url, const HashSecret& secret, Arena& arena) {
  return write_key(
      {url.size(), 0}, secret, arena, [&](TextWriter& out) { out.put(url); }, [](TextWriter&) {});
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
  const std::string_view kept = target_for(target, rule, arena);
  return write_text(arena, most_of_origin(taken) + kept.size(), [&](TextWriter& out) {
    put_origin(taken, out);
    out.put(kept);
  });
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
