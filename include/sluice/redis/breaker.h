// Spares the askers a server that fails: after failures in a row no command is let through for a
// time, then exactly one as a probe. Pure: time and chance are arguments.
//
//   closed --failures in a row--> open --its time is over, one command asks--> probing
//   probing --the probe succeeds--> closed          probing --it fails--> open, for twice as long
// What was let through before the breaker opened says nothing while it is open or probing.
#pragma once

#include <cstdint>

#include "sluice/base/clock.h"

namespace sluice::redis {

struct BreakerLimits {
  uint32_t failures = 5;                       // in a row
  Duration open = std::chrono::seconds(1);     // the first time
  Duration longest = std::chrono::seconds(5);  // the longest after that
};

class Breaker {
 public:
  enum class State : uint8_t { kClosed, kOpen, kProbing };
  enum class Verdict : uint8_t { kAdmit, kProbe, kRefuse };

  explicit Breaker(const BreakerLimits& limits) noexcept : limits_(limits) {}

  // May a command go now? Of kProbe the end has to be told, as that of every other one.
  Verdict admit(TimePoint now) noexcept;
  void on_success(bool is_probe) noexcept;
  // `chance` in [0, 1) takes up to a fifth off the time for which it opens.
  void on_failure(bool is_probe, TimePoint now, double chance) noexcept;

  State state() const noexcept { return state_; }

 private:
  void open(TimePoint now, double chance) noexcept;

  BreakerLimits limits_;
  State state_ = State::kClosed;
  uint32_t failures_ = 0;    // in a row, while closed
  uint32_t times_open_ = 0;  // in a row
  TimePoint open_until_{};
};

}  // namespace sluice::redis
