#include "sluice/cache/vary.h"

#include <algorithm>
#include <array>

#include "sluice/base/strings.h"
#include "sluice/http/accept.h"
#include "sluice/http/chars.h"

namespace sluice::cache {
namespace {

constexpr std::string_view kLanguage = "accept-language";

std::string_view lower_in(std::string_view text, Arena& arena) noexcept {
  char* out = arena.allocate_array<char>(text.size());
  std::transform(text.begin(), text.end(), out, to_lower);
  return {out, text.size()};
}

VaryField vary_field(std::string_view name, const http::FieldList& request, Arena& arena) {
  const auto value = http::normal_selecting_field(request, name, arena);
  return {name, value.value_or(std::string_view()), value.has_value()};
}

bool is_same(const VaryField& a, const VaryField& b) noexcept {
  return a.is_present == b.is_present && a.name == b.name && a.value == b.value;
}

// The request's fields in normal form, each made once however many variants ask for it.
class Nominated {
 public:
  Nominated(const http::FieldList& request, Arena& arena) noexcept
      : request_(request), arena_(arena) {}

  bool matches(const VaryField& stored) { return is_same(stored, of(stored.name)); }

 private:
  VaryField of(std::string_view name) {
    for (size_t i = 0; i < count_; ++i) {
      if (known_[i].name == name) return known_[i];
    }
    const VaryField field = vary_field(name, request_, arena_);
    if (count_ < known_.size()) known_[count_++] = field;
    return field;
  }

  const http::FieldList& request_;
  Arena& arena_;
  std::array<VaryField, kMostVaryNames> known_;
  size_t count_ = 0;
};

enum class Match : uint8_t { none, all_but_language, all };

// An Entry and an EntrySpec alike.
std::span<const VaryField> vary_in(const Entry& entry) noexcept { return entry.vary(); }
std::span<const VaryField> vary_in(const EntrySpec& spec) noexcept { return spec.vary; }
const EntryTimes& times_in(const Entry& entry) noexcept { return entry.times(); }
const EntryTimes& times_in(const EntrySpec& spec) noexcept { return spec.times; }
http::FieldList fields_in(const Entry& entry) noexcept { return entry.fields(); }
http::FieldList fields_in(const EntrySpec& spec) noexcept { return http::FieldList(spec.fields); }

Match match(std::span<const VaryField> vary, Nominated& request) {
  Match found = Match::all;
  for (const VaryField& field : vary) {
    if (request.matches(field)) continue;
    if (field.name != kLanguage) return Match::none;
    found = Match::all_but_language;
  }
  return found;
}

// RFC 9111 section 4.1: the most recent by Date.
bool is_newer(const EntryTimes& a, const EntryTimes& b) noexcept {
  return a.date != b.date ? a.date > b.date : a.response > b.response;
}

// The endpoint could not have answered in a language that suits the request better.
bool is_in_best_language(const http::FieldList& response, const http::FieldList& request) noexcept {
  if (!request.has(http::FieldId::kAcceptLanguage)) return false;
  const http::Field* language = response.find("content-language");
  return language != nullptr && http::weigh_language(request, language->value).is_best();
}

// The endpoint gets another value than the client has sent, and one of that client's alone.
bool is_written_by_us(std::string_view name) noexcept {
  return name == "x-forwarded-for" || name == "x-request-id" || name == "traceparent";
}

template <typename P>  // a kind of pointer to them
const P* choose(std::span<const P> variants, const http::FieldList& request, Arena& arena) {
  Nominated nominated(request, arena);
  const P* best = nullptr;
  const P* in_language = nullptr;
  const auto is_newer_than = [](const P& entry, const P* other) {
    return other == nullptr || is_newer(times_in(*entry), times_in(**other));
  };
  for (const P& entry : variants) {
    switch (match(vary_in(*entry), nominated)) {
      case Match::none:
        break;
      case Match::all:
        if (is_newer_than(entry, best)) best = &entry;
        break;
      case Match::all_but_language:
        if (is_newer_than(entry, in_language) && is_in_best_language(fields_in(*entry), request)) {
          in_language = &entry;
        }
        break;
    }
  }
  return best != nullptr ? best : in_language;
}

}  // namespace

std::optional<std::span<const std::string_view>> vary_names(const http::FieldList& response,
                                                            Arena& arena) {
  auto* names = arena.allocate_array<std::string_view>(kMostVaryNames);
  size_t count = 0;
  for (const http::Field& field : response) {
    if (field.id != http::FieldId::kVary) continue;
    const bool is_usable = for_each_element(field.value, [&](std::string_view name) {
      // RFC 9111 section 4.1: a list with "*" in it never matches
      if (name == "*" || !http::is_token(name)) return false;
      name = lower_in(name, arena);
      if (is_written_by_us(name)) return false;
      if (std::find(names, names + count, name) != names + count) return true;
      if (count == kMostVaryNames) return false;
      names[count++] = name;
      return true;
    });
    if (!is_usable) return std::nullopt;
  }
  std::sort(names, names + count);
  return std::span<const std::string_view>(names, count);
}

std::span<const VaryField> vary_of(std::span<const std::string_view> names,
                                   const http::FieldList& request, Arena& arena) {
  auto* fields = arena.allocate_array<VaryField>(names.size());
  for (size_t i = 0; i < names.size(); ++i) {
    new (&fields[i]) VaryField(vary_field(names[i], request, arena));
  }
  return {fields, names.size()};
}

bool is_same_vary(std::span<const VaryField> a, std::span<const VaryField> b) noexcept {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), is_same);
}

Entry* choose_variant(std::span<const Ref<Entry>> variants, const http::FieldList& request,
                      Arena& arena) {
  // Most have one, and no Vary.
  if (variants.size() == 1 && variants[0]->vary().empty()) return variants[0].get();
  const Ref<Entry>* entry = choose(variants, request, arena);
  return entry != nullptr ? entry->get() : nullptr;
}

const EntrySpec* choose_variant(std::span<const EntrySpec* const> variants,
                                const http::FieldList& request, Arena& arena) {
  const EntrySpec* const* spec = choose(variants, request, arena);
  return spec != nullptr ? *spec : nullptr;
}

}  // namespace sluice::cache
