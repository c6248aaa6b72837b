#include "sluice/base/random.h"

#include <sys/random.h>
#include <unistd.h>

#include "sluice/base/check.h"
#include "sluice/base/clock.h"
#include "sluice/base/hash.h"

namespace sluice {

namespace {

__extension__ using Wide = unsigned __int128;

constexpr uint64_t rotate_left(uint64_t x, int by) noexcept { return (x << by) | (x >> (64 - by)); }

// The seeding that the authors advise: an all-zero state, which never leaves zero, cannot come out.
uint64_t splitmix(uint64_t& x) noexcept {
  uint64_t z = (x += 0x9E3779B97F4A7C15ULL);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

uint64_t kernel_seed() noexcept {
  uint64_t seed = 0;
  if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) == sizeof seed) return seed;
  // Early at boot the kernel may not be ready; balancing and jitter can live with this.
  uint64_t now = static_cast<uint64_t>(monotonic_now().time_since_epoch().count());
  return mix64(now, static_cast<uint64_t>(getpid()));
}

}  // namespace

Random::Random() noexcept : Random(kernel_seed()) {}

Random::Random(uint64_t seed) noexcept {
  for (uint64_t& word : state_) word = splitmix(seed);
}

uint64_t Random::next() noexcept {
  const uint64_t result = rotate_left(state_[1] * 5, 7) * 9;
  const uint64_t shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = rotate_left(state_[3], 45);
  return result;
}

// Lemire, "Fast random integer generation in an interval" (2019): a division only when needed.
uint64_t Random::below(uint64_t bound) noexcept {
  SL_CHECK(bound > 0);
  Wide product = Wide{next()} * bound;
  if (static_cast<uint64_t>(product) < bound) {
    const uint64_t threshold = (0 - bound) % bound;
    while (static_cast<uint64_t>(product) < threshold) product = Wide{next()} * bound;
  }
  return static_cast<uint64_t>(product >> 64);
}

}  // namespace sluice
