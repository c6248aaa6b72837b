#include "sluice/upstream/balance/balancer.h"

#include "sluice/upstream/balance/consistent_hash.h"
#include "sluice/upstream/balance/ewma.h"
#include "sluice/upstream/balance/least_conn.h"
#include "sluice/upstream/balance/random_two.h"
#include "sluice/upstream/balance/round_robin.h"
#include "sluice/upstream/balance/weighted.h"

namespace sluice::upstream::balance {

std::unique_ptr<Balancer> make_balancer(config::Balance::Kind kind, uint64_t turn) {
  switch (kind) {
    case config::Balance::Kind::kRoundRobin:
      return std::make_unique<RoundRobin>(turn);
    case config::Balance::Kind::kWeighted:
      return std::make_unique<Weighted>(turn);
    case config::Balance::Kind::kLeastConn:
      return std::make_unique<LeastConn>(turn);
    case config::Balance::Kind::kRandomTwo:
      return std::make_unique<RandomTwo>(turn);
    case config::Balance::Kind::kEwma:
      return std::make_unique<Ewma>(turn);
    case config::Balance::Kind::kConsistentHash:
      return std::make_unique<ConsistentHash>();
  }
  return nullptr;
}

}  // namespace sluice::upstream::balance
