// Walks the nodes and the schema rows side by side, and fills the structs.
#include "sluice/config/reader.h"

#include <algorithm>

#include "sluice/base/strings.h"
#include "sluice/config/values.h"

namespace sluice::config {

namespace {

std::string_view shape_text(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::kNull:
      return "nothing";
    case YamlNode::Kind::kScalar:
      return "a text";
    case YamlNode::Kind::kList:
      return "a list";
    case YamlNode::Kind::kMap:
      return "a map of keys";
  }
  return "";
}

std::string child(const std::string& path, std::string_view key) {
  return path.empty() ? std::string(key) : path + "." + std::string(key);
}
std::string child(const std::string& path, size_t index) {
  return path + "[" + std::to_string(index) + "]";
}

Fault wrong_type(std::string_view expected, const YamlNode& found, std::string hint = {}) {
  return {"wrong_type",
          "expected " + std::string(expected) + ", found " + std::string(shape_text(found)),
          std::move(hint)};
}

const Entry* find_entry(const YamlNode& map, std::string_view key) {
  const auto found = std::ranges::find(map.entries, key, &Entry::key);
  return found == map.entries.end() ? nullptr : &*found;
}

std::optional<std::string_view> meant_key(std::string_view key, const Section& section) {
  std::vector<std::string_view> known;
  known.reserve(section.rows.size());
  for (const Row& row : section.rows) known.push_back(row.key);
  return nearest(key, known);
}

Fault unknown_key(std::string_view key, const Section& section) {
  std::string list;
  for (const Row& row : section.rows) list += (list.empty() ? "" : ", ") + std::string(row.key);
  if (const std::optional<std::string_view> near = meant_key(key, section)) {
    return {"unknown_key", "unknown key; did you mean \"" + std::string(*near) + "\"?", {}};
  }
  return {"unknown_key", "unknown key", "keys here: " + list};
}

// A missing key needs no report of its own beside the one of its misspelling.
bool is_misspelt(std::string_view missing, const Section& section, const YamlNode& map) {
  return std::ranges::any_of(map.entries, [&](const Entry& entry) {
    return section.find(entry.key) == nullptr && meant_key(entry.key, section) == missing;
  });
}

// A value on its way into a struct: where it stands, and what it is called.
struct Item {
  const Row& row;
  const YamlNode& node;
  std::string path;
};

class Reader {
 public:
  explicit Reader(const ReadTarget& target) : target_(target) {}

  void read_section(const Section& section, void* object, const YamlNode& map,
                    const std::string& path);
  Report& report() const { return target_.report; }

 private:
  void read_entry(const Section& section, void* object, const Entry& entry,
                  const std::string& path);
  void read_value(const Item& item, void* object);
  void read_scalar(const Item& item, void* value);
  void read_scalars(const Item& item, void* list);
  void read_fields(const Item& item, void* list);
  void read_map(const Item& item, void* object);
  void read_sections(const Item& item, void* list);
  void read_named(const Item& item, void* list);
  void check_length(const Item& list);
  void check_required(const Section& section, const YamlNode& map, const std::string& path);

  bool is_new_key(const YamlNode& map, const Entry& entry, const std::string& path);
  bool is_good_name(const Row& row, const Entry& entry, const std::string& path);
  std::optional<std::string> text_of(const Item& item);
  void fail(const Item& item, Fault fault);
  ReadContext context(const Item& item) const {
    return {item.row, target_.report.folder(item.node.place.file)};
  }

  const ReadTarget& target_;
};

// What a section's `finish` sees.
class MapCheck : public SectionCheck {
 public:
  MapCheck(Report& report, const YamlNode& map, const std::string& path)
      : report_(report), map_(map), path_(path) {}

  bool has(std::string_view key) const override { return find_entry(map_, key) != nullptr; }
  void error(std::string_view key, std::string_view code, std::string message,
             std::string hint) const override {
    const Entry* entry = key.empty() ? nullptr : find_entry(map_, key);
    report_.error(entry == nullptr ? map_.place : entry->key_place,
                  key.empty() ? path_ : child(path_, key),
                  {code, std::move(message), std::move(hint)});
  }

