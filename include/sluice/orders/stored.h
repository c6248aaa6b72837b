// How tables keep times and lists, the same in all stores. Pure.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/base/clock.h"
#include "sluice/base/strings.h"
#include "sluice/orders/order.h"

namespace sluice::orders {

inline int64_t to_unix_ms(WallTime at) noexcept {
  return std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch()).count();
}
inline WallTime from_unix_ms(int64_t ms) noexcept {
  return WallTime(std::chrono::milliseconds(ms));
}

// A key from before has been forgotten.
inline int64_t oldest_key_ms(WallTime now) noexcept {
  return to_unix_ms(now - std::chrono::duration_cast<WallTime::duration>(kKeyLife));
}

// Product ids have no spaces.
inline std::string joined_ids(const std::vector<std::string>& ids) {
  std::string text;
  for (const std::string& id : ids) text += (text.empty() ? "" : " ") + id;
  return text;
}
inline std::vector<std::string> ids_in(const std::string& text) {
  std::vector<std::string> ids;
  if (text.empty()) return ids;
  for (std::string_view id : split(text, ' ')) ids.emplace_back(id);
  return ids;
}

}  // namespace sluice::orders
