// One server of the shared tier as one worker uses it: the connection, whether it is well, and
// what goes there without anybody waiting for the end.
//
// Owner: the SharedStore. Thread: the worker's loop. What uses it hangs in its list and is told
// when it stops and when it goes; nothing of it may be destroyed inside a call back of its Client.
#pragma once

#include <string>
#include <string_view>

#include "body_pace.h"
#include "shared_put.h"
#include "sluice/base/list.h"
#include "sluice/base/random.h"
#include "sluice/cache/cache.h"
#include "sluice/cache/shared_tier.h"
#include "sluice/loop/loop.h"
#include "sluice/loop/timer.h"
#include "sluice/redis/client.h"
#include "sluice/stats/counters.h"

namespace sluice::cache {

// Who has something under way on a link, or holds a lease there.
class LinkUser : public ListNode<LinkUser> {
 public:
  // At the end of the turn in which it was stopped. May do anything but destroy the link.
  virtual void on_link_stop() noexcept = 0;
  // The last call: the link is there no longer.
  virtual void on_link_gone() noexcept = 0;

 protected:
  ~LinkUser() = default;
};

// Names of what stands beside the hash of that name.
std::string chunk_name(std::string_view name, uint64_t body_id, uint64_t index);
std::string lease_name(std::string_view name);

// What a worker's links share; it all outlives them.
struct SharedWorker {
  loop::Loop& loop;
  Cache& cache;
  stats::Counters& counters;
};

class SharedLink final : private redis::ClientListener, private loop::Loop::TurnEnd {
 public:
  SharedLink(const SharedWorker& worker, const SharedSettings& settings, SharedServer& server);
  ~SharedLink();
  SharedLink(const SharedLink&) = delete;
  SharedLink& operator=(const SharedLink&) = delete;

  void start();
  void stop() noexcept;

  bool is_up() const noexcept { return client_.health().is_up; }
  // After something failed or went well: the client does not tell when its breaker moves.
  void look_at_health() noexcept;
  void add(LinkUser& user) noexcept { users_.push_back(user); }

  loop::Loop& loop() noexcept { return worker_.loop; }
  Cache& cache() noexcept { return worker_.cache; }
  stats::Counters& counters() noexcept { return worker_.counters; }
  redis::Client& client() noexcept { return client_; }
  SharedWriter& writer() noexcept { return writer_; }
  BodyPace& pace() noexcept { return pace_; }
  const SharedSettings& settings() const noexcept { return settings_; }
  const SharedServer& server() const noexcept { return server_; }
  uint64_t random() noexcept { return random_.next(); }

  const std::string& state_name() const noexcept { return state_name_; }
  std::string name_of(const Hash128& key) const;

  // A command whose end nobody waits for.
  void run_errand(redis::Args args);
  void run_errand(std::initializer_list<redis::Arg> args) {
    run_errand(redis::Args(args.begin(), args.size()));
  }
  // Deletes the lease of the key of that name, if it is still the one with this token.
  void drop_lease(std::string_view name, std::string_view token);

 private:
  class Errand;
  // The breaker lets one command through now and then: this one, since nobody asks a server that
  // is not well.
  class Probe final : public redis::Call {
   public:
    explicit Probe(SharedLink& link) noexcept : link_(link) {}

   private:
    void on_reply(const redis::Reply&) noexcept override { link_.look_at_health(); }
    void on_failed(redis::Fault, std::string_view) noexcept override { link_.look_at_health(); }
    SharedLink& link_;
  };

  void on_client_ready() noexcept override { look_at_health(); }
  void on_client_lost() noexcept override { look_at_health(); }
  void on_turn_end() noexcept override;
  void on_timer() noexcept;
  void set_degraded(bool is_degraded) noexcept;

  const SharedWorker worker_;
  const SharedSettings& settings_;
  SharedServer& server_;
  const std::string state_name_;
  redis::Client client_;
  Random random_;
  List<LinkUser> users_;
  SharedWriter writer_;
  BodyPace pace_;
  Probe probe_;
  loop::Timer timer_;  // until the next probe
  bool is_started_ = false;
  bool is_degraded_ = false;  // counted in the server's `degraded`
};

}  // namespace sluice::cache
