// `sluice schema`: the rows of the schema as JSON Schema, for editors.
#include <nlohmann/json.hpp>

#include "sluice/base/strings.h"
#include "sluice/config/render.h"
#include "sluice/config/schema.h"

namespace sluice::config {

namespace {

using Json = nlohmann::ordered_json;

Json section_schema(const Section& section);

// What ${NAME} may stand for is not known to an editor.
constexpr std::string_view kVariable = "\\$\\{";

Json words_schema(const Row& row) {
  Json words = Json::array();
  for (const Choice& choice : row.choices) {
    words.push_back(choice.word);
    if (row.type->json_type == "integer" && parse_decimal(choice.word))
      words.push_back(choice.value);
  }
  return {{"anyOf", {{{"enum", words}}, {{"type", "string"}, {"pattern", kVariable}}}}};
}

Json integer_schema(const Row& row) {
  std::string words(kVariable);
  for (const Choice& choice : row.choices) words += "|^" + std::string(choice.word) + "$";
  if (row.range.zero_is_off) words += "|^off$";
  Json number{{"type", "integer"}, {"minimum", row.range.zero_is_off ? 0 : row.range.from}};
  if (row.range.to != UINT64_MAX) number["maximum"] = row.range.to;
  return {{"anyOf", {number, {{"type", "string"}, {"pattern", words}}}}};
}

Json scalar_schema(const Row& row) {
  const ValueType& type = *row.type;
  if (!row.choices.empty() && row.range.to == UINT64_MAX) return words_schema(row);
  if (type.json_type == "integer") return integer_schema(row);
  Json schema;
  if (type.json_type == "boolean") {
    schema["anyOf"] = {{{"type", "boolean"}}, {{"type", "string"}, {"pattern", kVariable}}};
    return schema;
  }
  schema["type"] = "string";
  if (type.json_type == "string|integer") schema["type"] = {"string", "integer"};
  if (row.range.zero_is_off) schema["type"] = {"string", "integer"};  // a bare 0
  if (row.range.zero_is_off) schema["maximum"] = 0;
  if (!type.pattern.empty()) {
    schema["pattern"] = "(" + std::string(type.pattern) + ")|" + std::string(kVariable);
  } else if (!type.may_be_empty) {
    schema["minLength"] = 1;
  }
  return schema;
}

Json default_value(const Row& row, const std::string& text) {
  const std::optional<uint64_t> number = parse_decimal(text);
  if (number && (row.type->json_type == "integer" || *number == 0)) return *number;
  if (row.type->json_type == "boolean") return text == "true";
  return text;
}

Json list_of(Json items, bool is_never_empty) {
  Json schema{{"type", "array"}, {"items", std::move(items)}};
  if (is_never_empty) schema["minItems"] = 1;
  return schema;
}

Json map_of(Json values) {
  return {{"type", "object"}, {"additionalProperties", std::move(values)}};
}

Json row_schema(const Row& row) {
  switch (row.shape) {
    case Shape::kScalar:
      return scalar_schema(row);
    case Shape::kScalars: {
      Json one = scalar_schema(row);
      return {{"anyOf", {list_of(one, row.not_empty), one}}};
    }
    case Shape::kFields:
      return map_of(scalar_schema(row));
    case Shape::kSection:
      return section_schema(*row.section);
    case Shape::kEither:
      return {{"anyOf", {scalar_schema(row), section_schema(*row.section)}}};
    case Shape::kSections:
      return list_of(section_schema(*row.section), row.not_empty);
    case Shape::kNamed:
      return map_of(section_schema(*row.section));
    case Shape::kLoader: {
      const Json pattern{{"type", "string"}, {"minLength", 1}};
      return {{"anyOf", {pattern, list_of(pattern, false)}}};
    }
  }
  return {};
}

Json described(const Section& section, const Row& row) {
  Json schema = row_schema(row);
  std::string text(row.help);
  if (row.support != Support::kYes) text += " (" + std::string(row.support_note) + ")";
  if (!text.empty()) schema["description"] = text;
  if (row.shape == Shape::kScalar || row.shape == Shape::kEither) {
    if (const auto value = default_text(section, row))
      schema["default"] = default_value(row, *value);
  }
  return schema;
}

Json section_schema(const Section& section) {
  Json schema{{"type", "object"}, {"additionalProperties", false}};
  Json required = Json::array();
  for (const Row& row : section.rows) {
    schema["properties"][std::string(row.key)] = described(section, row);
    if (row.required) required.push_back(row.key);
  }
  if (!required.empty()) schema["required"] = required;
  return schema;
}

}  // namespace

std::string json_schema() {
  Json schema{{"$schema", "https://json-schema.org/draft/2020-12/schema"},
              {"title", "Configuration of sluice"}};
  schema.update(section_schema(root_section()));
  return schema.dump(2) + "\n";
}

}  // namespace sluice::config
