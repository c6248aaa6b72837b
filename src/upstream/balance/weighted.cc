#include "sluice/upstream/balance/weighted.h"

namespace sluice::upstream::balance {

size_t Weighted::choose(Members members, uint64_t) noexcept {
  if (standing_.size() != members.size()) standing_.assign(members.size(), 0);
  for (; ahead_ > 0; --ahead_) step(members);
  return step(members);
}

size_t Weighted::step(Members members) noexcept {
  size_t best = kNobody;
  int64_t sum = 0;
  for (size_t i = 0; i < members.size(); ++i) {
    if (!members[i].usable) continue;
    sum += members[i].weight;
    standing_[i] += members[i].weight;
    if (best == kNobody || standing_[i] > standing_[best]) best = i;
  }
  if (best != kNobody) standing_[best] -= sum;
  return best;
}

}  // namespace sluice::upstream::balance
