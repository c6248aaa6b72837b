// What of the events read so far the viewers of /events were told, as text of server-sent events.
// Pure.
//
// Each message has as its id the place up to which nothing is missing any more: who comes back with
// it gets all that came behind. An event that is seen late (PlacedEvent says why) is told late, and
// what was told between may then be told again; whose order has that version knows it.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sluice/base/clock.h"
#include "sluice/orders/event_store.h"

namespace sluice::orders {

class FeedLog {
 public:
  static constexpr size_t kMostRead = 200;  // events in one read
  static constexpr size_t kMostKept = 100;  // messages for those who come anew
  // A place that is empty for so long stays empty: longer than any write may take.
  static constexpr Duration kSettled = OrderStore::kPatience + std::chrono::seconds(1);

  // The messages of what is new in the answer to recent_events(position(), kMostRead). More than
  // that between two reads is no longer told one by one, but as an event "skipped".
  std::string take(const std::vector<PlacedEvent>& read, TimePoint now);
  // For one who was told everything up to that place; nullopt: nothing yet.
  std::string since(std::optional<int64_t> after) const;
  int64_t position() const noexcept { return settled_; }

 private:
  struct Message {
    int64_t seq;
    std::string text;
  };
  void settle(TimePoint now);

  bool has_begun_ = false;
  int64_t settled_ = 0;                // all up to here was told, or will never come
  int64_t highest_ = 0;                // told
  std::map<int64_t, TimePoint> told_;  // places behind settled_
  std::deque<Message> kept_;           // as they were told
};

// For everybody to see: the order, its status and its lines, and nothing of who ordered.
std::string feed_message(int64_t id, const Event& event);

}  // namespace sluice::orders
