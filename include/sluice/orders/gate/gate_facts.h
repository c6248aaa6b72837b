// What a process knows of its stock gate, for /status and /metrics. Plain values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sluice::orders {

// Of one product, as they were compared.
struct GateStock {
  std::string product_id;
  int64_t left = 0;       // units that the gate would still reserve
  int64_t held = 0;       // in reservations whose order is not in the database
  int64_t available = 0;  // in the database
  // More than 0: the gate lets buyers through that the database will refuse. Less: units that
  // nobody can buy.
  int64_t drift() const noexcept { return left + held - available; }
  bool operator==(const GateStock&) const = default;
};

// Of this process, since it started.
struct GateCounts {
  uint64_t reserved = 0;
  uint64_t sold_out = 0;     // refused by the gate, without the database
  uint64_t from_memory = 0;  // refused without Redis
  uint64_t limited = 0;      // refused by the gate for the user's limit
  uint64_t past = 0;         // sent to the database past the gate
  uint64_t refused = 0;      // answered 503 since the gate was away
  uint64_t returned = 0;     // reservations that ended late and were given back
  uint64_t lowered = 0;      // units that comparisons took from the gate: it had too many
  uint64_t built = 0;        // gates that this process built
};

struct GateFacts {
  std::string state;  // open, closed, away
  std::string epoch;  // of the gate that was last open
  int64_t drift = 0;  // units, over all products; as it was last compared
  std::vector<GateStock> stock;
  size_t untold = 0;  // what Redis has not heard yet
  GateCounts counts;
};

}  // namespace sluice::orders
