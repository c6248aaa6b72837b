#include "sluice/upstream/outlier.h"

#include <algorithm>

namespace sluice::upstream {

Duration OutlierRecord::next_ejection(TimePoint now, Duration base) noexcept {
  if (ejections_ > 0 && now > last_end_ && base > Duration{0}) {
    const int64_t forgiven = (now - last_end_) / (base * kForgiveAfter);
    ejections_ -= static_cast<uint32_t>(std::min<int64_t>(ejections_, forgiven));
  }
  Duration time = std::min(base, kLongestEjection);
  for (uint32_t i = 0; i < ejections_ && time < kLongestEjection; ++i) {
    time = std::min(time * 2, kLongestEjection);
  }
  ++ejections_;
  last_end_ = now + time;
  return time;
}

bool may_eject(size_t out, size_t total, double max_share) noexcept {
  // A share such as 0.1 of 10 may come to a hair less than 1.
  const double most = max_share * static_cast<double>(total) + 1e-9;
  return static_cast<double>(out + 1) <= most;
}

}  // namespace sluice::upstream
