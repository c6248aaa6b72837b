#include "sluice/upstream/balance/ewma.h"

#include <algorithm>
#include <cmath>

#include "sluice/upstream/balance/random_two.h"

namespace sluice::upstream::balance {

namespace {

double remaining(Duration since) noexcept {
  if (since <= Duration{0}) return 1;
  return std::exp(-static_cast<double>(since.count()) / static_cast<double>(kEwmaDecay.count()));
}

double mean_latency(Members members) noexcept {
  double sum = 0;
  int known = 0;
  for (const Member& member : members) {
    if (!member.usable || member.latency_ns == 0) continue;
    sum += ewma_faded(member.latency_ns, member.latency_age);
    ++known;
  }
  return known == 0 ? 1 : sum / known;
}

double cost(const Member& member, Members members) noexcept {
  const double latency = member.latency_ns == 0 ? mean_latency(members)
                                                : ewma_faded(member.latency_ns, member.latency_age);
  return latency * (member.in_flight + 1.0) / member.weight;
}

}  // namespace

uint64_t ewma_observe(uint64_t average_ns, Duration since, Duration latency) noexcept {
  const uint64_t seen = static_cast<uint64_t>(std::max<int64_t>(latency.count(), 1));
  if (seen >= average_ns) return seen;
  const double kept = remaining(since);
  return static_cast<uint64_t>(static_cast<double>(seen) +
                               static_cast<double>(average_ns - seen) * kept);
}

double ewma_faded(uint64_t average_ns, Duration since) noexcept {
  return static_cast<double>(average_ns) * remaining(since);
}

size_t Ewma::choose(Members members, uint64_t) noexcept {
  const auto [first, second] = two_at_random(members, random_);
  if (second == kNobody) return first;
  return cost(members[second], members) < cost(members[first], members) ? second : first;
}

}  // namespace sluice::upstream::balance
