// Follows the purges that a server has on record: into its PurgeLog and the memory tier, in order,
// each once, and what was missed as a flush of the memory tier. Private to cache.
//
// Owner: a PurgeLink. Thread: control. It reads and writes nothing by itself: it is told what came
// and says what is wanted.
//   kUnknown --the first page--> kBehind --the last page--> kCurrent --a gap, another epoch-->
//   kBehind any --lose_sight()--> kUnknown
//
// The log always hears before the memory tier. A worker notes started = last() of the memory
// store's purges, then reads an entry from the server, then asks the log. If the log knows the
// purge by then, the entry is gone; if not, the memory tier gives the purge a number above
// `started` later, and takes the entry for older than the purge.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "purge_outbox.h"
#include "purge_script.h"
#include "sluice/cache/cache.h"
#include "sluice/cache/shared_tier.h"
#include "sluice/loop/loop.h"
#include "sluice/stats/counters.h"

namespace sluice::cache {

class PurgeFollower {
 public:
  enum class State : uint8_t { kUnknown, kBehind, kCurrent };
  enum class Next : uint8_t { kNothing, kLook };

  // What it works on. `name`: of the server, for the log.
  struct Parts {
    loop::Loop& loop;
    Cache& cache;
    SharedServer& server;
    stats::Counters& counters;
    std::string name;
  };
  explicit PurgeFollower(Parts parts) : parts_(std::move(parts)) {}

  // Of the memory tier: up to where it has heard of this server already.
  void carry_on_from(const SharedStamp& stamp) noexcept { memory_ = stamp; }
  // Nothing of this server is to be used from now on.
  void lose_sight();

  // For a look that begins now: up to where the purges are known. One look at a time.
  const SharedStamp& ask() noexcept { return asked_ = known_; }
  // The page that it brought.
  Next on_page(const PurgePage& page);
  // A message. While purges of ours are being written it may be about one of them, and the answer
  // to that, which is to come, tells: nothing is done until has_missed() is asked.
  Next on_message(std::string_view payload, bool is_writing);
  // Purges of ours were written, the last of them by that number. kLook: others are in between;
  // when they have been looked at, the log has ours too.
  Next on_written(const SharedStamp& last, const std::vector<const PurgeOutbox::Item*>& items);
  // After the writing: was there a message of what is still not known?
  bool has_missed() noexcept;

  State state() const noexcept { return state_; }
  const SharedStamp& known() const noexcept { return known_; }    // of the log
  const SharedStamp& memory() const noexcept { return memory_; }  // never behind known()
  uint64_t received() const noexcept { return received_; }        // purges of others

 private:
  enum class Flush : uint8_t { kEpoch, kGap, kContact };

  void begin_epoch(const PurgePage& page);
  void begin(const SharedStamp& stamp);
  void take(const NumberedPurge& purge, const SharedStamp& state);
  void skip_to(uint64_t number, const SharedStamp& state);
  void apply(const PurgeOrder& order);
  void flush(Flush why, const SharedStamp& state);
  bool is_own(uint64_t number) const noexcept;

  Parts parts_;
  State state_ = State::kUnknown;
  SharedStamp known_;
  SharedStamp memory_;
  SharedStamp asked_;
  SharedStamp heard_;  // what messages spoke of during the writing
  SharedStamp own_;    // the last of those that we wrote, which the memory tier has
  uint64_t own_count_ = 0;
  uint64_t received_ = 0;
};

}  // namespace sluice::cache
