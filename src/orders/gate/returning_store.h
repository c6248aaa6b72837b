// The store of `work` beside a gate: units that came back in the database are given back to the
// gate, and orders that moved on are written through.
//
// It is told twice, after the order has failed and when its event order.failed is handled, which is
// delivered until that is done: so a worker that was killed in between has lost nothing, and the
// gate takes it once.
#pragma once

#include <memory>

#include "gate_link.h"
#include "gate_teller.h"
#include "read_through.h"
#include "store_layer.h"

namespace sluice::orders {

class ReturningStore final : public StoreLayer {
 public:
  ReturningStore(loop::Loop& loop, std::unique_ptr<ShopStore> below, const redis::Address& address);

  void apply(Event event, Handling handling, Answer<Applied> answer) override;

 private:
  void on_applied(const Event& event, Result<Applied> applied, const Answer<Applied>& answer);

  GateLink link_;
  GateTeller teller_;
  ReadThrough reader_;
};

}  // namespace sluice::orders
