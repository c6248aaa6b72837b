// Scalars that stand for numbers, words and texts. Those that stand for addresses and matches are
// in values_address.cc.
#include "sluice/config/values.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "sluice/config/redis_url.h"

namespace sluice::config {

namespace {

constexpr size_t kShownBytes = 60;

template <typename T>
T& as(void* value) {
  return *static_cast<T*>(value);
}
template <typename T>
const T& as(const void* value) {
  return *static_cast<const T*>(value);
}

// Numbers.

using Parse = std::optional<uint64_t> (*)(std::string_view);

struct Alias {
  std::string_view written;
  std::string_view meant;
};
constexpr Alias kUnitAliases[] = {
    {"sec", "s"},     {"secs", "s"},  {"second", "s"}, {"seconds", "s"}, {"S", "s"},
    {"min", "m"},     {"mins", "m"},  {"minute", "m"}, {"minutes", "m"}, {"hr", "h"},
    {"hour", "h"},    {"hours", "h"}, {"day", "d"},    {"days", "d"},    {"msec", "ms"},
    {"millis", "ms"}, {"usec", "us"}, {"k", "KiB"},    {"K", "KiB"},     {"kb", "KB"},
    {"kB", "KB"},     {"kib", "KiB"}, {"Ki", "KiB"},   {"m", "MiB"},     {"M", "MiB"},
    {"mb", "MB"},     {"Mb", "MB"},   {"mib", "MiB"},  {"Mi", "MiB"},    {"g", "GiB"},
    {"G", "GiB"},     {"gb", "GB"},   {"Gb", "GB"},    {"gib", "GiB"},   {"Gi", "GiB"},
    {"b", "B"},
};

// What somebody who wrote another unit, or none, will have meant.
std::string unit_hint(std::string_view text, Parse parse, std::string_view plain_unit) {
  size_t digits = 0;
  while (digits < text.size() && is_digit(text[digits])) ++digits;
  if (digits == 0) return {};
  const std::string number(text.substr(0, digits));
  const std::string_view unit = trim(text.substr(digits));
  const auto meant = [&](std::string_view with) -> std::string {
    const std::string fixed = number + std::string(with);
    return parse(fixed) ? "did you mean \"" + fixed + "\"?" : std::string();
  };
  if (unit.empty()) return meant(plain_unit);
  if (std::string hint = meant(unit); !hint.empty()) return hint;  // "5 s"
  for (const Alias& alias : kUnitAliases) {
    if (alias.written != unit) continue;
    if (std::string hint = meant(alias.meant); !hint.empty()) return hint;
  }
  return {};
}

std::string details(std::string_view units, const Row& row) {
  const std::string range = range_text(row);
  std::string text = units.empty() ? std::string() : "units: " + std::string(units);
  if (!text.empty() && !range.empty()) text += "; ";
  return text + range;
}

struct NumberKind {
  std::string_view noun;
  std::string_view units;
  std::string_view plain_unit;
  Parse parse;
};

Fault number_fault(const NumberKind& kind, std::string_view text, const Row& row) {
  const bool bare = parse_decimal(text).has_value();
  const std::string about = details(kind.units, row);
  Fault fault;
  fault.code = bare ? "missing_unit" : "bad_value";
  fault.message = quoted(text) + (bare ? " has no unit" : " is not " + std::string(kind.noun)) +
                  (about.empty() ? "" : " (" + about + ")");
  if (!kind.units.empty()) fault.hint = unit_hint(text, kind.parse, kind.plain_unit);
  return fault;
}

Fault read_number(const NumberKind& kind, const Row& row, std::string_view text, uint64_t* out) {
  for (const Choice& choice : row.choices) {
    if (text != choice.word) continue;
    *out = choice.value;
    return {};
  }
  if (row.range.zero_is_off && (text == "off" || text == "0")) {
    *out = 0;
    return {};
  }
  const std::optional<uint64_t> value = kind.parse(text);
  if (!value) return number_fault(kind, text, row);
  const bool in_range = *value >= row.range.from && *value <= row.range.to;
  if (!in_range && !(*value == 0 && row.range.zero_is_off)) {
    return {
        "out_of_range", quoted(text) + " is out of range (" + details(kind.units, row) + ")", {}};
  }
  *out = *value;
  return {};
}

std::string write_number(const Row& row, uint64_t value, std::string text) {
  for (const Choice& choice : row.choices) {
    if (choice.value == value) return std::string(choice.word);
  }
  return text;
}

std::string bound_duration(uint64_t ns) {
  return format_duration(Duration(static_cast<int64_t>(ns)));
}
std::string bound_size(uint64_t bytes) { return format_size(bytes); }
std::string bound_share(uint64_t percent) { return std::to_string(percent) + "%"; }

std::optional<uint64_t> duration_ns(std::string_view text) {
  const std::optional<Duration> duration = parse_duration(text);
  if (!duration) return std::nullopt;
  return static_cast<uint64_t>(duration->count());
}
std::optional<uint64_t> size_bytes(std::string_view text) { return parse_size(text); }
std::optional<uint64_t> count(std::string_view text) { return parse_decimal(text); }

constexpr NumberKind kDurationKind{"a duration", kDurationUnits, "s", duration_ns};
constexpr NumberKind kSizeKind{"a size", kSizeUnits, "KiB", size_bytes};
constexpr NumberKind kCountKind{"a whole number", {}, {}, count};

Fault read_duration(const ReadContext& context, std::string_view text, void* value) {
  auto ns = static_cast<uint64_t>(as<Duration>(value).count());
  Fault fault = read_number(kDurationKind, context.row, text, &ns);
  if (!fault) as<Duration>(value) = Duration(static_cast<int64_t>(ns));
  return fault;
}
std::optional<std::string> write_duration(const Row&, const void* value) {
  return format_duration(as<Duration>(value));
}

Fault read_size(const ReadContext& context, std::string_view text, void* value) {
  return read_number(kSizeKind, context.row, text, &as<uint64_t>(value));
}
std::optional<std::string> write_size(const Row&, const void* value) {
  return format_size(as<uint64_t>(value));
}

template <typename T>
Fault read_count(const ReadContext& context, std::string_view text, void* value) {
  uint64_t number = as<T>(value);
  Fault fault = read_number(kCountKind, context.row, text, &number);
  if (!fault) as<T>(value) = static_cast<T>(number);
  return fault;
}
template <typename T>
std::optional<std::string> write_count(const Row& row, const void* value) {
  return write_number(row, as<T>(value), std::to_string(as<T>(value)));
}

// "20%", with decimals where somebody wants them.
std::optional<double> percent(std::string_view text) {
  if (!text.ends_with('%')) return std::nullopt;
  text.remove_suffix(1);
  double value = 0;
  auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error != std::errc() || end != text.data() + text.size() || !(value >= 0))
    return std::nullopt;
  return value;
}

Fault read_share(const ReadContext& context, std::string_view text, void* value) {
  const Range& range = context.row.range;
  if (range.zero_is_off && (text == "off" || text == "0")) {
    as<double>(value) = 0;
    return {};
  }
  const std::optional<double> given = percent(text);
  if (!given) {
    const std::string with_sign = std::string(text) + "%";
    return {"bad_value",
            quoted(text) + " is not a share in percent (" + range_text(context.row) + ")",
            percent(with_sign) ? "did you mean \"" + with_sign + "\"?" : std::string()};
  }
  if (*given < static_cast<double>(range.from) || *given > static_cast<double>(range.to)) {
    return {
        "out_of_range", quoted(text) + " is out of range (" + range_text(context.row) + ")", {}};
  }
  as<double>(value) = *given / 100;
  return {};
}
std::optional<std::string> write_share(const Row&, const void* value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.10g%%", as<double>(value) * 100);
  return text;
}

Fault read_percent(const ReadContext& context, std::string_view text, void* value) {
  double share = 0;
  if (Fault fault = read_share(context, text, &share)) return fault;
  const double given = percent(text).value_or(0);
  if (given != std::floor(given)) return bad_value(text, "a whole number of percent");
  as<uint8_t>(value) = static_cast<uint8_t>(given);
  return {};
}
std::optional<std::string> write_percent(const Row&, const void* value) {
  return bound_share(as<uint8_t>(value));
}

// Words.

Fault word_fault(std::string_view text, std::span<const Choice> choices,
                 std::string_view more = {}) {
  std::vector<std::string_view> words;
  for (const Choice& choice : choices) words.push_back(choice.word);
  const std::optional<std::string_view> near = nearest(text, words);
  return {"bad_value",
          quoted(text) + " is not one of " + choices_text(choices) + std::string(more) +
              (near ? "; did you mean \"" + std::string(*near) + "\"?" : ""),
          {}};
}

template <typename T>
Fault read_word(const ReadContext& context, std::string_view text, void* value) {
  for (const Choice& choice : context.row.choices) {
    if (text != choice.word) continue;
    as<T>(value) = static_cast<T>(choice.value);
    return {};
  }
  return word_fault(text, context.row.choices);
}
template <typename T>
std::optional<std::string> write_word(const Row& row, const void* value) {
  return write_number(row, as<T>(value), "?");
}

Fault read_balance(const ReadContext& context, std::string_view text, void* value) {
  for (const Choice& choice : context.row.choices) {
    if (text != choice.word) continue;
    as<Balance>(value).kind = static_cast<Balance::Kind>(choice.value);
    return {};
  }
  Fault fault = word_fault(text, context.row.choices, " or {consistent_hash: {by: ...}}");
  if (text == "consistent_hash") {
    fault.message = quoted(text) + " needs to know what to hash";
    fault.hint = "write {consistent_hash: {by: path}}; also by: client, \"header:N\", \"cookie:N\"";
  }
  return fault;
}
std::optional<std::string> write_balance(const Row& row, const void* value) {
  const Balance& balance = as<Balance>(value);
  if (balance.kind == Balance::Kind::kConsistentHash) return std::nullopt;
  return write_number(row, static_cast<uint64_t>(balance.kind), "?");
}

Fault read_bool(const ReadContext&, std::string_view text, void* value) {
  if (text == "true" || text == "false") {
    as<bool>(value) = text == "true";
    return {};
  }
  const std::string small = lower(text);
  std::string_view meant;
  if (small == "yes" || small == "on" || small == "true" || small == "1") meant = "true";
  if (small == "no" || small == "off" || small == "false" || small == "0") meant = "false";
  return bad_value(text, "true or false",
                   meant.empty() ? "" : "did you mean \"" + std::string(meant) + "\"?");
}
std::optional<std::string> write_bool(const Row&, const void* value) {
  return as<bool>(value) ? "true" : "false";
}

// Texts.

Fault read_text(const ReadContext& context, std::string_view text, void* value) {
  const auto check = context.row.type->check;
  Fault fault = check == nullptr ? Fault{} : check(text);
  if (!fault) as<std::string>(value) = std::string(text);
  return fault;
}
std::optional<std::string> write_text(const Row&, const void* value) {
  const std::string& text = as<std::string>(value);
  return text.empty() ? std::nullopt : std::optional(text);
}
std::optional<std::string> write_free_text(const Row&, const void* value) {
  return as<std::string>(value);
}

bool is_control(char c) { return (c >= 0 && c < ' ') || c == 0x7f; }

// RFC 9110 section 5.6.2.
bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

Fault check_token(std::string_view text) {
  return is_token(text) ? Fault{} : bad_value(text, "a token (letters, digits, !#$%&'*+-.^_`|~)");
}

Fault check_plain_text(std::string_view text) {
  return std::ranges::any_of(text, is_control)
             ? bad_value(text, "a text of one line without control characters")
             : Fault{};
}

Fault check_endpoint_name(std::string_view text) {
  const bool plain =
      std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f && c != '"'; });
  return plain && text.size() <= 255
             ? Fault{}
             : bad_value(text, "a name of visible ASCII characters, at most 255");
}

