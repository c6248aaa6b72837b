// Times that grow with each failure, and are scattered so that many hosts do not come back at once.
#pragma once

#include <algorithm>
#include <cstdint>

#include "sluice/base/clock.h"

namespace sluice::redis {

// `first`, doubled `times` times, at most `longest`.
constexpr Duration doubled(Duration first, uint32_t times, Duration longest) noexcept {
  Duration time = std::min(first, longest);
  for (uint32_t i = 0; i < times && time < longest; ++i) time = std::min(time * 2, longest);
  return time;
}

constexpr Duration less_some(Duration time, double share) noexcept {
  return time - Duration(static_cast<int64_t>(static_cast<double>(time.count()) * share));
}

}  // namespace sluice::redis
