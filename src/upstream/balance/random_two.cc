#include "sluice/upstream/balance/random_two.h"

namespace sluice::upstream::balance {

namespace {

// The usable member number `rank`; there are more than `rank`.
size_t usable_at(Members members, size_t rank) noexcept {
  size_t index = 0;
  for (;; ++index) {
    if (!members[index].usable) continue;
    if (rank-- == 0) return index;
  }
}

}  // namespace

std::pair<size_t, size_t> two_at_random(Members members, Random& random) noexcept {
  size_t usable = 0;
  for (const Member& member : members) usable += member.usable ? 1 : 0;
  if (usable == 0) return {kNobody, kNobody};
  const size_t first = random.below(usable);
  if (usable == 1) return {usable_at(members, first), kNobody};
  size_t second = random.below(usable - 1);
  if (second >= first) ++second;
  return {usable_at(members, first), usable_at(members, second)};
}

size_t RandomTwo::choose(Members members, uint64_t) noexcept {
  const auto [first, second] = two_at_random(members, random_);
  if (second == kNobody) return first;
  const Member& a = members[first];
  const Member& b = members[second];
  if (is_less_loaded(a, b)) return first;
  if (is_less_loaded(b, a)) return second;
  if (a.weight == b.weight) return first;
  return random_.below(uint64_t{a.weight} + b.weight) < a.weight ? first : second;
}

}  // namespace sluice::upstream::balance
