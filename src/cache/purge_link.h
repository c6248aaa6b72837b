// The hub's connections to one server of the shared tier. Private to cache.
//
// Owner: the hub. Thread: control. Lifetime: start(), stop(), and then it is buried or destroyed,
// not inside a call back of its own.
//
// There are two: one for commands, one that is subscribed to the news. A message that was missed
// costs nothing but time, since every purge has a number: a look at the state (the look script)
// tells what is missing. It is taken when a connection is there, when a message does not follow on
// what is known, each second, and four times as often while the subscription is away.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "purge_follower.h"
#include "purge_outbox.h"
#include "purge_writer.h"
#include "sluice/cache/purge_hub.h"
#include "sluice/loop/timer.h"
#include "sluice/redis/client.h"
#include "sluice/redis/script.h"
#include "sluice/redis/subscriber.h"

namespace sluice::cache {

class PurgeLink final : public loop::Buried,
                        private redis::ClientListener,
                        private redis::SubscriberEvents,
                        private redis::ScriptRun,
                        private PurgeWriterEvents {
 public:
  struct Parts {
    loop::Loop& loop;
    Cache& cache;
    stats::Counters& counters;
    std::shared_ptr<SharedTier> tier;
    size_t index;  // of its server
    std::shared_ptr<PurgeOutbox> outbox;
    PurgeHubOptions options;
  };
  explicit PurgeLink(Parts parts);

  // `heard`: up to where the memory tier has followed this server before, if it has.
  void start(const SharedStamp& heard);
  void stop();
  // The outbox has something.
  void pump() { writer_.pump(); }
  // It can be written to.
  bool is_ready() const noexcept { return client_.is_ready(); }
  // The last time that all its purges were known; not set: they never were.
  TimePoint seen_at() const noexcept { return seen_at_; }

  // The same for the server under other settings, so that who comes after may go on from here.
  static std::string identity_of(const SharedTier& tier, size_t index);
  std::string identity() const { return identity_of(*parts_.tier, parts_.index); }
  const std::string& name() const noexcept { return name_; }
  const std::shared_ptr<PurgeOutbox>& outbox() const noexcept { return parts_.outbox; }
  const SharedStamp& heard() const noexcept { return follower_.memory(); }
  SharedServerFacts facts() const;
  const std::shared_ptr<SharedTier>& tier() const noexcept { return parts_.tier; }
  redis::Client& client() noexcept { return client_; }

 private:
  // INFO memory, which may be forbidden.
  class Info final : public redis::Call {
   public:
    explicit Info(PurgeLink& link) : link_(link) {}

   private:
    void on_reply(const redis::Reply& reply) noexcept override { link_.on_info(reply.text()); }
    void on_failed(redis::Fault, std::string_view) noexcept override {}
    PurgeLink& link_;
  };
  // What is wrong, and what of it stands in the log.
  struct Trouble {
    std::string looking;  // why the last look failed; empty: it did not
    std::string writing;
    bool is_waiting_told = false;
    bool is_deaf_told = false;
    uint64_t first_waiting = UINT64_MAX;  // the oldest purge that waited when the timer came last
    uint64_t collapses = 0;
  };
  struct Subscription {
    TimePoint lost_at{};      // not set: it is there, or never was
    uint64_t lost_count = 0;  // purges received until then
  };

  void on_client_ready() noexcept override;
  void on_client_lost() noexcept override;
  void on_subscriber_ready() noexcept override { look(); }
  void on_message(std::string_view channel, std::string_view payload) noexcept override;
  void on_subscriber_lost() noexcept override;
  void on_info(std::string_view info) noexcept;
  void on_timer() noexcept;

  void follow(PurgeFollower::Next next);
  void look();
  void on_script_reply(const redis::Reply& reply) noexcept override;
  void on_script_failed(redis::Fault fault, std::string_view text) noexcept override;
  void on_current();
  void on_write_end(PurgeFollower::Next next, std::string_view why) noexcept override;

  bool is_subscribed() const noexcept { return subscriber_ != nullptr && subscriber_->is_ready(); }
  std::string_view last_error() const noexcept;
  void tell_back();
  void tell_waiting();
  void tell_deaf();
  void weigh();

  const Parts parts_;
  const std::string name_;
  PurgeFollower follower_;
  redis::Client client_;
  redis::Script script_;  // the look
  Info info_{*this};
  PurgeWriter writer_;
  std::unique_ptr<redis::Subscriber> subscriber_;  // until stop()
  loop::Timer timer_;
  Random random_;
  bool has_looked_ = false;  // since the connection is there
  bool wants_look_ = false;  // another one after the one under way
  TimePoint seen_at_{};
  TimePoint renew_at_{};  // the expiry of the keys
  Subscription subscription_;
  Trouble trouble_;
  bool is_up_ = false;
  WallTime since_ = wall_now();
  std::string warning_;
};

}  // namespace sluice::cache
