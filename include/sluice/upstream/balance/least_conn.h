// The fewest requests in flight, on all workers, for its weight; equals take turns.
#pragma once

#include "sluice/upstream/balance/balancer.h"

namespace sluice::upstream::balance {

class LeastConn final : public Balancer {
 public:
  explicit LeastConn(uint64_t turn) noexcept : next_(turn) {}
  size_t choose(Members members, uint64_t hash) noexcept override;
  uint8_t needs() const noexcept override { return kNeedsInFlight; }

 private:
  size_t next_;
};

}  // namespace sluice::upstream::balance
