// Compares the gate with the database: for each product what the gate would reserve, what open
// reservations hold, and what the database has.
//
// Redis and the database have no common moment. So both are read twice, and what changed in between
// makes the comparison void. Owner: the gated store or the repair; thread: its loop's. One
// comparison at a time.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "gate_link.h"
#include "sluice/orders/gate/gate_facts.h"
#include "sluice/orders/open_store.h"

namespace sluice::orders {

struct GateComparison {
  std::string epoch;
  std::vector<GateStock> stock;
  std::map<std::string, std::string> raises;  // by product, before the database was asked
  int64_t drift() const noexcept;             // units, over all products
};

class GateCompare {
 public:
  // nullopt: the gate is not open, something failed, or it was busy each time.
  using Done = std::function<void(const std::optional<GateComparison>&)>;

  GateCompare(GateLink& link, ShopStore& store) : link_(link), store_(store) {}
  GateCompare(const GateCompare&) = delete;
  GateCompare& operator=(const GateCompare&) = delete;

  bool is_comparing() const noexcept { return done_ != nullptr; }
  void compare(Done done);

 private:
  using Keys = std::vector<std::string>;
  // What Redis said.
  struct Gate {
    std::string epoch, ops;
    std::vector<std::pair<std::string, int64_t>> left;
    Keys keys;                                 // of reservations
    std::vector<std::vector<GateStock>> held;  // their units, beside the keys
    std::map<std::string, std::string> raises;
  };

  void attempt();
  void on_gate(const GateReply& reply);
  void read_placed(Keys* placed, std::function<void()> next);
  void read_stock();
  void look_again();
  void conclude();
  void end(const std::optional<GateComparison>& result);

  GateLink& link_;
  ShopStore& store_;
  Done done_;
  int tries_ = 0;
  Gate gate_;
  Keys placed_before_, placed_after_;
  std::vector<Product> products_;
};

}  // namespace sluice::orders
