#include "sluice/proxy/handler.h"

namespace sluice::proxy {

std::string_view HandlerRequest::field(std::string_view name) const noexcept {
  for (const auto& [field_name, value] : fields) {
    if (field_name == name) return value;
  }
  return {};
}

}  // namespace sluice::proxy
