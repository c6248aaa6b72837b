// The better of two at random ("power of two choices"): nearly as even as least_conn, and without
// all workers running to the same endpoint at once.
#pragma once

#include <utility>

#include "sluice/base/random.h"
#include "sluice/upstream/balance/balancer.h"

namespace sluice::upstream::balance {

// Two different usable members, uniformly; the second is kNobody when only one is usable.
std::pair<size_t, size_t> two_at_random(Members members, Random& random) noexcept;

class RandomTwo final : public Balancer {
 public:
  explicit RandomTwo(uint64_t seed) noexcept : random_(seed) {}
  // Less in flight for its weight; between equals the weights decide how often.
  size_t choose(Members members, uint64_t hash) noexcept override;
  uint8_t needs() const noexcept override { return kNeedsInFlight; }

 private:
  Random random_;
};

}  // namespace sluice::upstream::balance
