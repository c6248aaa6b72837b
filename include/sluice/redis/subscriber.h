// Messages of Pub/Sub channels, over a connection of its own that comes back by itself.
//
// Owner: who wants the messages. Thread: its loop's. May be destroyed at any time but inside a call
// back of its own. A message published while the subscription is away is lost for good: that is
// what on_lost() is for. A silent connection is pinged, since a server that vanished says nothing.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sluice/loop/loop.h"
#include "sluice/loop/timer.h"
#include "sluice/redis/link.h"

namespace sluice::redis {

// None is called inside a call on the Subscriber. The views are valid inside the call.
class SubscriberEvents {
 public:
  // All channels are subscribed: for the first time, or again after on_lost().
  virtual void on_subscriber_ready() noexcept = 0;
  // Any number of times; of several channels the first may speak before on_subscriber_ready().
  virtual void on_message(std::string_view channel, std::string_view payload) noexcept = 0;
  // Once after each on_subscriber_ready(): messages may be missed from now on.
  virtual void on_subscriber_lost() noexcept = 0;

 protected:
  ~SubscriberEvents() = default;
};

struct SubscriberOptions {
  LinkOptions link;
  std::vector<std::string> channels;           // at least one
  Duration idle = std::chrono::seconds(1);     // nothing came for so long: PING
  Duration silence = std::chrono::seconds(1);  // and nothing came for so long after it: lost
};

class Subscriber final : private LinkEvents {
 public:
  Subscriber(loop::Loop& loop, SubscriberOptions options, SubscriberEvents& events);
  Subscriber(const Subscriber&) = delete;
  Subscriber& operator=(const Subscriber&) = delete;

  void start() { link_.start(); }
  bool is_ready() const noexcept { return is_ready_; }
  // Why it was last lost or could not begin.
  std::string_view last_error() const noexcept { return last_error_; }

 private:
  void on_link_ready() noexcept override;
  void on_link_reply(const Reply& reply) noexcept override;
  void on_link_lost(std::string_view why, bool was_ready) noexcept override;
  void on_subscribed() noexcept;
  void ask(Args args);
  void on_timer() noexcept;
  void give_up(std::string_view why) noexcept;

  loop::Loop& loop_;
  SubscriberOptions options_;
  SubscriberEvents& events_;
  Link link_;
  loop::Timer timer_;
  TimePoint asked_at_{};  // of the SUBSCRIBE or PING whose answer is owed
  bool is_answer_owed_ = false;
  size_t subscribed_ = 0;  // channels
  bool is_ready_ = false;
  std::string last_error_;
};

}  // namespace sluice::redis
