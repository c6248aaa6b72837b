// Choosing one of a pool's endpoints: the interface of all algorithms, which are pure.
//
// An algorithm sees a table of values and yields an index. What the caller then cannot use (another
// worker took its last place) it marks as not usable and asks again, so a choice takes at most as
// many rounds as there are members, and no algorithm walks in circles.
// Owner: a Pool, one object a worker and group; cursors are therefore per worker. No allocation
// after the first choice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "sluice/base/clock.h"
#include "sluice/config/config.h"

namespace sluice::upstream::balance {

inline constexpr uint32_t kWholeShare = 256;

// One endpoint, as values. Which of the values are filled in, Balancer::needs() says.
struct Member {
  bool usable = false;
  uint32_t share = kWholeShare;   // how far slow start has come, of kWholeShare; never 0
  uint32_t weight = kWholeShare;  // weight in 1/256, scaled by share
  uint32_t in_flight = 0;         // on all workers
  uint64_t hash = 0;              // of its identity
  uint64_t latency_ns = 0;        // ewma as of the last observation; 0: unknown
  Duration latency_age{0};        // since that observation
};
using Members = std::span<const Member>;

enum Needs : uint8_t { kNeedsNothing = 0, kNeedsInFlight = 1, kNeedsLatency = 2, kNeedsHash = 4 };

inline constexpr size_t kNobody = SIZE_MAX;

class Balancer {
 public:
  virtual ~Balancer() = default;
  // The member for a request, or kNobody when none is usable. `hash` is of the request's key.
  virtual size_t choose(Members members, uint64_t hash) noexcept = 0;
  // Values it reads besides usable, share and weight.
  virtual uint8_t needs() const noexcept { return kNeedsNothing; }
};

// `turn`: where cursors start, and the seed of what is random. Workers get different ones.
std::unique_ptr<Balancer> make_balancer(config::Balance::Kind kind, uint64_t turn);

// Less work for its weight: in_flight / weight compared without a division.
inline bool is_less_loaded(const Member& a, const Member& b) noexcept {
  return uint64_t{a.in_flight} * b.weight < uint64_t{b.in_flight} * a.weight;
}

}  // namespace sluice::upstream::balance