// RFC 9110 section 5.5; what surrounds a value is no part of it.
Fault check_field_value(std::string_view text) {
  const bool control = std::ranges::any_of(text, [](char c) { return is_control(c) && c != '\t'; });
  return control || trim(text) != text
             ? bad_value(text, "a field value (no control characters, no space around it)")
             : Fault{};
}

Fault check_authority(std::string_view text) {
  const bool plain = std::ranges::all_of(text, [](char c) {
    return c > ' ' && c < 0x7f && std::string_view("/?#@\"\\").find(c) == std::string_view::npos;
  });
  return plain ? Fault{}
               : bad_value(text, "a Host field: a name or address, with a port if need be");
}

Fault check_target(std::string_view text) {
  const bool plain =
      std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f && c != '#'; });
  if (!text.starts_with('/')) return bad_value(text, "a path: it has to start with /");
  return plain ? Fault{} : bad_value(text, "a path as sent: no spaces, # or control characters");
}

Fault check_location(std::string_view text) {
  const bool plain = std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
  if (!plain) return bad_value(text, "a Location as sent: no spaces or control characters");
  const bool known =
      text.starts_with('/') || text.starts_with("http://") || text.starts_with("https://");
  return known ? Fault{} : bad_value(text, "a Location: /path, http://... or https://...");
}

