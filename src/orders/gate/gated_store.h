// The store of `serve` with the gate before it. An order's way:
//
//   place() -> memory: sold out, and the key is not known ------------------> 409
//           -> the gate reserves, or says no -------------------------------> 409, 429
//           -> the database decides -> settled at the gate; the answer does not wait for that
//   While the gate is away or closed: past it to the database, some at a time, or 503.
//
// A key that may have an order always goes to the database, which knows what was answered to it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gate_door.h"
#include "gate_link.h"
#include "gate_teller.h"
#include "gate_watch.h"
#include "past_gate.h"
#include "read_through.h"
#include "sluice/orders/gate/stock_gate.h"
#include "sluice/redis/subscriber.h"
#include "sold_out_memory.h"
#include "store_layer.h"

namespace sluice::orders {

class GatedStore final : public StoreLayer, private redis::SubscriberEvents {
 public:
  GatedStore(loop::Loop& loop, std::unique_ptr<ShopStore> below, const GateOptions& options,
             std::string owner);

  void place(NewOrder order, Answer<Placed> answer) override;
  void restock(std::string product_id, int64_t quantity,
               Answer<std::optional<Product>> answer) override;
  void products(Answer<std::vector<Product>> answer) override;
  void product(std::string id, Answer<std::optional<Product>> answer) override;
  void order(std::string id, Answer<std::optional<Order>> answer) override;
  void totals(Answer<Totals> answer) override;

 private:
  // An order on its way.
  struct Purchase {
    NewOrder order;
    std::vector<OrderLine> units;  // by product
    Answer<Placed> answer;
    std::string epoch;                // of the gate, when it went to the database
    std::vector<std::string> raises;  // of each product, when it was reserved
    bool is_reserved = false;
    bool is_maybe_reserved = false;  // the gate was asked and did not answer
  };
  using Buy = std::shared_ptr<Purchase>;

  const OrderLine* sold_out_line(const Purchase& buy);
  void remember(Buy buy);
  void answer_remembered();
  void ask_gate(const Buy& buy);
  void on_reserved(const Buy& buy, TimePoint asked_at, const GateReply& reply);
  void on_sold_out(const Buy& buy, TimePoint asked_at, const GateReply& reply);
  void refuse_sold_out(const Buy& buy, const OrderLine& line, int64_t left);
  void go_past(const Buy& buy);
  void to_database(const Buy& buy, std::function<void()> done);
  void settle(const Purchase& buy, const Result<Placed>& placed);
  void lower(const Purchase& buy, const Placed& placed);
  void on_gate_open(bool is_new);

  void on_subscriber_ready() noexcept override { memory_.set_listening(true); }
  void on_message(std::string_view channel, std::string_view product_id) noexcept override;
  void on_subscriber_lost() noexcept override { memory_.set_listening(false); }

  loop::Loop& loop_;
  GateOptions options_;
  std::string owner_;
  GateLink link_;
  redis::Subscriber subscriber_;
  GateTeller teller_;
  GateDoor door_;
  GateWatch watch_;
  ReadThrough reader_;
  PastGate past_;
  SoldOutMemory memory_;
  std::vector<Buy> remembered_;  // refused from memory at the end of the turn
  GateCounts counts_;
  std::shared_ptr<Ok> alive_ = std::make_shared<Ok>();
};

}  // namespace sluice::orders
