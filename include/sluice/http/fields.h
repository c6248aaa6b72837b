// The field names that sluice knows, as ids, so that a head is matched once and then by number.
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice::http {

enum class FieldId : uint8_t {
  kOther,
#define SL_FIELD(id, name, hop) id,
#include "sluice/http/fields.def"
#undef SL_FIELD
  kCount
};

// Case is ignored. Names that begin with "x-forwarded-" and have no id of their own are
// kXForwardedOther.
FieldId field_id(std::string_view name) noexcept;
std::string_view field_name(FieldId id) noexcept;  // lower case
bool is_hop_by_hop(FieldId id) noexcept;

}  // namespace sluice::http
