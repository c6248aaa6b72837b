// `sluice-orders repair`: shows how gate and database differ, and builds the gate anew from the
// database. Orders go past the gate, or are refused, while that lasts.
//
// Owner: main(). Every line goes to stdout; it ends within kPatience.
#pragma once

#include <string>

#include "sluice/base/clock.h"

namespace sluice::orders {

struct RepairOptions {
  std::string database;  // URL
  std::string stock;     // URL
  bool is_dry = false;   // only compare
};

class Repair {
 public:
  static constexpr Duration kPatience = std::chrono::seconds(20);

  explicit Repair(RepairOptions options) : options_(std::move(options)) {}

  // The exit code: 0 when there is no difference now.
  int run();

 private:
  RepairOptions options_;
};

}  // namespace sluice::orders
