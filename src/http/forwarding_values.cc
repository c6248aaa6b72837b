// The values of our own that forwarding writes: ids and trace context.
#include "sluice/base/strings.h"
#include "sluice/http/chars.h"
#include "sluice/http/forwarding.h"

namespace sluice::http {

size_t count_own_hops(const FieldList& fields) noexcept {
  size_t hops = 0;
  if (!fields.has(FieldId::kVia)) return hops;
  for (const Field& field : fields) {
    if (field.id != FieldId::kVia) continue;
    for_each_element(field.value, [&hops](std::string_view hop) {
      const size_t space = hop.find(' ');
      if (space != std::string_view::npos && trim(hop.substr(space)) == "sluice") ++hops;
      return true;
    });
  }
  return hops;
}

bool is_valid_request_id(std::string_view id) noexcept {
  return !id.empty() && id.size() <= 128 && is_all(id, kCharRequestId);
}

namespace {

bool is_lower_hex(std::string_view text) noexcept {
  for (char c : text) {
    if (!is_digit(c) && (c < 'a' || c > 'f')) return false;
  }
  return true;
}

bool is_id(std::string_view text) noexcept {
  return is_lower_hex(text) && text.find_first_not_of('0') != std::string_view::npos;
}

}  // namespace

bool is_valid_traceparent(std::string_view value) noexcept {
  constexpr size_t kSize = 2 + 1 + 32 + 1 + 16 + 1 + 2;
  return value.size() == kSize && value.starts_with("00-") && is_id(value.substr(3, 32)) &&
         value[35] == '-' && is_id(value.substr(36, 16)) && value[52] == '-' &&
         is_lower_hex(value.substr(53, 2));
}

}  // namespace sluice::http
