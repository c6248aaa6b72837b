// Orders and products, read through Redis: from there while an entry is good, else from the
// database, which also fills the entry.
//
// An entry lives for kLife from the moment in which its reading of the database began, on Redis's
// own clock. So nobody is shown a state that the database left behind longer ago than that, whoever
// was slow, frozen or killed. A state that is never left lives longer.
// Owner: a gated store; thread: its loop's.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "gate_link.h"
#include "sluice/orders/order_store.h"

namespace sluice::orders {

class ReadThrough {
 public:
  static constexpr int64_t kLife = 1000;        // ms
  static constexpr int64_t kLongLife = 10'000;  // of orders that change no more

  ReadThrough(GateLink& link, OrderStore& store) : link_(link), store_(store) {}
  ReadThrough(const ReadThrough&) = delete;
  ReadThrough& operator=(const ReadThrough&) = delete;

  void order(const std::string& id, Answer<std::optional<Order>> answer);
  void products(Answer<std::vector<Product>> answer);
  void product(const std::string& id, Answer<std::optional<Product>> answer);

  // Writes through: it has that version by now, so an older entry is read anew. (A new order has no
  // entry that could be old.)
  void renew(const std::string& id, int64_t version);

 private:
  using Products = std::vector<Product>;

  // `begun_ms` "": Redis did not say, so nothing is written.
  void put(const Order& order, const std::string& begun_ms);
  void order_from_store(const std::string& id, const std::string& now_ms,
                        Answer<std::optional<Order>> answer);
  // nullopt: there is no good view.
  void view(const std::string& id,
            std::function<void(const std::string& now_ms, std::optional<Products>)> then);
  void products_from_store(const std::string& now_ms, Answer<Products> answer);

  GateLink& link_;
  OrderStore& store_;
};

}  // namespace sluice::orders