std::string in_folder(const ReadContext& context, std::string_view path) {
  return (path.starts_with('/') ? std::string() : std::string(context.folder)) + std::string(path);
}

Fault read_file(const ReadContext& context, std::string_view text, void* value) {
  Fault fault = check_plain_text(text);
  if (!fault) as<std::string>(value) = in_folder(context, text);
  return fault;
}

Fault read_log_target(const ReadContext& context, std::string_view text, void* value) {
  if (text != "stdout" && text != "stderr") return read_file(context, text, value);
  as<std::string>(value) = std::string(text);
  return {};
}

std::optional<std::string> write_secret_url(const Row&, const void* value) {
  const std::string& text = as<std::string>(value);
  return text.empty() ? std::nullopt : std::optional(masked(text));
}

std::optional<std::string> write_secret(const Row&, const void* value) {
  return as<std::string>(value).empty() ? std::nullopt : std::optional<std::string>("***");
}

constexpr ValueType text_type(std::string_view noun, Fault (*check)(std::string_view),
                              std::string_view pattern = {}) {
  return {noun, read_text, write_text, nullptr, check, "string", pattern};
}

}  // namespace

// Entry points.

const ValueType kDurationValue{"a duration",
                               read_duration,
                               write_duration,
                               bound_duration,
                               nullptr,
                               "string",
                               "^([0-9]+(us|ms|s|m|h|d)|0|off)$"};
