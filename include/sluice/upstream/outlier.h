// Passive health: when failures in a row take an endpoint out, and for how long. Pure.
//
// The first time out lasts `base`, each further one twice as long, at most kLongestEjection. A
// record is forgiven step by step for every kForgiveAfter x base without a new ejection.
#pragma once

#include <cstddef>
#include <cstdint>

#include "sluice/base/clock.h"

namespace sluice::upstream {

inline constexpr Duration kLongestEjection = std::chrono::minutes(5);
inline constexpr int kForgiveAfter = 10;

class OutlierRecord {
 public:
  // How long to take it out now, counting this time.
  Duration next_ejection(TimePoint now, Duration base) noexcept;
  uint32_t ejections() const noexcept { return ejections_; }  // not yet forgiven

 private:
  uint32_t ejections_ = 0;
  TimePoint last_end_{};
};

// May one more of `total` be out, beside the `out` that are? Shares are rounded down, so that half
// of one endpoint is none.
bool may_eject(size_t out, size_t total, double max_share) noexcept;

}  // namespace sluice::upstream
