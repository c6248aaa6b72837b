// Writes the purges of an outbox to its server, in order and in batches. Private to cache.
//
// Owner: a PurgeLink. Thread: control. One batch is under way at a time:
//   kIdle --write()--> kSent --acknowledged--> kAcknowledged --the log has it: release--> kIdle
//                      kSent --failed: to be sent again--> kIdle
// A write that has failed may have come in all the same. Then its purges are there twice, which is
// harmless: what is purged again was stored between the two, and is fetched again.
#pragma once

#include <string_view>
#include <vector>

#include "purge_follower.h"
#include "purge_outbox.h"
#include "sluice/base/random.h"
#include "sluice/redis/script.h"
#include "sluice/stats/counters.h"

namespace sluice::cache {

class PurgeWriterEvents {
 public:
  // Once for each batch, not inside a call. `why`: of its failure; empty when it was written.
  virtual void on_write_end(PurgeFollower::Next next, std::string_view why) noexcept = 0;

 protected:
  ~PurgeWriterEvents() = default;
};

class PurgeWriter final : private redis::ScriptRun {
 public:
  struct Parts {
    const SharedTier& tier;
    size_t index;  // of the server
    PurgeOutbox& outbox;
    PurgeFollower& follower;
    stats::Counters& counters;
    PurgeWriterEvents& events;
    size_t kept;        // purges that the server has on record
    Duration patience;  // for an answer
  };
  PurgeWriter(redis::Client& client, Parts parts);

  // No call back from now on; what is under way is to be sent again.
  void stop() noexcept;
  // The next batch, if there is one and it may go.
  void pump();
  // A look has ended: what was acknowledged before is in the log.
  void on_looked();

  bool is_writing() const noexcept { return state_ == State::kSent; }
  uint64_t sent() const noexcept { return sent_; }

 private:
  enum class State : uint8_t { kIdle, kSent, kAcknowledged };

  void write();
  void release();
  void give_back() noexcept;
  void on_script_reply(const redis::Reply& reply) noexcept override;
  void on_script_failed(redis::Fault fault, std::string_view text) noexcept override;

  Parts parts_;
  redis::Script script_;
  Random random_;
  State state_ = State::kIdle;
  std::vector<const PurgeOutbox::Item*> batch_;
  uint64_t sent_ = 0;
};

// What both scripts begin with (purge_script.h): an epoch for a new state, and what is known.
struct PurgeScriptHead {
  PurgeScriptHead(Random& random, const SharedStamp& told);
  std::string epoch, told_epoch, told_number;
  static constexpr std::string_view kKeep = "604800";  // seven days
};

}  // namespace sluice::cache
