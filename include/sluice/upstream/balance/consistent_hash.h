// The same key to the same endpoint, by weighted rendezvous hashing with bounded loads.
//
// Each member scores hash(member, key), drawn towards 1 by its weight; the best score wins. A
// member that comes, goes or changes weight moves only the keys that it wins or loses: one of n
// equal ones about 1/n. Unlike a ring this needs no table, is exactly even, and follows slow start.
// Nobody takes more than 1.25 times its part of the requests in flight: its keys then go to their
// next best.
#pragma once

#include "sluice/upstream/balance/balancer.h"

namespace sluice::upstream::balance {

inline constexpr double kLoadBound = 1.25;
// So many requests at once a member may always have: a bound on a handful would only scatter keys.
inline constexpr uint32_t kLoadFloor = 4;

class ConsistentHash final : public Balancer {
 public:
  size_t choose(Members members, uint64_t hash) noexcept override;
  uint8_t needs() const noexcept override { return kNeedsInFlight | kNeedsHash; }
};

}  // namespace sluice::upstream::balance
