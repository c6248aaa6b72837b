#include "sluice/upstream/balance/round_robin.h"

#include <algorithm>

namespace sluice::upstream::balance {

size_t RoundRobin::choose(Members members, uint64_t) noexcept {
  const size_t count = members.size();
  if (count == 0) return kNobody;
  size_t index = next_ < count ? next_ : next_ % count;
  for (size_t tries = 0; tries < count; ++tries) {
    const size_t after = index + 1 == count ? 0 : index + 1;
    const Member& member = members[index];
    if (member.usable && (member.share == kWholeShare || is_its_turn(index, members))) {
      next_ = after;
      return index;
    }
    index = after;
  }
  return kNobody;
}

// Each visit earns a slow starter its share; as much as the greatest share buys a turn. So when all
// start slowly, nobody is passed over.
bool RoundRobin::is_its_turn(size_t index, Members members) noexcept {
  uint32_t most = 0;
  for (const Member& member : members) {
    if (member.usable) most = std::max(most, member.share);
  }
  if (members[index].share == most) return true;
  if (credit_.size() != members.size()) credit_.assign(members.size(), 0);
  credit_[index] = std::min(credit_[index] + members[index].share, 2 * most);
  if (credit_[index] < most) return false;
  credit_[index] -= most;
  return true;
}

}  // namespace sluice::upstream::balance
