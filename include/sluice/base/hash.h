// Hashing (XXH3): for tables, balancing and keys; not for secrets.
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice {

uint64_t hash64(std::string_view bytes, uint64_t seed = 0) noexcept;

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
