// What one can do with rows; the rows themselves are in schema_table.cc.
#include "sluice/config/schema.h"

#include <algorithm>

namespace sluice::config {

Row Row::range_is(uint64_t from, uint64_t to) && {
  range.from = from;
  range.to = to;
  return *this;
}
Row Row::or_off() && {
  range.zero_is_off = true;
  return *this;
}
Row Row::one_of(std::span<const Choice> words) && {
  choices = words;
  return *this;
}
Row Row::like(std::string_view yaml) && {
  example = yaml;
  return *this;
}
Row Row::else_is(std::string_view note) && {
  default_note = note;
  return *this;
}
Row Row::names(Fault (*check)(std::string_view)) && {
  check_name = check;
  return *this;
}
Row Row::only_when(bool (*applies_to)(const void* object)) && {
  applies = applies_to;
  return *this;
}
Row Row::needed() && {
  required = not_empty = true;
  return *this;
}
Row Row::never_empty() && {
  not_empty = true;
  return *this;
}
Row Row::hidden() && {
  secret = true;
  return *this;
}
Row Row::shown() && {
  in_reference = true;
  return *this;
}
Row Row::not_yet(Support how, std::string_view note) && {
  support = how;
  support_note = note;
  return *this;
}

const Row* Section::find(std::string_view key) const noexcept {
  const auto found = std::ranges::find(rows, key, &Row::key);
  return found == rows.end() ? nullptr : &*found;
}

std::string range_text(const Row& row) {
  const Range& range = row.range;
  if (range.to == UINT64_MAX) return {};
  const auto bound = [&](uint64_t end) {
    return row.type->bound == nullptr ? std::to_string(end) : row.type->bound(end);
  };
  std::string text = "from " + bound(range.from) + " to " + bound(range.to);
  for (const Choice& choice : row.choices) text += ", or " + std::string(choice.word);
  return text + (range.zero_is_off ? ", or 0 for off" : "");
}

std::string choices_text(std::span<const Choice> choices) {
  std::string text;
  for (const Choice& choice : choices) {
    if (!text.empty()) text += ", ";
    text += choice.word;
  }
  return text;
}

std::optional<std::string> default_text(const Section& section, const Row& row) {
  const void* value = row.access.look(section.defaults);
  return value == nullptr || row.required ? std::nullopt : row.type->write(row, value);
}

}  // namespace sluice::config
