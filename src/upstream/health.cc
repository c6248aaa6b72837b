#include "sluice/upstream/health.h"

#include <algorithm>

namespace sluice::upstream {

bool RiseFall::observe(bool ok) noexcept {
  if (ok == up_) {
    against_ = 0;
    return false;
  }
  ++against_;
  if (against_ < (up_ ? fall_ : rise_)) return false;
  up_ = ok;
  against_ = 0;
  return true;
}

Duration next_probe_after(Duration interval, bool is_changing, double drawn) noexcept {
  if (is_changing) interval = std::min(interval, std::max(interval / 4, kShortestInterval));
  const double spread = 0.9 + 0.2 * drawn;
  return Duration(static_cast<int64_t>(static_cast<double>(interval.count()) * spread));
}

bool is_expected(int status, const config::Health& check) noexcept {
  return std::any_of(check.expect.begin(), check.expect.end(),
                     [&](const auto& range) { return status >= range.from && status <= range.to; });
}

}  // namespace sluice::upstream
