// The purges of this process that one server has not acknowledged, in order. Private to cache.
//
// Owner: the hub and the link to the server. Thread: push() any, the others control. More than its
// limits becomes one purge of everything, since a purge may do too much but never too little. One
// that waits already, and is to be sent yet, is not queued again: it is written after both.
//
// It keeps SharedServer::unsent_since, so that nothing purged here is read back from a server that
// does not know yet. For purge P, with the local number n in the memory store:
//   1. push() sets unsent_since to what is below n, and puts P into the queue
//   2. the memory store gives P the number n, and purges
//   3. the server acknowledges P, or tells of it
//   4. PurgeLog::apply(P), or PurgeLog::begin() with what is newer
//   5. release() moves unsent_since on
// A reader takes started = last(), then unsent_since, then asks the log. If it finds unsent_since
// not to cover P, it looked before 1 or after 5. After 5 the log that it asks next has P (4).
// Before 1, `started` was taken before 2: so it is below n, and the memory store takes what the
// reader brings for older than P. Else it judges by the local purges after unsent_since, where P is
// from 2 on; before 2 again `started` is below n. Purges of other hosts in that range count as
// well, which costs a look-up but serves nothing wrong; it ends with the acknowledgement.
// 2 and 3 to 5 may come in any order: `started` below n is all that matters then.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "sluice/base/hash.h"
#include "sluice/cache/purge.h"
#include "sluice/cache/shared_tier.h"

namespace sluice::cache {

class PurgeOutbox {
 public:
  struct Limits {
    size_t orders = 10'000;
    size_t bytes = 4 * 1024 * 1024;
  };
  struct Item {
    uint64_t since;  // the number of the last local purge before it
    PurgeOrder order;
    Hash128 key;  // of a purge by URL: where the entry without extras is
  };

  explicit PurgeOutbox(const Limits& limits) : limits_(limits) {}

  // The server that it is kept for, from now on.
  void bind(SharedServer& server);
  void push(const PurgeOrder& order, const Hash128& key, const Purges& purges);

  // The oldest ones, held until release() or let_go().
  std::vector<const Item*> hold(size_t most_orders, size_t most_bytes);
  void release();          // those held are done
  void let_go() noexcept;  // they are to be sent again

  struct Facts {
    size_t waiting;
    uint64_t first;      // the ordinal of the oldest one, which tells whether it is still the same
    uint64_t collapses;  // times that the limits were reached
  };
  Facts facts() const;

 private:
  static size_t cost(const Item& item) noexcept { return sizeof(Item) + item.order.url.size(); }
  static uint64_t hash_of(const PurgeOrder& order) noexcept;
  bool is_waiting(const PurgeOrder& order, uint64_t hash) const;
  void queue(Item item, uint64_t hash);
  void collapse();
  void tell() noexcept;

  const Limits limits_;
  mutable std::mutex mutex_;
  SharedServer* server_ = nullptr;
  std::deque<Item> items_;
  std::unordered_map<uint64_t, uint64_t> places_;  // by hash_of(): the ordinal of the newest such
  size_t bytes_ = 0;
  size_t held_ = 0;
  uint64_t done_ = 0;  // the ordinal of the oldest item
  uint64_t collapses_ = 0;
};

}  // namespace sluice::cache
