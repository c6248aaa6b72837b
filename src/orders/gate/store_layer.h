// A store over a store, which passes on all that it does not change.
//
// Owns the store below. Thread, answers and errors as order_store.h says.
#pragma once

#include <memory>
#include <utility>

#include "sluice/orders/open_store.h"

namespace sluice::orders {

class StoreLayer : public ShopStore {
 public:
  explicit StoreLayer(std::unique_ptr<ShopStore> below) : below_(std::move(below)) {}

  void place(NewOrder order, Answer<Placed> answer) override {
    below_->place(std::move(order), std::move(answer));
  }
  void restock(std::string product_id, int64_t quantity,
               Answer<std::optional<Product>> answer) override {
    below_->restock(std::move(product_id), quantity, std::move(answer));
  }
  void products(Answer<std::vector<Product>> answer) override {
    below_->products(std::move(answer));
  }
  void product(std::string id, Answer<std::optional<Product>> answer) override {
    below_->product(std::move(id), std::move(answer));
  }
  void order(std::string id, Answer<std::optional<Order>> answer) override {
    below_->order(std::move(id), std::move(answer));
  }
  void orders_of(std::string user_id, Answer<std::vector<Order>> answer) override {
    below_->orders_of(std::move(user_id), std::move(answer));
  }
  void totals(Answer<Totals> answer) override { below_->totals(std::move(answer)); }
  void ping(Answer<Ok> answer) override { below_->ping(std::move(answer)); }
  size_t queue_depth() const noexcept override { return below_->queue_depth(); }
  std::string_view text() const noexcept override { return below_->text(); }

  void take_unsent(size_t most, Duration lease, Answer<std::vector<TakenEvent>> answer) override {
    below_->take_unsent(most, lease, std::move(answer));
  }
  void mark_sent(std::vector<std::string> event_ids, Answer<Ok> answer) override {
    below_->mark_sent(std::move(event_ids), std::move(answer));
  }
  void give_back(std::vector<std::string> event_ids, Duration after, Answer<Ok> answer) override {
    below_->give_back(std::move(event_ids), after, std::move(answer));
  }
  void outbox_depth(Answer<OutboxDepth> answer) override {
    below_->outbox_depth(std::move(answer));
  }
  void recent_events(int64_t after, size_t most,
                     Answer<std::vector<PlacedEvent>> answer) override {
    below_->recent_events(after, most, std::move(answer));
  }
  void apply(Event event, Handling handling, Answer<Applied> answer) override {
    below_->apply(std::move(event), std::move(handling), std::move(answer));
  }
  void park(Event event, std::string consumer, std::string reason, Answer<Ok> answer) override {
    below_->park(std::move(event), std::move(consumer), std::move(reason), std::move(answer));
  }

  void placed_keys(std::vector<std::string> keys,
                   Answer<std::vector<std::string>> answer) override {
    below_->placed_keys(std::move(keys), std::move(answer));
  }
  void keys_after(PlacedKey last, int64_t most, Answer<std::vector<PlacedKey>> answer) override {
    below_->keys_after(std::move(last), most, std::move(answer));
  }

 protected:
  ShopStore& below() noexcept { return *below_; }

 private:
  std::unique_ptr<ShopStore> below_;
};

}  // namespace sluice::orders
