// Builds the gate from the database: available units, minus reservations that are still open, and
// the keys that have an order. One builder at a time holds the lock.
//
//   begin (lock, close) -> stock -> reservations without an order -> keys, page by page -> install
// The order matters: what changes in between may make the gate say too much, never too little.
// Owner: a GateDoor, or the repair; thread: its loop's. One build at a time. Both stores outlive
// it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "gate_link.h"
#include "sluice/orders/open_store.h"

namespace sluice::orders {

class GateBuilder {
 public:
  enum class End : uint8_t {
    open,    // there is a gate of that epoch, ours or another one
    locked,  // somebody else builds
    failed,  // Redis or the database
  };
  using Done = std::function<void(End end, const std::string& epoch, bool is_ours)>;

  GateBuilder(GateLink& link, ShopStore& store, std::string owner)
      : link_(link), store_(store), owner_(std::move(owner)) {}
  GateBuilder(const GateBuilder&) = delete;
  GateBuilder& operator=(const GateBuilder&) = delete;

  bool is_building() const noexcept { return done_ != nullptr; }
  // `replaced`: the epoch of a gate that is not good; "": only where there is none.
  void build(const std::string& replaced, Done done);

 private:
  void on_begun(const GateReply& reply);
  void read_stock();
  void ask_for_orders();
  void learn_keys(PlacedKey last);
  void on_page(std::vector<PlacedKey> page);
  void install();
  void end(End end, const std::string& epoch = {}, bool is_ours = false);

  GateLink& link_;
  ShopStore& store_;
  std::string owner_;
  std::string token_;  // of this build: a command that comes late belongs to none
  int builds_ = 0;
  Done done_;
  std::vector<std::string> held_;  // keys of reservations, then of those without an order
  std::vector<Product> products_;
};

}  // namespace sluice::orders
