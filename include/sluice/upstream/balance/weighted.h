// Smooth weighted round robin, as nginx does it: for weights 5,1,1 the order is a a b a c a a.
//
// Each choice adds to everybody's standing its weight; the greatest standing (the first of equals)
// wins and pays the sum of all weights.
#pragma once

#include <vector>

#include "sluice/upstream/balance/balancer.h"

namespace sluice::upstream::balance {

class Weighted final : public Balancer {
 public:
  explicit Weighted(uint64_t turn) noexcept : ahead_(turn) {}
  size_t choose(Members members, uint64_t hash) noexcept override;

 private:
  size_t step(Members members) noexcept;

  uint64_t ahead_;  // choices to make for nobody first, so that workers differ
  std::vector<int64_t> standing_;
};

}  // namespace sluice::upstream::balance
