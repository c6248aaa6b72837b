// The version of this program, once.
#pragma once

namespace sluice::orders {

inline constexpr const char* kVersion = "0.1.0";

}  // namespace sluice::orders
