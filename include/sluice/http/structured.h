// Structured fields (RFC 9651): dictionaries and lists, read strictly, member by member. Pure.
//
// One line of a field at a time; a field is the sequence of its lines (section 4.2). A reader that
// has failed stays failed, and what it gave before then must not be used: such a field is ignored
// as a whole.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "sluice/base/arena.h"
#include "sluice/http/message.h"

namespace sluice::http {

// A bare item, without its parameters: nothing that sluice reads defines any.
struct StructuredItem {
  enum class Kind : uint8_t {
    integer,
    decimal,
    string,
    token,
    bytes,
    boolean,
    date,
    display_string,
    inner_list
  };
  Kind kind = Kind::boolean;
  int64_t integer = 0;    // of integer; 1 and 0 of boolean
  std::string_view text;  // of string, as it stands between the quotes; of token and integer
};

struct StructuredMember {
  std::string_view key;
  StructuredItem value;
};

class StructuredReader {
 public:
  // Keys are in lower case (section 3.1.2); of a field that is older than this, in any.
  enum class Keys : uint8_t { lower, any_case };
  explicit StructuredReader(std::string_view line, Keys keys = Keys::lower) noexcept;

  // The next member of a dictionary or of a list; false at the end and after a fault.
  bool next(StructuredMember& member) noexcept;
  bool next(StructuredItem& member) noexcept;
  bool has_failed() const noexcept { return failed_; }

 private:
  bool begin_member() noexcept;
  bool end_member(bool is_good) noexcept;
  bool key(std::string_view& out) noexcept;
  bool member_value(StructuredItem& out) noexcept;
  bool parameters() noexcept;
  bool inner_list() noexcept;
  bool bare_item(StructuredItem& out) noexcept;
  bool number(StructuredItem& out) noexcept;
  bool string(StructuredItem& out) noexcept;
  bool token(StructuredItem& out) noexcept;
  bool bytes() noexcept;
  bool boolean(StructuredItem& out) noexcept;
  bool display_string() noexcept;
  bool take(char wanted) noexcept;
  size_t skip_white(std::string_view white) noexcept;

  std::string_view rest_;
  Keys keys_;
  bool needs_member_ = false;  // behind a comma
  bool failed_ = false;
};

// The text of a string; a copy in `arena` only when it has escapes.
std::string_view unescape(std::string_view string, Arena& arena) noexcept;

// All lines of the field `name` as one List of Strings; nullopt when it is anything else. Empty
// when there is no such field.
std::optional<std::span<const std::string_view>> parse_string_list(const FieldList& fields,
                                                                   std::string_view name,
                                                                   Arena& arena) noexcept;

}  // namespace sluice::http