 private:
  Report& report_;
  const YamlNode& map_;
  const std::string& path_;
};

void Reader::read_section(const Section& section, void* object, const YamlNode& map,
                          const std::string& path) {
  for (const Entry& entry : map.entries) {
    if (is_new_key(map, entry, path)) read_entry(section, object, entry, path);
  }
  check_required(section, map, path);
  if (section.finish != nullptr) section.finish(object, MapCheck(report(), map, path));
}

void Reader::read_entry(const Section& section, void* object, const Entry& entry,
                        const std::string& path) {
  const Row* row = section.find(entry.key);
  const std::string here = child(path, entry.key);
  if (row == nullptr) return report().error(entry.key_place, here, unknown_key(entry.key, section));
  if (row->shape == Shape::kLoader) return;
  if (entry.value->kind == YamlNode::Kind::kNull) {
    const bool is_section = row->section != nullptr && row->shape == Shape::kSection;
    return report().error(entry.key_place, here,
                          {"empty_value", "empty value",
                           is_section ? "leave it out, or write {} for the defaults" : ""});
  }
  if (row->support != Support::kYes && !target_.accept_unsupported) {
    Fault fault{"not_supported", std::string(row->support_note), {}};
    if (row->support == Support::kRefused)
      report().error(entry.key_place, here, std::move(fault));
    else
      report().warning(entry.key_place, here, std::move(fault));
  }
  target_.origins.set(here, {entry.key_place, {}});
  read_value({*row, *entry.value, here}, object);
}

void Reader::read_value(const Item& item, void* object) {
  const Row& row = item.row;
  void* value = row.access.make(object);
  switch (row.shape) {
    case Shape::kScalar:
      return read_scalar(item, value);
    case Shape::kScalars:
      return read_scalars(item, value);
    case Shape::kFields:
      return read_fields(item, value);
    case Shape::kSection:
      return read_map(item, value);
    case Shape::kEither:
      return item.node.kind == YamlNode::Kind::kMap ? read_map(item, value)
                                                    : read_scalar(item, value);
    case Shape::kSections:
      return read_sections(item, value);
    case Shape::kNamed:
      return read_named(item, value);
    case Shape::kLoader:
      return;
  }
}

void Reader::read_scalar(const Item& item, void* value) {
  const std::optional<std::string> text = text_of(item);
  if (!text) return;
  if (Fault fault = item.row.type->read(context(item), *text, value)) fail(item, std::move(fault));
}

void Reader::read_scalars(const Item& item, void* list) {
  const Row& row = item.row;
  row.access.clear(list);
  const auto add = [&](const Item& element) {
    const std::optional<std::string> text = text_of(element);
    if (!text) return;
    if (Fault fault = row.access.add(context(element), {}, *text, list))
      fail(element, std::move(fault));
  };
  if (item.node.kind == YamlNode::Kind::kScalar) return add(item);
  if (item.node.kind != YamlNode::Kind::kList) return fail(item, wrong_type("a list", item.node));
  check_length(item);
  for (size_t i = 0; i < item.node.items.size(); ++i) {
    add({row, *item.node.items[i], child(item.path, i)});
  }
}

// Field names are the same in any case, so their paths are kept in lower case.
void Reader::read_fields(const Item& item, void* list) {
  const Row& row = item.row;
  row.access.clear(list);
  if (item.node.kind != YamlNode::Kind::kMap) {
    const std::string hint = row.example.empty() ? "" : "for example " + std::string(row.example);
    return fail(item, wrong_type("a map of names to values", item.node, hint));
  }
  std::vector<std::string> names;
  for (const Entry& entry : item.node.entries) {
    const Item field{row, *entry.value, child(item.path, entry.key)};
    if (!is_new_key(item.node, entry, item.path) || !is_good_name(row, entry, item.path)) continue;
    if (std::ranges::find(names, lower(entry.key)) != names.end()) {
      report().error(
          entry.key_place, field.path,
          {"duplicate_key", "the same field as one above: case makes no difference", {}});
      continue;
    }
    names.push_back(lower(entry.key));
    const std::optional<std::string> text = text_of(field);
    if (!text) continue;
    if (const Origin* origin = target_.origins.find(field.path)) {
      target_.origins.set(child(item.path, names.back()), Origin(*origin));
    }
    if (Fault fault = row.access.add(context(field), entry.key, *text, list))
      fail(field, std::move(fault));
  }
}

void Reader::read_map(const Item& item, void* object) {
  const Section& section = *item.row.section;
  if (item.node.kind != YamlNode::Kind::kMap)
    return fail(item, wrong_type("a map of keys", item.node));
  if (section.set_place != nullptr && item.row.shape == Shape::kSection) {
    section.set_place(object, item.node.place);
  }
  read_section(section, object, item.node, item.path);
}

void Reader::read_sections(const Item& item, void* list) {
  const Row& row = item.row;
  if (item.node.kind != YamlNode::Kind::kList) {
    const bool is_one = item.node.kind == YamlNode::Kind::kMap;
    return fail(item,
                wrong_type("a list", item.node, is_one ? "begin each element with \"- \"" : ""));
  }
  if (row.required && item.node.items.empty())
    fail(item, {"empty_value", "needs at least one", {}});
  for (size_t i = 0; i < item.node.items.size(); ++i) {
    const YamlNode& node = *item.node.items[i];
    const std::string path = child(item.path, i);
    target_.origins.set(path, {node.place, {}});
    void* element = row.access.append(list, {});
    if (row.section->set_place != nullptr) row.section->set_place(element, node.place);
    if (node.kind == YamlNode::Kind::kMap) {
      read_section(*row.section, element, node, path);
    } else {
      report().error(node.place, path, wrong_type("a map of keys", node));
    }
  }
}

void Reader::read_named(const Item& item, void* list) {
  const Row& row = item.row;
  if (item.node.kind != YamlNode::Kind::kMap) {
    return fail(item, wrong_type("a map of names", item.node));
  }
  for (const Entry& entry : item.node.entries) {
    const std::string path = child(item.path, entry.key);
    if (!is_new_key(item.node, entry, item.path)) continue;
    is_good_name(row, entry, item.path);
    target_.origins.set(path, {entry.key_place, {}});
    void* element = row.access.append(list, entry.key);
    if (row.section->set_place != nullptr) row.section->set_place(element, entry.key_place);
    if (entry.value->kind == YamlNode::Kind::kMap) {
      read_section(*row.section, element, *entry.value, path);
    } else {
      report().error(entry.key_place, path, wrong_type("a map of keys", *entry.value));
    }
  }
}

void Reader::check_length(const Item& list) {
  if (!list.row.not_empty || !list.node.items.empty()) return;
  fail(list, {"empty_value", "needs at least one", {}});
}

void Reader::check_required(const Section& section, const YamlNode& map, const std::string& path) {
  for (const Row& row : section.rows) {
    if (!row.required || find_entry(map, row.key) != nullptr) continue;
    if (is_misspelt(row.key, section, map)) continue;
    std::string hint;
    if (!row.example.empty())
      hint = "for example " + std::string(row.key) + ": " + std::string(row.example);
    report().error(map.place, child(path, row.key),
                   {"missing_key", "has to be given", std::move(hint)});
  }
}

bool Reader::is_new_key(const YamlNode& map, const Entry& entry, const std::string& path) {
  const Entry* first = find_entry(map, entry.key);
  if (first == &entry) return true;
  report().error(
      entry.key_place, child(path, entry.key),
      {"duplicate_key", "duplicate key; first at " + report().where(first->key_place), {}});
  return false;
}

bool Reader::is_good_name(const Row& row, const Entry& entry, const std::string& path) {
  Fault fault = row.check_name == nullptr ? Fault{} : row.check_name(entry.key);
  if (!fault) return true;
  report().error(entry.key_place, child(path, entry.key), std::move(fault));
  return false;
}

// The text with variables filled in, or nullopt after a report; notes the origin.
std::optional<std::string> Reader::text_of(const Item& item) {
  if (item.node.kind == YamlNode::Kind::kNull) {
    fail(item, {"empty_value", "empty value", {}});
    return std::nullopt;
  }
  const ValueType& type = *item.row.type;
  if (item.row.secret) report().hide_line(item.node.place);
  if (item.node.kind != YamlNode::Kind::kScalar) {
    fail(item, wrong_type(type.noun, item.node));
    return std::nullopt;
  }
  std::string text;
  Origin origin{item.node.place, {}};
  Fault fault = expand_env(item.node.text, target_.env, &text, &origin.env);
  if (!fault && text.empty() && !type.may_be_empty) fault = {"empty_value", "empty value", {}};
  if (fault) {
    fail(item, std::move(fault));
    return std::nullopt;
  }
  target_.origins.set(item.path, std::move(origin));
  return text;
}

void Reader::fail(const Item& item, Fault fault) {
  if (item.row.secret) report().hide_line(item.node.place);
  report().error(item.node.place, item.path, std::move(fault));
}

}  // namespace

void read_config(const NodePtr& root, const ReadTarget& target, Config* config) {
  if (root->kind != YamlNode::Kind::kMap) {
    return target.report.error(root->place, {}, wrong_type("a map of keys", *root));
  }
  Reader(target).read_section(root_section(), config, *root, {});
  validate(target.origins, target.report, config);
}

}  // namespace sluice::config