const ValueType kSizeValue{"a size",
                           read_size,
                           write_size,
                           bound_size,
                           nullptr,
                           "string",
                           "^([0-9]+(B|KiB|MiB|GiB|KB|MB|GB)|0|off)$"};
const ValueType kCountValue{
    "a whole number", read_count<uint32_t>, write_count<uint32_t>, nullptr, nullptr, "integer"};
const ValueType kStatusValue{
    "a status", read_count<uint16_t>, write_count<uint16_t>, nullptr, nullptr, "integer"};
const ValueType kShareValue{
    "a share in percent",   read_share, write_share, bound_share, nullptr, "string",
    "^[0-9]+(\\.[0-9]+)?%$"};
const ValueType kPercentValue{
    "a share in percent", read_percent, write_percent, bound_share, nullptr, "string", "^[0-9]+%$"};
const ValueType kWordValue{"a word", read_word<uint8_t>, write_word<uint8_t>};
const ValueType kStatusWordValue{
    "a status", read_word<uint16_t>, write_word<uint16_t>, nullptr, nullptr, "integer"};
const ValueType kBalanceValue{"a word", read_balance, write_balance};
const ValueType kBoolValue{"true or false", read_bool, write_bool, nullptr, nullptr, "boolean"};
const ValueType kTextValue = text_type("a text", check_plain_text);
const ValueType kFreeTextValue{"a text", read_text, write_free_text, nullptr, nullptr, "string",
                               {},       true};
const ValueType kNameValue = text_type("a name", check_name, "^[A-Za-z0-9._-]{1,64}$");
const ValueType kEndpointNameValue = text_type("a name", check_endpoint_name);
const ValueType kTokenValue = text_type("a token", check_token);
const ValueType kFieldNameValue = text_type("a field name", check_edited_field);
const ValueType kFieldValueValue{
    "a field value", read_text, write_free_text, nullptr, check_field_value, "string", {}, true};
const ValueType kPathValue = text_type("a path", check_target, "^/");
const ValueType kAuthorityValue = text_type("a Host field", check_authority);
const ValueType kLocationValue = text_type("a Location", check_location);
const ValueType kFileValue{"a file", read_file, write_text};
const ValueType kLogTargetValue{"stdout, stderr or a file", read_log_target, write_text};
const ValueType kRedisUrlValue{"a Redis URL", read_text, write_secret_url, nullptr,
                               check_redis_url};
const ValueType kSecretValue{"a text", read_text, write_secret};

Fault check_name(std::string_view text) {
  const bool plain = std::ranges::all_of(text, [](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
           c == '_' || c == '-';
  });
  return plain && !text.empty() && text.size() <= 64
             ? Fault{}
             : bad_value(text, "a name (1 to 64 of A-Z, a-z, 0-9, \".\", \"_\", \"-\")");
}

Fault check_field_name(std::string_view text) {
  return is_token(text) ? Fault{} : bad_value(text, "a field name");
}

Fault check_edited_field(std::string_view text) {
  if (Fault fault = check_field_name(text)) return fault;
  static constexpr std::string_view kFraming[] = {
      "connection", "content-length", "keep-alive",        "proxy-connection",
      "te",         "trailer",        "transfer-encoding", "upgrade"};
  if (std::ranges::find(kFraming, lower(text)) == std::end(kFraming)) return {};
  return {"bad_value", std::string(text) + " cannot be edited: sluice frames messages itself", {}};
}

Fault bad_value(std::string_view text, std::string_view what, std::string hint) {
  return {"bad_value", quoted(text) + " is not " + std::string(what), std::move(hint)};
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text.substr(0, kShownBytes)) out += is_control(c) ? '?' : c;
  return out + (text.size() > kShownBytes ? "...\"" : "\"");
}

}  // namespace sluice::config
