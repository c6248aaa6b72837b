// What the replies of a server of the shared tier say of one key: which record answers a request,
// and whether it may. No I/O; the replies are input.
//
// Thread: the worker's.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "sluice/base/arena.h"
#include "sluice/base/chain.h"
#include "sluice/cache/entry_codec.h"
#include "sluice/cache/shared_tier.h"
#include "sluice/cache/store_redis.h"
#include "sluice/http/message.h"
#include "sluice/redis/resp.h"

namespace sluice::cache {

// Of HMGET state epoch purges. Not known when the server has none (the hub makes it), or garbage.
SharedStamp read_state(const redis::Reply& reply) noexcept;

// The clock of who wrote a record may be ahead of ours: its times as a look-up takes them. False:
// that is no clock, and the record is of no use.
bool bring_back(EntryTimes& times, WallTime now) noexcept;

// Whose word counts: the purges of this process and those of the server, as of now.
class SharedJudge {
 public:
  SharedJudge(const Purges& purges, const SharedServer& server, const SharedStamp& state) noexcept;

  Standing standing(const SharedStamp& stamp, std::span<const EntryTag> tags,
                    std::string_view url) const noexcept;
  // EntrySpec::started of what it let pass.
  uint64_t started() const noexcept { return started_; }

 private:
  const Purges& purges_;
  const SharedServer& server_;
  const SharedStamp state_;
  const uint64_t started_;
  const uint64_t unsent_since_;
};

struct SharedQuestion {
  const Key& key;
  const http::FieldList& request;
  const SharedJudge& judge;
  WallTime now;
};

struct SharedRecord {
  SharedMiss why = SharedMiss::absent;       // none: it is there
  DecodedEntry entry;                        // lives as long as `bytes` and the arena
  std::string_view field;                    // of the hash; in the arena
  Slice bytes;                               // the record
  bool is_stale = false;                     // purged softly
  std::span<const std::string_view> broken;  // fields to delete; views into the reply
};

// Of HGETALL of a key's hash.
SharedRecord choose_record(const redis::Reply& reply, const SharedQuestion& question, Arena& arena);

}  // namespace sluice::cache
