// The closed list of reasons for which a connection is closed.
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice {

enum class CloseReason : uint8_t {
#define SL_CLOSE(name, token, help) name,
#include "sluice/base/close_reason.def"
#undef SL_CLOSE
  kCount
};

constexpr std::string_view to_string(CloseReason reason) noexcept {
  constexpr std::string_view kTokens[] = {
#define SL_CLOSE(name, token, help) token,
#include "sluice/base/close_reason.def"
#undef SL_CLOSE
  };
  return reason < CloseReason::kCount ? kTokens[static_cast<size_t>(reason)] : "?";
}

}  // namespace sluice
