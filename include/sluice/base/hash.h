// Hashing (XXH3): for tables, balancing and keys; not for secrets.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace sluice {

uint64_t hash64(std::string_view bytes, uint64_t seed = 0) noexcept;

struct Hash128 {
  uint64_t low = 0;
  uint64_t high = 0;
  bool operator==(const Hash128&) const = default;
};

// What makes the 128-bit hashes of one deployment its own. The same text gives the same secret on
// every host and with every version of the hash library; it is no defence against who knows it.
class HashSecret {
 public:
  explicit HashSecret(std::string_view text) noexcept;

 private:
  friend Hash128 hash128(std::string_view bytes, const HashSecret& secret) noexcept;
  std::array<uint64_t, 24> words_;  // XXH3's usual size
};

Hash128 hash128(std::string_view bytes, const HashSecret& secret) noexcept;

// A finalising mix of two values, for rings and for seeds: no two b collide for one a.
constexpr uint64_t mix64(uint64_t a, uint64_t b) noexcept {
  constexpr auto finalise = [](uint64_t x) {
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
    return x ^ (x >> 31);
  };
  return finalise(finalise(a + 0x9E3779B97F4A7C15ULL) + b);
}

}  // namespace sluice
