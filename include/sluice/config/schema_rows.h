// Builders of schema rows: from a pointer to member to the untyped accessors of schema.h.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "sluice/config/schema.h"

namespace sluice::config::rows {

namespace detail {

template <typename T>
struct MemberOf;
template <typename C, typename T>
struct MemberOf<T C::*> {
  using Class = C;
  using Type = T;
};
template <auto kMember>
using ClassOf = typename MemberOf<decltype(kMember)>::Class;
template <auto kMember>
using TypeOf = typename MemberOf<decltype(kMember)>::Type;

template <typename T>
inline constexpr bool kIsOptional = false;
template <typename T>
inline constexpr bool kIsOptional<std::optional<T>> = true;

template <auto kMember>
void* make(void* object) {
  auto& member = static_cast<ClassOf<kMember>*>(object)->*kMember;
  if constexpr (kIsOptional<TypeOf<kMember>>) {
    if (!member) member.emplace();
    return &*member;
  } else {
    return &member;
  }
}

template <auto kMember>
const void* look(const void* object) {
  const auto& member = static_cast<const ClassOf<kMember>*>(object)->*kMember;
  if constexpr (kIsOptional<TypeOf<kMember>>) {
    return member ? &*member : nullptr;
  } else {
    return &member;
  }
}

template <typename T>
void clear(void* list) {
  static_cast<std::vector<T>*>(list)->clear();
}

template <typename T>
Fault add_scalar(const ReadContext& context, std::string_view, std::string_view text, void* list) {
  T value{};
  Fault fault = context.row.type->read(context, text, &value);
  if (!fault) static_cast<std::vector<T>*>(list)->push_back(std::move(value));
  return fault;
}

template <typename T>
Texts scalar_texts(const Row& row, const void* list) {
  Texts texts;
  for (const T& value : *static_cast<const std::vector<T>*>(list)) {
    texts.emplace_back(std::string(), row.type->write(row, &value).value_or(std::string()));
  }
  return texts;
}

// T is a struct of name and value.
template <typename T>
Fault add_field(const ReadContext& context, std::string_view name, std::string_view text,
                void* list) {
  T field{std::string(name), {}};
  Fault fault = context.row.type->read(context, text, &field.value);
  if (!fault) static_cast<std::vector<T>*>(list)->push_back(std::move(field));
  return fault;
}

template <typename T>
Texts field_texts(const Row&, const void* list) {
  Texts texts;
  for (const T& field : *static_cast<const std::vector<T>*>(list)) {
    texts.emplace_back(field.name, field.value);
  }
  return texts;
}

template <typename T, bool kNamed>
void* append(void* list, [[maybe_unused]] std::string_view name) {
  T& element = static_cast<std::vector<T>*>(list)->emplace_back();
  if constexpr (kNamed) element.name = std::string(name);
  return &element;
}

template <typename T>
size_t size(const void* list) {
  return static_cast<const std::vector<T>*>(list)->size();
}

template <typename T>
const void* at(const void* list, size_t index) {
  return &(*static_cast<const std::vector<T>*>(list))[index];
}

template <typename T>
std::string_view name_of(const void* element) {
  return static_cast<const T*>(element)->name;
}

template <typename T>
const void* defaults() {
  static const T value{};
  return &value;
}

template <typename T>
void set_place(void* object, Place place) {
  static_cast<T*>(object)->place = place;
}

inline void* same(void* object) { return object; }
inline const void* same(const void* object) { return object; }

template <auto kMember>
Row row(std::string_view key, Shape shape, std::string_view help) {
  Row made;
  made.key = key;
  made.help = help;
  made.shape = shape;
  made.access.make = make<kMember>;
  made.access.look = look<kMember>;
  return made;
}

}  // namespace detail

template <auto kMember>
Row value(std::string_view key, const ValueType& type, std::string_view help) {
  Row row = detail::row<kMember>(key, Shape::kScalar, help);
  row.type = &type;
  return row;
}

// A scalar whose type reads and writes the section's whole struct.
inline Row whole_value(std::string_view key, const ValueType& type, std::string_view help) {
  Row row;
  row.key = key;
  row.help = help;
  row.type = &type;
  row.access.make = detail::same;
  row.access.look = detail::same;
  return row;
}

template <auto kMember>
Row values(std::string_view key, const ValueType& type, std::string_view help) {
  using T = typename detail::TypeOf<kMember>::value_type;
  Row row = detail::row<kMember>(key, Shape::kScalars, help);
  row.type = &type;
  row.access.clear = detail::clear<T>;
  row.access.add = detail::add_scalar<T>;
  row.access.texts = detail::scalar_texts<T>;
  return row;
}

template <auto kMember>
Row fields(std::string_view key, const ValueType& type, std::string_view help) {
  using T = typename detail::TypeOf<kMember>::value_type;
  Row row = detail::row<kMember>(key, Shape::kFields, help);
  row.type = &type;
  row.access.clear = detail::clear<T>;
  row.access.add = detail::add_field<T>;
  row.access.texts = detail::field_texts<T>;
  return row;
}

template <auto kMember>
Row section(std::string_view key, const Section& section, std::string_view help) {
  Row row = detail::row<kMember>(key, Shape::kSection, help);
  row.section = &section;
  return row;
}

template <auto kMember>
Row value_or_section(std::string_view key, const ValueType& type, const Section& section,
                     std::string_view help) {
  Row row = detail::row<kMember>(key, Shape::kEither, help);
  row.type = &type;
  row.section = &section;
  return row;
}

template <auto kMember, Shape kShape = Shape::kSections>
Row sections(std::string_view key, const Section& section, std::string_view help) {
  using T = typename detail::TypeOf<kMember>::value_type;
  Row row = detail::row<kMember>(key, kShape, help);
  row.section = &section;
  row.access.append = detail::append<T, kShape == Shape::kNamed>;
  row.access.size = detail::size<T>;
  row.access.at = detail::at<T>;
  if constexpr (kShape == Shape::kNamed) row.access.name_of = detail::name_of<T>;
  return row;
}

// A section whose struct is T; T::place is filled in where there is one.
template <typename T>
Section section_of(std::vector<Row> rows,
                   void (*finish)(void* object, const SectionCheck& check) = nullptr) {
  Section section{std::move(rows), detail::defaults<T>(), nullptr, finish};
  if constexpr (requires(T & object) { object.place; }) section.set_place = detail::set_place<T>;
  return section;
}

}  // namespace sluice::config::rows
