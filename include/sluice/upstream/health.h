// Active health: what a row of probes makes of an endpoint, and when to probe next. Pure.
#pragma once

#include <cstdint>

#include "sluice/base/clock.h"
#include "sluice/config/config.h"

namespace sluice::upstream {

// Up after `rise` good probes in a row, down after `fall` bad ones.
class RiseFall {
 public:
  RiseFall(uint32_t rise, uint32_t fall, bool up) noexcept : rise_(rise), fall_(fall), up_(up) {}

  // True when this probe changed the state.
  bool observe(bool ok) noexcept;
  bool is_up() const noexcept { return up_; }
  // Probes in a row that speak against the state.
  uint32_t against() const noexcept { return against_; }

 private:
  uint32_t rise_;
  uint32_t fall_;
  uint32_t against_ = 0;
  bool up_;
};

// From the start of a probe to the next one: the interval, a quarter of it (at least
// kShortestInterval) while the state may be changing; spread by a tenth to both sides. `drawn` is
// uniform in [0, 1).
inline constexpr Duration kShortestInterval = std::chrono::milliseconds(100);
Duration next_probe_after(Duration interval, bool is_changing, double drawn) noexcept;

bool is_expected(int status, const config::Health& check) noexcept;

}  // namespace sluice::upstream
