// Everybody in turn, whatever the weight. During slow start a member is passed over, in proportion
// to how far it has come.
#pragma once

#include <vector>

#include "sluice/upstream/balance/balancer.h"

namespace sluice::upstream::balance {

class RoundRobin final : public Balancer {
 public:
  explicit RoundRobin(uint64_t turn) noexcept : next_(turn) {}
  size_t choose(Members members, uint64_t hash) noexcept override;

 private:
  bool is_its_turn(size_t index, Members members) noexcept;

  size_t next_;
  std::vector<uint32_t> credit_;  // only once slow start was seen
};

}  // namespace sluice::upstream::balance
