// Where stock and orders are kept: the database, which is the truth.
//
// Owner: the server; thread: all calls and all answers on its loop. An answer comes once, never
// inside the call, and not after the store was destroyed. Errors of every call:
//   kQueueFull     too many calls wait already; nothing was done
//   kQueueTimeout  other writers held the database for kPatience; nothing was done
//   kSystem        the database failed (logged by the store). Whether an order was placed is then
//                  unknown: the same key, sent again, finds out
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/base/clock.h"
#include "sluice/base/error.h"
#include "sluice/orders/order.h"

namespace sluice::orders {

template <typename T>
using Answer = std::function<void(Result<T>)>;

class OrderStore {
 public:
  // How long a call may wait for the database.
  static constexpr Duration kPatience = std::chrono::seconds(2);
  // The newest of a user's orders that are listed.
  static constexpr int64_t kMostListed = 1000;

  virtual ~OrderStore() = default;

  // One transaction: the stock of all lines is taken and the order written, or nothing happens.
  // Accepted is said after the commit.
  virtual void place(NewOrder order, Answer<Placed> answer) = 0;
  // The product after it; nullopt when there is none of that id.
  virtual void restock(std::string product_id, int64_t quantity,
                       Answer<std::optional<Product>> answer) = 0;

  virtual void products(Answer<std::vector<Product>> answer) = 0;
  virtual void product(std::string id, Answer<std::optional<Product>> answer) = 0;
  virtual void order(std::string id, Answer<std::optional<Order>> answer) = 0;
  // Newest first.
  virtual void orders_of(std::string user_id, Answer<std::vector<Order>> answer) = 0;
  virtual void totals(Answer<Totals> answer) = 0;
  // Whether the database can be read.
  virtual void ping(Answer<Ok> answer) = 0;

  // Writes that wait.
  virtual size_t queue_depth() const noexcept = 0;
  // For people: "sqlite:/var/lib/orders.db".
  virtual std::string_view text() const noexcept = 0;
};

}  // namespace sluice::orders
