// Tells Redis what became of orders, until it has heard it.
//
// Owner: a gated store; thread: its loop's. What is told may be told twice: the scripts know it.
// What cannot be told now waits here, in its order, and is lost with the process: a reservation is
// then settled by a sweeper, a unit that came back by the event order.failed, or by a repair.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "gate_link.h"
#include "sluice/loop/timer.h"
#include "sluice/orders/order.h"

namespace sluice::orders {

class GateTeller {
 public:
  static constexpr size_t kMostWaiting = 20'000;

  explicit GateTeller(GateLink& link);
  GateTeller(const GateTeller&) = delete;
  GateTeller& operator=(const GateTeller&) = delete;

  struct Settlement {
    std::string key;
    std::string_view verdict;  // accepted, replayed, refused
    std::string epoch;         // that the process knew when the order went to the database
    std::string user;          // "": not counted
    std::vector<OrderLine> units;
  };
  // `heard` may be nullptr; else it is called once, when Redis has heard it or it has to wait.
  void settle(const Settlement& settlement, std::function<void()> heard = nullptr);
  // `id` names what happened: it is told once, whoever tells it.
  void raise(const std::string& id, const std::string& user, const std::vector<OrderLine>& units,
             std::function<void()> heard = nullptr);

  // What waits to be told.
  size_t waiting() const noexcept { return waiting_.size(); }
  void retry();

 private:
  struct Message {
    GateScript script;
    std::vector<std::string> values;
    int failures = 0;
  };

  void tell(Message message, std::function<void()> heard);
  void keep(Message message);
  void on_timer() noexcept { retry(); }

  GateLink& link_;
  std::deque<Message> waiting_;
  loop::Timer timer_;
};

// Units of each product, by its id.
std::vector<OrderLine> units_of(const std::vector<OrderLine>& lines);

}  // namespace sluice::orders
