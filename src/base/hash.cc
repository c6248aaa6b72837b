#include "sluice/base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace sluice {

uint64_t hash64(std::string_view bytes, uint64_t seed) noexcept {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

HashSecret::HashSecret(std::string_view text) noexcept {
  for (size_t i = 0; i < words_.size(); ++i) words_[i] = hash64(text, i + 1);
}

Hash128 hash128(std::string_view bytes, const HashSecret& secret) noexcept {
  static_assert(sizeof(secret.words_) >= XXH3_SECRET_SIZE_MIN);
  const XXH128_hash_t hash = XXH3_128bits_withSecret(bytes.data(), bytes.size(),
                                                     secret.words_.data(), sizeof(secret.words_));
  return {hash.low64, hash.high64};
}

}  // namespace sluice
