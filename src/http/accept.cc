#include "sluice/http/accept.h"

#include <algorithm>
#include <array>

#include "sluice/base/strings.h"
#include "sluice/http/chars.h"

namespace sluice::http {
namespace {

constexpr uint16_t kFullWeight = 1000;

// One member of Accept-Encoding or Accept-Language: a name or range, and its weight.
struct Choice {
  std::string_view name;
  uint16_t weight = kFullWeight;
};

// RFC 9110 section 12.4.2: "0" or "1" with up to three decimals, none of "1" above 0.
std::optional<uint16_t> parse_weight(std::string_view text) noexcept {
  if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return std::nullopt;
  if (text.size() > 1 && text[1] != '.') return std::nullopt;
  int weight = text[0] == '1' ? 1000 : 0;
  int unit = 100;
  for (char c : text.substr(std::min<size_t>(2, text.size()))) {
    if (!is_digit(c)) return std::nullopt;
    weight += (c - '0') * unit;
    unit /= 10;
  }
  if (weight > kFullWeight) return std::nullopt;
  return static_cast<uint16_t>(weight);
}

std::optional<Choice> parse_choice(std::string_view text) noexcept {
  const size_t semicolon = text.find(';');
  Choice choice{trim(text.substr(0, semicolon))};
  if (!is_token(choice.name)) return std::nullopt;
  if (semicolon == std::string_view::npos) return choice;
  const std::string_view parameter = trim(text.substr(semicolon + 1));
  if (parameter.size() < 2 || to_lower(parameter[0]) != 'q' || parameter[1] != '=') {
    return std::nullopt;
  }
  const auto weight = parse_weight(parameter.substr(2));
  if (!weight) return std::nullopt;
  choice.weight = *weight;
  return choice;
}

bool is_before(std::string_view a, std::string_view b) noexcept {
  return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(),
                                      [](char x, char y) { return to_lower(x) < to_lower(y); });
}

bool is_before(const Choice& a, const Choice& b) noexcept {
  return a.weight != b.weight ? a.weight > b.weight : is_before(a.name, b.name);
}

bool is_same(const Choice& a, const Choice& b) noexcept {
  return a.weight == b.weight && equals_ignore_case(a.name, b.name);
}

// The choices of a field, as many as a sane client has. A field with more is left as it came, as
// is one that does not parse.
struct Choices {
  std::array<Choice, 32> items;
  size_t count = 0;
  auto begin() noexcept { return items.begin(); }
  auto end() noexcept { return items.begin() + static_cast<ptrdiff_t>(count); }
  bool has(std::string_view name) noexcept {
    return std::any_of(begin(), end(),
                       [&](const Choice& c) { return equals_ignore_case(c.name, name); });
  }
};

bool add_choices(std::string_view line, Choices& out) noexcept {
  return for_each_element(line, [&](std::string_view text) {
    const auto choice = parse_choice(text);
    if (!choice || out.count == out.items.size()) return false;
    out.items[out.count++] = *choice;
    return true;
  });
}

void sort_choices(Choices& choices) noexcept {
  std::sort(choices.begin(), choices.end(),
            [](const Choice& a, const Choice& b) { return is_before(a, b); });
  const auto end = std::unique(choices.begin(), choices.end(), is_same);
  choices.count = static_cast<size_t>(end - choices.begin());
}

// RFC 9110 section 12.5.3: what is not listed is refused, but for identity and what "*" lets in.
void drop_refused(Choices& encodings) noexcept {
  if (encodings.has("*")) return;
  const auto end = std::remove_if(encodings.begin(), encodings.end(), [](const Choice& c) {
    return c.weight == 0 && !equals_ignore_case(c.name, "identity");
  });
  encodings.count = static_cast<size_t>(end - encodings.begin());
}

// ";q=" with the decimals that say something; nothing for 1.
char* write_weight(char* out, uint16_t weight) noexcept {
  if (weight == kFullWeight) return out;
  out += std::string_view(";q=0").copy(out, 4);
  if (weight == 0) return out;
  *out++ = '.';
  for (int rest = weight, unit = 100; rest > 0; rest %= unit, unit /= 10) {
    *out++ = static_cast<char>('0' + rest / unit);
  }
  return out;
}

std::string_view write_choices(Choices& choices, char* begin) noexcept {
  char* out = begin;
  for (const Choice& choice : choices) {
    if (out != begin) *out++ = ',';
    for (char c : choice.name) *out++ = to_lower(c);
    out = write_weight(out, choice.weight);
  }
  return {begin, static_cast<size_t>(out - begin)};
}

bool is_white(char c) noexcept { return c == ' ' || c == '\t'; }

// Writes lines, joined by commas, in their plain normal form. A quoted string is copied as it is,
// and so is all that follows a quote which is never closed.
class PlainWriter {
 public:
  explicit PlainWriter(char* out) noexcept : begin_(out), out_(out) {}

