// The two jobs that look after the gate while it is open: the sweeper settles reservations whose
// process never said what became of the order, by what the database says; and the comparison keeps
// the drift up to date. A gate that says too much is lowered to what the database has, as after
// each order that the database refused. One that says too little is for people to mend (repair.h).
//
// Owner: the gated store; thread: its loop's. Any number of processes may run both.
#pragma once

#include <vector>

#include "gate_compare.h"
#include "gate_door.h"
#include "gate_teller.h"
#include "sluice/loop/timer.h"

namespace sluice::orders {

class GateWatch {
 public:
  GateWatch(GateLink& link, ShopStore& store, GateDoor& door);
  GateWatch(const GateWatch&) = delete;
  GateWatch& operator=(const GateWatch&) = delete;

  void start();
  uint64_t returned() const noexcept { return returned_; }
  uint64_t lowered() const noexcept { return lowered_; }
  // What the last comparison that was worth something found. A difference counts when two in a row
  // find it: units come back in the database a moment before they come back here.
  int64_t drift() const noexcept { return drift_; }
  const std::vector<GateStock>& stock() const noexcept { return stock_; }

 private:
  void on_sweep() noexcept;
  void on_expired(const GateReply& reply);
  void settle(const std::string& key, bool is_placed);
  void on_compare() noexcept;
  void on_compared(const GateComparison& found);
  void lower(const GateComparison& found, const GateStock& stock);

  GateLink& link_;
  ShopStore& store_;
  GateDoor& door_;
  GateCompare compare_;
  loop::Timer sweep_timer_, compare_timer_;
  uint64_t returned_ = 0;
  uint64_t lowered_ = 0;
  int64_t drift_ = 0;
  std::vector<GateStock> stock_;
};

}  // namespace sluice::orders
