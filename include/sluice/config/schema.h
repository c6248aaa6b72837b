// The one table of all keys. A row says what a key is called, what it may hold, where its value
// lives in the structs of config.h, and what it is for; parsing, checking, the reference file, the
// JSON Schema and `check --print` all walk the same rows. A default is written nowhere here: it is
// read from a default-constructed struct.
//
// Rows reach into structs through untyped accessors, made by the typed builders of schema_rows.h.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sluice/config/config.h"
#include "sluice/config/words.h"

namespace sluice::config {

struct Row;
struct Section;
class SectionCheck;

// What is wrong with a value; no message: nothing.
struct Fault {
  std::string_view code;
  std::string message;
  std::string hint;
  explicit operator bool() const noexcept { return !message.empty(); }
};

struct ReadContext {
  const Row& row;
  std::string_view folder;  // of the file in which the text stands, "" or ending in '/'
};

// How one scalar is spelled: one object per kind of value, shared by rows.
struct ValueType {
  std::string_view noun;  // "a duration": for messages and the reference
  // Leaves *value alone if it returns a Fault.
  Fault (*read)(const ReadContext&, std::string_view text, void* value) = nullptr;
  // The spelling that reads back as the same value; nullopt: nothing is set.
  std::optional<std::string> (*write)(const Row&, const void* value) = nullptr;
  // How an end of the row's range is spelled.
  std::string (*bound)(uint64_t) = nullptr;
  // For texts: what is wrong with this one?
  Fault (*check)(std::string_view text) = nullptr;
  std::string_view json_type = "string";  // JSON Schema: string, integer or boolean
  std::string_view pattern = {};          // JSON Schema: of the string
  bool may_be_empty = false;              // takes ""
};

// Both ends included, in ns, bytes, percent or pieces.
struct Range {
  uint64_t from = 0;
  uint64_t to = UINT64_MAX;
  bool zero_is_off = false;  // 0 and "off" are taken beside the range
};

enum class Shape : uint8_t {
  kScalar,
  kScalars,   // a list of scalars; a single one may stand without brackets
  kFields,    // a map of names to scalars
  kSection,   // a map of keys known by a Section
  kEither,    // a scalar or a section
  kSections,  // a list of maps
  kNamed,     // a map of names to maps
  kLoader     // dealt with before the rows are walked (include)
};

// (name, text); the name is empty in kScalars.
using Texts = std::vector<std::pair<std::string, std::string>>;

// How to reach the value in a struct. `object` is the struct of the section that the row stands in.
struct Access {
  void* (*make)(void* object) = nullptr;              // creates what is optional
  const void* (*look)(const void* object) = nullptr;  // nullptr: optional and not there
  // kScalars and kFields, on what make() and look() return:
  void (*clear)(void* list) = nullptr;
  Fault (*add)(const ReadContext&, std::string_view name, std::string_view text,
               void* list) = nullptr;
  Texts (*texts)(const Row&, const void* list) = nullptr;
  // kSections and kNamed:
  void* (*append)(void* list, std::string_view name) = nullptr;
  size_t (*size)(const void* list) = nullptr;
  const void* (*at)(const void* list, size_t index) = nullptr;
  std::string_view (*name_of)(const void* element) = nullptr;  // kNamed
};

enum class Support : uint8_t {
  kYes,
  kRefused,  // an error: leaving it out of account would be dangerous
  kIgnored   // a warning
};

struct Row {
  std::string_view key;
  std::string_view help;
  Shape shape = Shape::kScalar;
  const ValueType* type = nullptr;   // kScalar, kScalars, kFields, kEither
  const Section* section = nullptr;  // kSection, kEither, kSections, kNamed
  Access access;
  Range range;
  std::span<const Choice> choices;  // words of an enum, or beside a number
  std::string_view example;         // YAML, where there is no default to show
  std::string_view default_note;    // what holds when nothing is set and no default can be shown
  Fault (*check_name)(std::string_view name) = nullptr;  // kFields, kNamed: of each name
  // Whether it means anything beside what else is in its section; nullptr: always.
  bool (*applies)(const void* object) = nullptr;
  bool required = false;
  bool not_empty = false;  // lists: at least one
  bool secret = false;
  bool in_reference = false;  // the reference shows the example as a live line
  Support support = Support::kYes;
  std::string_view support_note;

  Row range_is(uint64_t from, uint64_t to) &&;
  Row or_off() &&;  // 0 and "off" switch it off
  Row one_of(std::span<const Choice> words) &&;
  Row like(std::string_view yaml) &&;     // example
  Row else_is(std::string_view note) &&;  // default_note
  Row names(Fault (*check)(std::string_view)) &&;
  Row only_when(bool (*applies_to)(const void* object)) &&;
  Row needed() &&;  // and a list of sections: at least one
  Row never_empty() &&;
  Row hidden() &&;  // secret
  Row shown() &&;   // in_reference
  Row not_yet(Support how, std::string_view note) &&;
};

struct Section {
  std::vector<Row> rows;
  const void* defaults = nullptr;  // a default-constructed struct
  void (*set_place)(void* object, Place place) = nullptr;
  // After all rows were read: what the rows cannot say (one of, only with).
  void (*finish)(void* object, const SectionCheck& check) = nullptr;

  const Row* find(std::string_view key) const noexcept;
};

// What `finish` may ask and say about the map just read.
class SectionCheck {
 public:
  virtual ~SectionCheck() = default;
  virtual bool has(std::string_view key) const = 0;
  // At the key, or at the whole map if the key is empty or not there.
  virtual void error(std::string_view key, std::string_view code, std::string message,
                     std::string hint = {}) const = 0;
};

// The whole file; its struct is Config.
const Section& root_section();

// "from 1ms to 1h, or 0 for off"; empty if there is nothing to say.
std::string range_text(const Row& row);
// "a, b, c"
std::string choices_text(std::span<const Choice> choices);
// A scalar's default, or nullopt.
std::optional<std::string> default_text(const Section& section, const Row& row);

}  // namespace sluice::config