  void line(std::string_view line) noexcept {
    if (!is_first_) put(',');
    is_first_ = false;
    for (char c : line) put(c);
  }
  std::string_view text() const noexcept { return {begin_, static_cast<size_t>(out_ - begin_)}; }

 private:
  enum class State : uint8_t { kText, kQuoted, kEscape };

  void put(char c) noexcept {
    if (state_ == State::kText) return put_text(c);
    *out_++ = c;
    if (state_ == State::kEscape) {
      state_ = State::kQuoted;
    } else if (c == '\\') {
      state_ = State::kEscape;
    } else if (c == '"') {
      state_ = State::kText;
    }
  }
  void put_text(char c) noexcept {
    const char last = out_ == begin_ ? ',' : out_[-1];
    if (is_white(c)) {
      if (last != ' ' && last != ',') *out_++ = ' ';
      return;
    }
    if (c == ',' && last == ' ') --out_;
    if (c == '"') state_ = State::kQuoted;
    *out_++ = c;
  }

  char* const begin_;
  char* out_;
  State state_ = State::kText;
  bool is_first_ = true;
};

// The lines of one field in a request.
struct Lines {
  const FieldList& request;
  std::string_view name;
  FieldId id = field_id(name);

  // Calls f(value) for each until it returns false; whether it never did.
  template <typename F>
  bool for_each(F&& f) const noexcept {
    for (const Field& field : request) {
      const bool is_one = field.id == id && equals_ignore_case(field.name, name);
      if (is_one && !f(field.value)) return false;
    }
    return true;
  }
};

}  // namespace

std::optional<std::string_view> normal_selecting_field(const FieldList& request,
                                                       std::string_view name,
                                                       Arena& arena) noexcept {
  const Lines lines{request, name};
  if (!request.has(lines.id)) return std::nullopt;
  size_t count = 0, most = 0;
  lines.for_each([&](std::string_view line) {
    ++count;
    most += line.size() + 1;
    return true;
  });
  if (count == 0) return std::nullopt;
  char* const out = arena.allocate_array<char>(most);
  if (lines.id == FieldId::kAcceptEncoding || lines.id == FieldId::kAcceptLanguage) {
    Choices choices;
    if (lines.for_each([&](std::string_view line) { return add_choices(line, choices); })) {
      if (lines.id == FieldId::kAcceptEncoding) drop_refused(choices);
      sort_choices(choices);
      return write_choices(choices, out);
    }
  }
  PlainWriter plain(out);
  lines.for_each([&](std::string_view line) {
    plain.line(line);
    return true;
  });
  return plain.text();
}

namespace {

// The weight of one tag; `best` learns the highest of all ranges.
uint16_t weigh_tag(const Lines& accepted, std::string_view tag, uint16_t& best) noexcept {
  uint16_t weight = 0;
  accepted.for_each([&](std::string_view line) {
    return for_each_element(line, [&](std::string_view text) {
      const auto choice = parse_choice(text);
      if (!choice) return true;
      best = std::max(best, choice->weight);
      if (equals_ignore_case(choice->name, tag)) weight = choice->weight;
      return true;
    });
  });
  return weight;
}

// nullopt: not listed.
std::optional<uint16_t> weigh_coding(const Lines& accepted, std::string_view coding) noexcept {
  std::optional<uint16_t> named, any;
  accepted.for_each([&](std::string_view line) {
    return for_each_element(line, [&](std::string_view text) {
      const auto choice = parse_choice(text);
      if (choice && choice->name == "*") any = choice->weight;
      if (choice && equals_ignore_case(choice->name, coding)) named = choice->weight;
      return true;
    });
  });
  return named ? named : any;
}

}  // namespace

bool accepts_codings(const FieldList& request, std::string_view content_encoding) noexcept {
  const Lines accepted{request, field_name(FieldId::kAcceptEncoding)};
  bool is_coded = false;
  const bool takes_all = for_each_element(content_encoding, [&](std::string_view coding) {
    if (equals_ignore_case(coding, "identity")) return true;
    is_coded = true;
    return weigh_coding(accepted, coding).value_or(0) > 0;
  });
  return is_coded ? takes_all : weigh_coding(accepted, "identity").value_or(kFullWeight) > 0;
}

LanguageWeight weigh_language(const FieldList& request,
                              std::string_view content_language) noexcept {
  if (!request.has(FieldId::kAcceptLanguage)) return {kFullWeight, kFullWeight};
  const Lines accepted{request, field_name(FieldId::kAcceptLanguage)};
  LanguageWeight out;
  for_each_element(content_language, [&](std::string_view tag) {
    out.weight = std::max(out.weight, weigh_tag(accepted, tag, out.best));
    return true;
  });
  return out;
}

}  // namespace sluice::http
