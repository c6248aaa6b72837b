// A small fast generator (xoshiro256**, Blackman and Vigna 2018) for balancing, jitter and ids.
//
// Not for secrets. Owner and thread: one worker each; seeded from the kernel or, in tests, by
// number.
#pragma once

#include <cstdint>

namespace sluice {

class Random {
 public:
  Random() noexcept;  // seeded by getrandom(2)
  explicit Random(uint64_t seed) noexcept;
  uint64_t next() noexcept;
  // Uniform in [0, bound); bound > 0.
  uint64_t below(uint64_t bound) noexcept;
  // Uniform in [0, 1).
  double unit() noexcept { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

 private:
  uint64_t state_[4];
};

}  // namespace sluice
