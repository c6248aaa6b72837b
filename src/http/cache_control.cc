#include "sluice/http/cache_control.h"

#include <algorithm>

#include "sluice/base/strings.h"
#include "sluice/http/chars.h"
#include "sluice/http/structured.h"

namespace sluice::http {
namespace {

struct Directive {
  enum class Form : uint8_t { bare, valued, malformed };
  std::string_view name;
  std::string_view argument;  // without quotes, as it stands between them
  Form form = Form::bare;

  bool is(std::string_view wanted) const noexcept { return equals_ignore_case(name, wanted); }
  bool is_bare() const noexcept { return form == Form::bare; }
  // An argument that is no number of seconds makes the response stale (RFC 9111 section 4.2.1).
  Seconds delta_or_zero() const noexcept {
    if (form != Form::valued) return Seconds(0);
    return parse_delta_seconds(argument).value_or(Seconds(0));
  }
};

std::string_view take_token(std::string_view& rest) noexcept {
  size_t size = 0;
  while (size < rest.size() && is_char(rest[size], kCharToken)) ++size;
  const std::string_view token = rest.substr(0, size);
  rest.remove_prefix(size);
  return token;
}

// `rest` begins with a quote. False, and only the quote is gone, when there is no second one: what
// follows is then read on as directives, so that none which forbids is lost.
bool take_quoted(std::string_view& rest, std::string_view& text) noexcept {
  rest.remove_prefix(1);
  for (size_t at = 0; at < rest.size(); ++at) {
    if (rest[at] == '\\') {
      ++at;
    } else if (rest[at] == '"') {
      text = rest.substr(0, at);
      rest.remove_prefix(at + 1);
      return true;
    }
  }
  return false;
}

bool take_argument(std::string_view& rest, Directive& out) noexcept {
  out.form = Directive::Form::valued;
  if (rest.starts_with('"')) return take_quoted(rest, out.argument);
  out.argument = take_token(rest);
  return !out.argument.empty();
}

// RFC 9111 section 5.2: token [ "=" ( token / quoted-string ) ]; what else stands before the next
// comma makes it malformed.
Directive take_directive(std::string_view& rest) noexcept {
  Directive directive;
  directive.name = take_token(rest);
  bool is_good = !directive.name.empty();
  if (is_good && rest.starts_with('=')) {
    rest.remove_prefix(1);
    is_good = take_argument(rest, directive);
  }
  const size_t comma = std::min(rest.find(','), rest.size());
  is_good = is_good && trim(rest.substr(0, comma)).empty();
  rest.remove_prefix(comma);
  if (!is_good) directive.form = Directive::Form::malformed;
  return directive;
}

template <typename F>
void for_each_directive(std::string_view line, F&& f) noexcept {
  for (;;) {
    const size_t begin = line.find_first_not_of(", \t");
    if (begin == std::string_view::npos) return;
    line.remove_prefix(begin);
    f(take_directive(line));
  }
}

void take_least(std::optional<Seconds>& kept, Seconds seconds) noexcept {
  kept = std::min(kept.value_or(kMostDelta), seconds);
}

// RFC 9111 sections 5.2.2.4 and 5.2.2.7: with names only those fields are meant.
void take_names(const Directive& directive, FieldNames& names, bool& is_unqualified) noexcept {
  if (directive.form != Directive::Form::valued || !names.add(directive.argument)) {
    is_unqualified = true;
  }
}

void apply(const Directive& d, ResponseDirectives& out) noexcept {
  if (d.is("max-age")) {
    take_least(out.max_age, d.delta_or_zero());
  } else if (d.is("s-maxage")) {
    take_least(out.s_maxage, d.delta_or_zero());
  } else if (d.is("no-store")) {
    out.no_store = true;
  } else if (d.is("no-cache")) {
    take_names(d, out.no_cache_fields, out.no_cache);
  } else if (d.is("private")) {
    take_names(d, out.private_fields, out.is_private);
  } else if (d.is("public")) {
    out.is_public |= d.is_bare();
  } else if (d.is("must-revalidate")) {
    out.must_revalidate = true;
  } else if (d.is("proxy-revalidate")) {
    out.proxy_revalidate = true;
  } else if (d.is("must-understand")) {
    out.must_understand |= d.is_bare();
  } else if (d.is("no-transform")) {
    out.no_transform = true;
  } else if (d.is("immutable")) {
    out.is_immutable |= d.is_bare();
  } else if (d.is("stale-while-revalidate")) {
    take_least(out.stale_while_revalidate, d.delta_or_zero());
  } else if (d.is("stale-if-error")) {
    take_least(out.stale_if_error, d.delta_or_zero());
  }
}

// Without an argument any staleness will do (RFC 9111 section 5.2.1.2).
void take_max_stale(const Directive& d, RequestDirectives& out) noexcept {
  take_least(out.max_stale, d.is_bare() ? kMostDelta : d.delta_or_zero());
}

// Of several the longest asks for most, and one that is no number for more than there is.
void take_min_fresh(const Directive& d, RequestDirectives& out) noexcept {
  const auto asked = d.form == Directive::Form::valued ? parse_delta_seconds(d.argument)
                                                       : std::optional<Seconds>();
  out.min_fresh = std::max(out.min_fresh.value_or(Seconds(0)), asked.value_or(kMostDelta));
}

void apply(const Directive& d, RequestDirectives& out) noexcept {
  if (d.is("max-age")) {
    take_least(out.max_age, d.delta_or_zero());
  } else if (d.is("max-stale")) {
    take_max_stale(d, out);
  } else if (d.is("min-fresh")) {
    take_min_fresh(d, out);
  } else if (d.is("no-cache")) {
    out.no_cache = true;
  } else if (d.is("no-store")) {
    out.no_store = true;
  } else if (d.is("only-if-cached")) {
    out.only_if_cached = true;
  } else if (d.is("no-transform")) {
    out.no_transform = true;
  } else if (d.is("stale-if-error")) {
    take_least(out.stale_if_error, d.delta_or_zero());
  }
}

template <typename Directives>
Directives parse_all(const FieldList& fields) noexcept {
  Directives out;
  if (!fields.has(FieldId::kCacheControl)) return out;
  out.is_present = true;
  for (const Field& field : fields) {
    if (field.id != FieldId::kCacheControl) continue;
    for_each_directive(field.value, [&](const Directive& directive) { apply(directive, out); });
  }
  return out;
}

bool has_pragma_no_cache(const FieldList& fields) noexcept {
  if (!fields.has(FieldId::kPragma)) return false;
  bool found = false;
  for (const Field& field : fields) {
    if (field.id != FieldId::kPragma) continue;
    for_each_directive(field.value, [&](const Directive& d) { found |= d.is("no-cache"); });
  }
  return found;
}

// RFC 9213 section 2.1: no value is a Boolean, a number an Integer, a list of names a String or,
// when it came as a token, a Token.
Directive directive_of(const StructuredMember& member) noexcept {
  using Kind = StructuredItem::Kind;
  Directive directive{member.key, member.value.text, Directive::Form::malformed};
  switch (member.value.kind) {
    case Kind::boolean:
      directive.form = Directive::Form::bare;
      break;
    case Kind::integer:
    case Kind::string:
    case Kind::token:
      directive.form = Directive::Form::valued;
      break;
    case Kind::decimal:
    case Kind::bytes:
    case Kind::date:
    case Kind::display_string:
    case Kind::inner_list:
      break;
  }
  return directive;
}

bool has_right_type(const StructuredMember& member) noexcept {
  const auto is = [&member](std::string_view name) { return equals_ignore_case(member.key, name); };
  const bool is_delta =
      is("max-age") || is("s-maxage") || is("stale-while-revalidate") || is("stale-if-error");
  return !is_delta || member.value.kind == StructuredItem::Kind::integer;
}

// False when the line spoils the field.
bool apply_targeted(std::string_view line, StructuredReader::Keys keys,
                    ResponseDirectives& out) noexcept {
  StructuredReader reader(line, keys);
  StructuredMember member;
  while (reader.next(member)) {
    if (!has_right_type(member)) return false;
    out.is_present = true;
    const bool is_off =
        member.value.kind == StructuredItem::Kind::boolean && member.value.integer == 0;
    if (!is_off) apply(directive_of(member), out);
  }
  return !reader.has_failed();
}

}  // namespace

bool FieldNames::names(std::string_view field) const noexcept {
  for (size_t i = 0; i < count_; ++i) {
    const bool is_absent = for_each_element(
        lists_[i], [&](std::string_view name) { return !equals_ignore_case(name, field); });
    if (!is_absent) return true;
  }
  return false;
}

bool FieldNames::add(std::string_view list) noexcept {
  bool is_empty = true;
  const bool is_good = for_each_element(list, [&](std::string_view name) {
    is_empty = false;
    return is_token(name);
  });
  if (!is_good || is_empty || count_ == lists_.size()) return false;
  lists_[count_++] = list;
  return true;
}

ResponseDirectives parse_response_directives(const FieldList& fields) noexcept {
  return parse_all<ResponseDirectives>(fields);
}

RequestDirectives parse_request_directives(const FieldList& fields) noexcept {
  RequestDirectives out = parse_all<RequestDirectives>(fields);
  if (!out.is_present) out.no_cache = has_pragma_no_cache(fields);
  return out;
}

std::optional<ResponseDirectives> parse_targeted_directives(const FieldList& fields,
                                                            std::string_view name) noexcept {
  ResponseDirectives out;
  const FieldId id = field_id(name);
  if (!fields.has(id)) return std::nullopt;
  // The Edge Architecture note, which is older than structured fields, takes its directives, as
  // Cache-Control does, in any case.
  const auto keys = equals_ignore_case(name, "surrogate-control") ? StructuredReader::Keys::any_case
                                                                  : StructuredReader::Keys::lower;
  for (const Field& field : fields) {
    if (field.id != id || !equals_ignore_case(field.name, name)) continue;
    if (!apply_targeted(field.value, keys, out)) return std::nullopt;
  }
  if (!out.is_present) return std::nullopt;
  return out;
}

// Two lines are two ages, and which hop was right cannot be told; "1, 2" is what two lines become
// when a hop combines them (RFC 9110 section 5.3). A list without a space was written as one.
ReceivedAge parse_age(const FieldList& fields) noexcept {
  const Field* field = fields.find(FieldId::kAge);
  if (field == nullptr) return {};
  const size_t comma = field->value.find(',');
  const bool is_combined =
      fields.is_repeated(FieldId::kAge) ||
      field->value.substr(std::min(comma, field->value.size())).starts_with(", ");
  const auto age = parse_delta_seconds(trim(field->value.substr(0, comma)));
  if (is_combined || !age) return {.age = Seconds(0), .is_bad = true};
  return {.age = *age, .is_bad = false};
}

std::optional<Seconds> parse_delta_seconds(std::string_view text) noexcept {
  if (text.empty()) return std::nullopt;
  int64_t value = 0;
  for (char c : text) {
    if (!is_digit(c)) return std::nullopt;
    value = std::min(value * 10 + (c - '0'), int64_t{kMostDelta.count()});
  }
  return Seconds(value);
}

}  // namespace sluice::http
