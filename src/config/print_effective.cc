// `sluice check --print`: a Config, walked by the rows of the schema, with the origin of each
// value.
#include <algorithm>

#include "sluice/base/strings.h"
#include "sluice/config/render.h"
#include "sluice/config/schema.h"
#include "sluice/config/yaml_text.h"

namespace sluice::config {

namespace {

class Printer {
 public:
  Printer(const Config& config, const Origins& origins) : config_(config), origins_(origins) {}

  YamlLines section(const Section& section, const void* object, const std::string& path,
                    size_t indent) const {
    YamlLines lines;
    for (const Row& row : section.rows) {
      const bool applies = row.applies == nullptr || row.applies(object);
      // What this version does not act on is not in effect.
      if (row.shape == Shape::kLoader || row.support != Support::kYes || !applies) continue;
      const void* value = row.access.look(object);
      const std::string here =
          path.empty() ? std::string(row.key) : path + "." + std::string(row.key);
      if (value != nullptr)
        append(this->row(row, value, here, indent), &lines);
      else if (!row.default_note.empty())
        lines.push_back(unset(row, indent));
    }
    return lines;
  }

 private:
  YamlLines row(const Row& row, const void* value, const std::string& path, size_t indent) const;
  YamlLines elements(const Row& row, const void* list, const std::string& path,
                     size_t indent) const;

  static YamlLine unset(const Row& row, size_t indent) {
    return {indent, std::string(row.key) + ": " + std::string(row.default_note), "default", false,
            true};
  }
  YamlLine head(const Row& row, size_t indent) const {
    return {indent, std::string(row.key) + ":", {}, false, false};
  }
  YamlLine leaf(std::string_view key, const std::string& value, const std::string& path,
                size_t indent) const {
    return {indent, yaml_scalar(key) + ": " + value, origin(path), false, false};
  }

  std::string origin(const std::string& path) const;

  const Config& config_;
  const Origins& origins_;
};

// "default", "sluice.yaml:14" or "env A, B".
std::string Printer::origin(const std::string& path) const {
  const Origin* found = origins_.find(path);
  if (found == nullptr) return "default";
  std::vector<std::string> env = found->env;
  for (size_t i = 0;; ++i) {
    const Origin* element = origins_.find(path + "[" + std::to_string(i) + "]");
    if (element == nullptr) break;
    env.insert(env.end(), element->env.begin(), element->env.end());
  }
  if (env.empty()) return config_.where(found->place);
  std::string names;
  for (const std::string& name : env) names += (names.empty() ? "env " : ", ") + name;
  return names;
}

YamlLines Printer::row(const Row& row, const void* value, const std::string& path,
                       size_t indent) const {
  YamlLines lines;
  switch (row.shape) {
    case Shape::kScalar:
    case Shape::kEither:
      if (const std::optional<std::string> text = row.type->write(row, value)) {
        lines.push_back(leaf(row.key, yaml_scalar(*text), path, indent));
        return lines;
      }
      if (row.shape == Shape::kEither) break;
      if (!row.default_note.empty()) lines.push_back(unset(row, indent));
      return lines;
    case Shape::kScalars:
      lines.push_back(leaf(row.key, yaml_list(row.access.texts(row, value)), path, indent));
      return lines;
    case Shape::kFields:
      lines.push_back(head(row, indent));
      for (const auto& [name, text] : row.access.texts(row, value)) {
        lines.push_back(leaf(name, yaml_scalar(text), path + "." + lower(name), indent + 2));
      }
      if (lines.size() == 1) lines = {leaf(row.key, "{}", path, indent)};
      return lines;
    case Shape::kSections:
    case Shape::kNamed:
      return elements(row, value, path, indent);
    case Shape::kSection:
      break;
    case Shape::kLoader:
      return lines;
  }
  lines.push_back(head(row, indent));
  append(section(*row.section, value, path, indent + 2), &lines);
  if (!has_live_line(lines, 1)) comment_out(&lines, indent);
  return lines;
}

YamlLines Printer::elements(const Row& row, const void* list, const std::string& path,
                            size_t indent) const {
  const size_t size = row.access.size(list);
  if (size == 0) {
    return {leaf(row.key, row.shape == Shape::kNamed ? "{}" : "[]", path, indent)};
  }
  YamlLines lines{head(row, indent)};
  for (size_t i = 0; i < size; ++i) {
    const void* element = row.access.at(list, i);
    std::string here = path;
    if (row.shape == Shape::kNamed) {
      const std::string_view name = row.access.name_of(element);
      here.append(".").append(name);
      lines.push_back({indent + 2, yaml_scalar(name) + ":", {}, false, false});
      append(section(*row.section, element, here, indent + 4), &lines);
    } else {
      here.append("[").append(std::to_string(i)).append("]");
      YamlLines item = section(*row.section, element, here, indent + 2);
      make_list_item(&item);
      append(std::move(item), &lines);
    }
  }
  return lines;
}

}  // namespace

std::string print_effective(const Config& config, const Origins& origins) {
  return to_text(Printer(config, origins).section(root_section(), &config, {}, 0));
}

}  // namespace sluice::config
