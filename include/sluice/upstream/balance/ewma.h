// Peak-sensitive moving average of latency times requests in flight, as in Finagle and Linkerd.
//
// A latency above the average replaces it at once; below, the average follows with a half-life of
// some seconds. So an endpoint that becomes slow is felt with its first slow answer, and without
// answers its average fades, so that it is tried again.
#pragma once

#include "sluice/base/random.h"
#include "sluice/upstream/balance/balancer.h"

namespace sluice::upstream::balance {

inline constexpr Duration kEwmaDecay = std::chrono::seconds(10);
// What an answer that failed is taken to have lasted at least, so that failing fast does not
// attract.
inline constexpr Duration kEwmaPenalty = std::chrono::seconds(1);

// The average after `latency` was seen `since` after the last observation; average 0: the first.
uint64_t ewma_observe(uint64_t average_ns, Duration since, Duration latency) noexcept;
// What is left of an average `since` its last observation.
double ewma_faded(uint64_t average_ns, Duration since) noexcept;

class Ewma final : public Balancer {
 public:
  explicit Ewma(uint64_t seed) noexcept : random_(seed) {}
  // The cheaper of two at random by latency x (in flight + 1) / weight. Who has no latency yet is
  // taken to have the mean of the others.
  size_t choose(Members members, uint64_t hash) noexcept override;
  uint8_t needs() const noexcept override { return kNeedsInFlight | kNeedsLatency; }

 private:
  Random random_;
};

}  // namespace sluice::upstream::balance
