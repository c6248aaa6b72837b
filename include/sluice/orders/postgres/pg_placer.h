// Writes orders in groups: what came while the last groups were on their way shares the next one,
// which is one transaction. A row of stock that all want is locked once a group, not once an order.
//
// Owner: the store; thread: its loop's. The life of an order here:
//   wait -> read (keys, products: one round trip) -> answered: replayed, key_reused,
//           unknown_product, sold_out, user_limit; or waits again when the group wants more than
//           there is -> write (place_orders(): one round trip) -> accepted
// Who wants what has just been sold out does not wait for groups: such orders are only looked at,
// in groups of their own, and wait with the others when there is some again.
//
// Verdicts but `accepted` come from the read alone. The write checks all of it again and does
// everything or nothing; when the world has changed in between it is read anew.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sluice/base/clock.h"
#include "sluice/orders/order_store.h"
#include "sluice/orders/postgres/pg_caller.h"

namespace sluice::orders {

class PgPlacer {
 public:
  static constexpr size_t kMostInGroup = 128;
  static constexpr size_t kGroups = 2;  // at once
  // A second group begins beside the first only for so many orders, or for one that waits so long:
  // two groups that want one row of stock take turns, and a larger group costs no more.
  static constexpr size_t kEnough = 64;
  static constexpr Duration kLongWait = std::chrono::milliseconds(250);
  static constexpr size_t kRoom = 4096;

  PgPlacer(loop::Loop& loop, PgCaller& caller);
  PgPlacer(const PgPlacer&) = delete;
  PgPlacer& operator=(const PgPlacer&) = delete;

  void place(NewOrder order, Answer<Placed> answer);
  size_t waiting() const noexcept { return queue_.size() + looks_.size(); }

 private:
  struct Waiting {
    NewOrder asked;
    Answer<Placed> answer;
    TimePoint deadline;
    int tries = 0;
    bool is_alone = false;  // a group with it was refused for what may be its fault
    Order order;            // made by judge()
    StoredReply reply;      // the same
  };
  struct Group {
    std::vector<Waiting> orders;
    TimePoint deadline;
    WallTime now;
    bool is_look = false;
  };
  using GroupPtr = std::shared_ptr<Group>;
  class Judge;

  void begin_groups();
  bool may_begin() noexcept;
  void begin_look();
  bool is_scarce(const NewOrder& order) const noexcept;
  GroupPtr next_group(std::deque<Waiting>& queue);
  void read(const GroupPtr& group);
  void judge(const GroupPtr& group, const PgReply& found);
  void write(const GroupPtr& group);
  void on_written(const GroupPtr& group, PgReply reply);
  void try_again(const GroupPtr& group, const PgFailure& why);
  void fail(const GroupPtr& group, const PgFailure& why);
  void end(const GroupPtr& group);

  loop::Loop& loop_;
  PgCaller& caller_;
  std::deque<Waiting> queue_;
  size_t groups_ = 0;  // under way
  std::deque<Waiting> looks_;
  bool is_looking_ = false;
  // Products that somebody wanted more of than there was, and how much that was. A hint only.
  std::map<std::string, int64_t, std::less<>> scarce_;
};

}  // namespace sluice::orders
