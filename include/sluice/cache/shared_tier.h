// The tier that edge hosts share: which Redis servers there are, and what this process knows of the
// purges that each of them has on record. The whole scheme:
//
//   <prefix>state            hash {epoch: random number, purges: number of the last purge}
//   <prefix>purges           sorted set: text of a purge by its number; the newest ones
//   <prefix>news             channel: "<epoch> <number> <text of the purge>"
//   <prefix>v1:{<key>}       hash: entry records by variant      } <key>: 32 hexadecimal digits
//   <prefix>v1:{<key>}:b:<id>:<n>   one chunk of a body          } of Key::hash
//   <prefix>v1:{<key>}:l     lease of who fetches
//
// Every purge counts one number up, and every entry carries the number (SharedStamp) that the
// server had before its response was asked for. An entry is good if nothing that names it was
// purged since; a server whose state was lost or evicted begins a new epoch, and whatever carries
// another one is not used. So a purge touches no entry, a tag's generation is the number of its
// last purge, and no lost message or deleted key brings back what was purged. All keys expire.
//
// Owner: shared by the purge hub and the workers; made anew when its settings change. Thread: any.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/base/clock.h"
#include "sluice/base/hash.h"
#include "sluice/cache/purge.h"
#include "sluice/cache/tags.h"
#include "sluice/redis/address.h"

namespace sluice::cache {

struct SharedStamp {
  uint64_t epoch = 0;   // 0: not known
  uint64_t number = 0;  // of the last purge then
  bool is_known() const noexcept { return epoch != 0; }
  bool operator==(const SharedStamp&) const = default;
};

struct SharedSettings {
  std::vector<redis::Address> servers;
  Duration timeout = std::chrono::milliseconds(20);     // the most that a look-up may cost
  Duration lease_wait = std::chrono::milliseconds(50);  // ... the fetch of another host; 0: none
  std::string prefix = "sluice:";
};

// The purges of one server, as this process has heard of them.
class PurgeLog {
 public:
  // Up to where it is complete.
  SharedStamp now() const noexcept;

  // Of an entry with `stamp` from a server that says `state` at that moment. While this process
  // has not heard of all that the server has on record: gone.
  Standing standing(const SharedStamp& stamp, const SharedStamp& state,
                    std::span<const EntryTag> tags, std::string_view url) const noexcept;

  // For the hub. Everything with an older stamp is gone: an epoch begins, or purges were missed.
  void begin(const SharedStamp& stamp);
  // The purge that follows now().
  void apply(const PurgeOrder& order);

 private:
  mutable std::mutex mutex_;
  SharedStamp now_;
  SharedStamp floor_;  // nothing is known of what is older
  std::unique_ptr<Purges> purges_;
};

struct SharedServer {
  explicit SharedServer(redis::Address its_address) : address(std::move(its_address)) {}

  const redis::Address address;
  PurgeLog log;
  // Purges of our own, by number in the memory store, that the server may not have yet: what it
  // gives is judged by those after this one too. kNone: it has all.
  static constexpr uint64_t kNone = UINT64_MAX;
  std::atomic<uint64_t> unsent_since{kNone};
  std::atomic<uint32_t> degraded{0};  // workers that get nothing from it
};

class SharedTier {
 public:
  SharedTier(SharedSettings settings, const HashSecret& secret);

  const SharedSettings& settings() const noexcept { return settings_; }
  size_t size() const noexcept { return servers_.size(); }
  SharedServer& server(size_t index) noexcept { return *servers_[index]; }
  const SharedServer& server(size_t index) const noexcept { return *servers_[index]; }
  // Where a key is: by rendezvous hashing, so that one server more or less moves only its share
  // (Thaler and Ravishankar, 1998). The same on all hosts, whatever order they list them in.
  size_t place_of(const Hash128& key) const noexcept;

  // Names in Redis.
  std::string state_key() const { return settings_.prefix + "state"; }
  std::string purges_key() const { return settings_.prefix + "purges"; }
  std::string news_channel() const { return settings_.prefix + "news"; }
  std::string entry_key(const Hash128& key) const;

 private:
  const SharedSettings settings_;
  std::vector<std::unique_ptr<SharedServer>> servers_;
  std::vector<uint64_t> seeds_;
};

}  // namespace sluice::cache
