// `sluice reference`: every row of the schema as commented YAML, in a file that can be used as it
// is.
#include "sluice/config/render.h"
#include "sluice/config/schema.h"
#include "sluice/config/yaml_text.h"

namespace sluice::config {

namespace {

constexpr size_t kWidth = 100;

constexpr std::string_view kIntroduction =
    R"(# yaml-language-server: $schema=sluice.schema.json
# The reference configuration of sluice: every key, with its default. Made by `sluice reference`.
#
# Check a file with `sluice check -c FILE`; see what is in effect, and where it came from, with
# `sluice check -c FILE --print`. Durations and sizes carry units: us, ms, s, m, h, d and B, KiB,
# MiB, GiB, KB, MB, GB. A 0 means off only where "0 for off" is written. ${NAME} and
# ${NAME:-default} stand for environment variables; $${ stands for ${ itself. Relative paths are
# relative to the file in which they are written. Lines that are commented out show an example, or
# a default that means nothing beside the rest.
)";

std::string joined(std::string_view a, std::string_view separator, std::string_view b) {
  if (a.empty() || b.empty()) return std::string(a.empty() ? b : a);
  return std::string(a).append(separator).append(b);
}

bool is_numeric(const ValueType& type) {
  return type.bound != nullptr || type.json_type == "integer";
}

// "a duration from 1ms to 1h, or 0 for off"; empty where help and value say enough.
std::string kind_text(const Row& row) {
  if (row.type == nullptr || row.shape == Shape::kFields) return {};
  const bool is_list = row.shape == Shape::kScalars;
  if (!row.choices.empty() && row.range.to == UINT64_MAX)
    return "one of " + choices_text(row.choices);
  if (is_numeric(*row.type)) return joined(row.type->noun, " ", range_text(row));
  if (row.type->json_type == "boolean") return std::string(row.type->noun);
  return is_list ? "a list; each " + std::string(row.type->noun) : std::string();
}

class Reference {
 public:
  YamlLines section(const Section& section, size_t indent) const {
    YamlLines lines;
    for (const Row& row : section.rows) append(this->row(section, row, indent), &lines);
    return lines;
  }

 private:
  YamlLines row(const Section& section, const Row& row, size_t indent) const;
  YamlLines body(const Section& section, const Row& row, size_t indent) const;
  YamlLines nested(const Row& row, size_t indent) const;
  YamlLines help(const Row& row, size_t indent) const;
};

// In use if it has a default that means something, or has to be given.
bool is_live(const Section& section, const Row& row) {
  const bool applies = row.applies == nullptr || row.applies(section.defaults);
  return row.support == Support::kYes && row.shape != Shape::kLoader && applies;
}

YamlLines Reference::help(const Row& row, size_t indent) const {
  std::string text =
      joined(row.help, " ", kind_text(row).empty() ? "" : "(" + kind_text(row) + ")");
  if (!row.default_note.empty())
    text = joined(text, " ", "Left out: " + std::string(row.default_note) + ".");
  if (row.support != Support::kYes)
    text = joined(text, " ", "So far: " + std::string(row.support_note) + ".");
  YamlLines lines;
  while (!text.empty()) {
    const size_t room = kWidth - indent - 2;
    size_t end = text.size() <= room ? text.size() : text.rfind(' ', room);
    if (end == std::string::npos || end == 0) end = text.size();
    lines.push_back({indent, text.substr(0, end), {}, true, false});
    text.erase(0, end == text.size() ? end : end + 1);
  }
  return lines;
}

YamlLines Reference::row(const Section& section, const Row& row, size_t indent) const {
  YamlLines lines = help(row, indent);
  YamlLines value = body(section, row, indent);
  // A section whose keys are all out of use would be empty, which is an error.
  const size_t keys = row.section == nullptr || row.shape == Shape::kEither ? 0 : 1;
  if (!is_live(section, row) || !has_live_line(value, keys)) comment_out(&value, indent);
  append(std::move(value), &lines);
  if (indent == 0) lines.insert(lines.begin(), YamlLine{});
  return lines;
}

YamlLines Reference::body(const Section& section, const Row& row, size_t indent) const {
  const std::string key(row.key);
  const auto line = [&](std::string text, bool commented) {
    return YamlLines{{indent, key + ": " + std::move(text), {}, false, commented}};
  };
  const std::string example(row.example);
  const void* value = row.access.look == nullptr ? nullptr : row.access.look(section.defaults);
  switch (row.shape) {
    case Shape::kScalar:
    case Shape::kEither:
      if (!row.required && value != nullptr) {
        if (const auto text = row.type->write(row, value)) return line(yaml_scalar(*text), false);
      }
      return line(example, !row.required && !row.in_reference);
    case Shape::kScalars:
      return example.empty() ? line(yaml_list(row.access.texts(row, value)), false)
                             : line(example, true);
    case Shape::kFields:
      return example.empty() ? line("{}", false) : line(example, true);
    case Shape::kLoader:
      return line(example, true);
    case Shape::kSection:
    case Shape::kSections:
    case Shape::kNamed:
      break;
  }
  YamlLines lines = nested(row, indent);
  if (row.shape == Shape::kSection && value == nullptr) comment_out(&lines, indent);
  return lines;
}

YamlLines Reference::nested(const Row& row, size_t indent) const {
  YamlLines lines{{indent, std::string(row.key) + ":", {}, false, false}};
  if (row.shape == Shape::kNamed) {
    lines.push_back({indent + 2, std::string(row.example) + ":", {}, false, false});
    append(section(*row.section, indent + 4), &lines);
    return lines;
  }
  YamlLines inner = section(*row.section, indent + 2);
  if (row.shape == Shape::kSections) make_list_item(&inner);
  append(std::move(inner), &lines);
  return lines;
}

}  // namespace

std::string reference_yaml() {
  return std::string(kIntroduction) + to_text(Reference().section(root_section(), 0));
}

}  // namespace sluice::config
