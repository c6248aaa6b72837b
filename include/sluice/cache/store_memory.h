// The memory tier: entries by key in shards, within a hard budget.
//
// Owner: the engine, beyond all workers and everything that was reserved from its budget. Thread:
// any. Each shard has a mutex, held for one look into a bucket, one eviction or one step of a walk;
// no call holds two. Memory is freed outside of them.
//
// The budget is one for all shards, so that a large object does not empty its own shard and every
// shard may grow as its keys ask. Whoever reserves and finds it full (a fill, an entry, a body)
// makes room: by turns from the shards that have not less than half of their even share.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <vector>

#include "sluice/base/ref.h"
#include "sluice/cache/entry.h"
#include "sluice/cache/key.h"
#include "sluice/cache/memory_budget.h"
#include "sluice/cache/s3_fifo.h"
#include "sluice/cache/tags.h"
#include "sluice/cache/vary.h"

namespace sluice::cache {

// The entries of one key. Few objects: a key without Vary has one.
class Variants {
 public:
  Variants() noexcept {}  // NOLINT: the array stays as it is until used
  Variants(const Variants&) = delete;
  Variants& operator=(const Variants&) = delete;
  ~Variants() { clear(); }

  std::span<const Ref<Entry>> all() const noexcept { return {entries_, count_}; }
  bool is_empty() const noexcept { return count_ == 0; }
  void add(Ref<Entry> entry) noexcept {
    SL_CHECK(count_ < kMostVariants);
    new (&entries_[count_++]) Ref<Entry>(std::move(entry));
  }
  void clear() noexcept {
    while (count_ > 0) entries_[--count_].~Ref();
  }

 private:
  union {
    Ref<Entry> entries_[kMostVariants];
  };
  size_t count_ = 0;
};

struct StoreCounters {
  uint64_t entries = 0;
  uint64_t bytes = 0;     // of the budget in use: entries, fills, indexes
  uint64_t evicted = 0;   // for lack of room
  uint64_t replaced = 0;  // by a newer response, or as one variant too many
  uint64_t purged = 0;    // removed by purges
  uint64_t refused = 0;   // not stored: any PutResult but stored
};

enum class PutResult : uint8_t {
  stored,
  too_large,
  purged,
  no_room,
  older  // PutKind::found: what is stored is newer
};

// Where an entry comes from.
enum class PutKind : uint8_t {
  fetched,  // from an endpoint just now: it replaces what there is
  found     // in another tier: the most recent one counts (RFC 9111 section 4)
};

class StoreShard;

class MemoryStore final : private Reclaimer {
 public:
  struct Limits {
    size_t size = 256 * 1024 * 1024;
    size_t max_object = 8 * 1024 * 1024;  // bytes of a body
    size_t shards = 64;                   // a power of two
  };
  explicit MemoryStore(const Limits& limits);
  ~MemoryStore();

  MemoryBudget& budget() noexcept { return budget_; }
  Purges& purges() noexcept { return purges_; }
  const Purges& purges() const noexcept { return purges_; }
  size_t limit() const noexcept { return budget_.limit(); }
  bool may_store(uint64_t body_bytes) const noexcept {
    return body_bytes <= max_object_.load(std::memory_order_relaxed);
  }
  void set_limits(size_t size, size_t max_object) noexcept;

  // All variants of the key that no purge has hit, into `found`. The one that is used is
  // touch()ed by the caller.
  void find(const Key& key, Variants& found) noexcept;
  // To look at: up to `most` entries under any key of a canonical URL that no purge has hit. `key`
  // is key_of_url(). Goes through the whole store if anything was stored under keys with extras.
  std::vector<Ref<Entry>> find_url(const Key& key, size_t most);
  // Replaces the variant of the same request fields. Its fill may still be under way.
  PutResult put(Ref<Entry> entry, PutKind kind = PutKind::fetched) noexcept;
  // This very entry, if it is still there.
  void remove(const Entry& entry) noexcept;

  // Of a canonical URL: entries under all keys that have it. `key` is key_of_url(). These return
  // how many were there; those under keys with extras, and those purged by tag or all, are found
  // gone later and not counted.
  size_t purge_url(const Key& key, PurgeKind kind) noexcept;
  size_t purge_prefix(std::string_view prefix, PurgeKind kind);
  void purge_tag(uint64_t hash, PurgeKind kind) noexcept { purges_.purge_tag(hash, kind); }
  size_t purge_all(PurgeKind kind) noexcept;

  StoreCounters counters() const noexcept;

 private:
  uint64_t place_of(const Key& key) const noexcept;
  StoreShard& shard_at(uint64_t place) const noexcept;
  void grow(StoreShard& shard) noexcept;
  size_t fixed_cost() const noexcept;
  void reclaim(size_t bytes) noexcept override;
  template <typename F>
  size_t purge_each(F&& is_meant, PurgeKind kind) noexcept;

  std::atomic<size_t> max_object_;
  const size_t shard_count_;
  const uint64_t seed_;  // so that nobody outside can fill one bucket
  MemoryBudget budget_;
  Purges purges_;
  std::unique_ptr<StoreShard[]> shards_;
  alignas(64) std::atomic<size_t> hand_{0};  // whose turn it is to make room
  std::atomic<uint64_t> refused_{0};
  std::atomic<bool> has_extras_{false};  // entries were stored under keys with extras
};

}  // namespace sluice::cache
