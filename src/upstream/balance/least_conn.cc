#include "sluice/upstream/balance/least_conn.h"

namespace sluice::upstream::balance {

size_t LeastConn::choose(Members members, uint64_t) noexcept {
  const size_t count = members.size();
  if (count == 0) return kNobody;
  size_t best = kNobody;
  size_t index = next_ % count;
  for (size_t tries = 0; tries < count; ++tries) {
    if (members[index].usable &&
        (best == kNobody || is_less_loaded(members[index], members[best]))) {
      best = index;
    }
    index = index + 1 == count ? 0 : index + 1;
  }
  if (best != kNobody) next_ = best + 1;
  return best;
}

}  // namespace sluice::upstream::balance
