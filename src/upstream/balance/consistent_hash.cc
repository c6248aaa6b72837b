#include "sluice/upstream/balance/consistent_hash.h"

#include <cmath>

#include "sluice/base/hash.h"

namespace sluice::upstream::balance {

namespace {

struct Total {
  uint64_t in_flight = 0;
  uint64_t weight = 0;
  bool equal_weights = true;
};

Total total_of(Members members) noexcept {
  Total total;
  uint32_t weight = 0;
  for (const Member& member : members) {
    if (!member.usable) continue;
    if (weight != 0 && member.weight != weight) total.equal_weights = false;
    weight = member.weight;
    total.weight += member.weight;
    total.in_flight += member.in_flight;
  }
  return total;
}

bool is_within_bound(const Member& member, const Total& total) noexcept {
  if (member.in_flight < kLoadFloor) return true;
  const double part = static_cast<double>(member.weight) / static_cast<double>(total.weight);
  return member.in_flight < std::ceil(kLoadBound * static_cast<double>(total.in_flight + 1) * part);
}

// Weighted rendezvous: weight / -ln(u), u uniform in (0, 1). With equal weights u alone gives the
// same order.
double score_of(const Member& member, uint64_t key, bool equal_weights) noexcept {
  const uint64_t drawn = mix64(member.hash, key);
  const double u = (static_cast<double>(drawn >> 11) + 0.5) * 0x1.0p-53;
  return equal_weights ? u : member.weight / -std::log(u);
}

}  // namespace

size_t ConsistentHash::choose(Members members, uint64_t hash) noexcept {
  const Total total = total_of(members);
  size_t best = kNobody;
  size_t best_within = kNobody;
  double best_score = 0;
  double best_within_score = 0;
  for (size_t i = 0; i < members.size(); ++i) {
    if (!members[i].usable) continue;
    const double score = score_of(members[i], hash, total.equal_weights);
    if (best == kNobody || score > best_score) {
      best = i;
      best_score = score;
    }
    if ((best_within == kNobody || score > best_within_score) &&
        is_within_bound(members[i], total)) {
      best_within = i;
      best_within_score = score;
    }
  }
  return best_within != kNobody ? best_within : best;
}

}  // namespace sluice::upstream::balance
