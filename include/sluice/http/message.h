// One request or response head as values: views into head bytes, no ownership.
//
// Made by h1_parser (and by h2_session later); read by everyone. The bytes and the field array live
// in the exchange's Arena and die with it. Pure, no I/O.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "sluice/http/fields.h"

namespace sluice::http {

enum class Method : uint8_t {
  get,
  head,
  post,
  put,
  delete_,
  options,
  patch,
  connect,
  trace,
  other
};

// Request methods are case-sensitive (RFC 9110 section 9.1).
Method method_of(std::string_view token) noexcept;
// RFC 9110 sections 9.2.1 and 9.2.2; `other` is neither.
bool is_safe(Method method) noexcept;
bool is_idempotent(Method method) noexcept;

// How the end of a message body is found (RFC 9112 section 6.3).
enum class BodyKind : uint8_t { none, length, chunked, until_close };

struct Framing {
  BodyKind kind = BodyKind::none;
  uint64_t length = 0;  // with BodyKind::length; never 0 then (that is none)
  bool has_body() const noexcept { return kind != BodyKind::none; }
};

struct Field {
  std::string_view name;   // as received
  std::string_view value;  // without surrounding white space
  FieldId id = FieldId::kOther;
};

// A view of fields in their order, with one bit a known id, so that asking for an absent one is
// free.
class FieldList {
 public:
  FieldList() noexcept = default;
  explicit FieldList(std::span<const Field> fields) noexcept : fields_(fields) {
    for (const Field& field : fields) {
      const uint64_t bit = bit_of(field.id);
      repeated_ |= present_ & bit;
      present_ |= bit;
    }
  }
  auto begin() const noexcept { return fields_.begin(); }
  auto end() const noexcept { return fields_.end(); }
  size_t size() const noexcept { return fields_.size(); }
  const Field& operator[](size_t i) const noexcept { return fields_[i]; }
  bool has(FieldId id) const noexcept { return (present_ & bit_of(id)) != 0; }
  bool is_repeated(FieldId id) const noexcept { return (repeated_ & bit_of(id)) != 0; }
  // The first field of that kind, or nullptr.
  const Field* find(FieldId id) const noexcept;
  const Field* find(std::string_view name) const noexcept;  // any name, case ignored
  size_t count(FieldId id) const noexcept;

 private:
  static_assert(static_cast<int>(FieldId::kCount) <= 64);
  static constexpr uint64_t bit_of(FieldId id) noexcept {
    return uint64_t{1} << static_cast<unsigned>(id);
  }

  std::span<const Field> fields_;
  uint64_t present_ = 0;
  uint64_t repeated_ = 0;
};

struct RequestHead {
  Method method = Method::other;
  std::string_view method_text;
  std::string_view target;  // as received
  std::string_view
      authority;  // Host, or the authority of an absolute-form target, which wins (RFC 9112 3.2.2)
  std::string_view path;  // origin-form: path with query as received; "*" for OPTIONS *; "/" for an
                          // absolute-form without path
  FieldList fields;
  std::string_view
      raw;  // all lines with their CRLF and the empty line; empty when the head came by HTTP/2
  Framing framing;
  uint8_t minor_version = 1;  // HTTP/1.0 or 1.1
  bool keep_alive = true;     // RFC 9112 section 9.3
  bool expect_continue = false;
};

struct ResponseHead {
  int status = 0;
  std::string_view reason;
  FieldList fields;
  std::string_view raw;
  Framing framing;  // for the request's method; `none` for HEAD, 1xx, 204, 304
  // Of a head that is sent again and again: ready_length() of it (forwarding.h). 0: look at each
  // field.
  uint64_t ready_length = 0;
  uint8_t minor_version = 1;
  bool keep_alive = true;
  bool is_interim() const noexcept { return status < 200; }
};

// The reason phrase that goes with a status; "" when unknown.
std::string_view reason_phrase(int status) noexcept;

}  // namespace sluice::http
