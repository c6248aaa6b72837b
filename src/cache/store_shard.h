// One shard of the memory store: an index by hash, the order of eviction, and their lock. Private
// to cache.
//
// The index is a table of buckets, each a list through its entries (no node, no tombstone); about
// as many buckets as entries. What is taken out is freed when the lock is open again.
#pragma once

#include <mutex>

#include "sluice/cache/store_memory.h"

namespace sluice::cache {

class alignas(64) StoreShard {
 public:
  StoreShard() noexcept = default;
  ~StoreShard();
  StoreShard(const StoreShard&) = delete;
  StoreShard& operator=(const StoreShard&) = delete;

  // `place`: the key's hash as mixed by the store.
  void find(uint64_t place, const Key& key, const Purges& purges, Variants& found) noexcept;
  struct PutOrder {
    PutKind kind;
    const Purges& purges;
  };
  PutResult put(uint64_t place, Ref<Entry> entry, const PutOrder& order) noexcept;
  void remove(const Entry& entry) noexcept;
  size_t purge_key(uint64_t place, const Key& key, PurgeKind kind) noexcept;
  // Evicts at least `bytes`, or all; returns how many.
  size_t evict(size_t bytes) noexcept;

  // One step of a walk over all buckets: looks at kStep of them from `at` and moves it on; done
  // when it returns false. An entry that is there during the whole walk is met, also when the table
  // grows meanwhile.
  template <typename F>
  bool walk(size_t& at, F&& is_meant, PurgeKind kind, size_t& count) noexcept {
    Discard out;
    const std::lock_guard lock(mutex_);
    for (size_t end = at + kStep; at < end && at < bucket_count_; ++at) {
      count += purge_in(&buckets_[at], is_meant, kind, out);
    }
    return at < bucket_count_;
  }

  // The same walk, for looking: entries of that URL which no purge has hit, as long as `found` has
  // room of its own.
  bool list(size_t& at, std::string_view url, const Purges& purges,
            std::vector<Ref<Entry>>& found) noexcept;

  // Growing: the store reserves memory for grown_count() buckets and hands in a table of nullptrs.
  // Returns the memory that is free again, the new one when it is not wanted any more.
  struct Table {
    std::unique_ptr<Entry*[]> buckets;
    size_t count = 0;
    // With the ghost that goes with each bucket.
    static size_t cost(size_t count) noexcept {
      return count == 0
                 ? 0
                 : heap_cost(count * sizeof(Entry*)) + heap_cost(count * S3Fifo::kGhostBytes);
    }
  };
  size_t grown_count() const noexcept;  // 0: it need not grow
  Table grow(Table table) noexcept;

  size_t bytes() const noexcept { return bytes_.load(std::memory_order_relaxed); }
  size_t table_cost() const noexcept {
    return Table::cost(table_size_.load(std::memory_order_relaxed));
  }
  void add_to(StoreCounters& sum) noexcept;

 private:
  // Entries on their way out, linked by the field that linked their bucket. Declared before the
  // lock is taken, so that it dies after.
  class Discard {
   public:
    Discard() noexcept = default;
    Discard(const Discard&) = delete;
    Discard& operator=(const Discard&) = delete;
    ~Discard() {
      while (Entry* entry = first_) {
        first_ = entry->next_in_bucket_;
        entry->unref();
      }
    }
    void add(Entry* entry) noexcept {
      entry->next_in_bucket_ = first_;
      first_ = entry;
    }

   private:
    Entry* first_ = nullptr;
  };

  static constexpr size_t kStep = 256;
  static constexpr size_t kFewestBuckets = 16;

  Entry** bucket_of(uint64_t place) noexcept { return &buckets_[place & (bucket_count_ - 1)]; }
  static bool is_key(const Entry& entry, const Key& key) noexcept {
    return entry.key().hash == key.hash && entry.key().text == key.text;
  }
  template <typename F>
  size_t purge_in(Entry** link, F&& is_meant, PurgeKind kind, Discard& out) noexcept {
    size_t count = 0;
    while (Entry* entry = *link) {
      if (!is_meant(*entry)) {
        link = &entry->next_in_bucket_;
        continue;
      }
      ++count;
      if (kind == PurgeKind::hard) {
        take_out(link, out);
        ++purged_;
      } else {
        entry->mark_stale();
        link = &entry->next_in_bucket_;
      }
    }
    return count;
  }
  bool has_newer(uint64_t place, const Entry& entry) noexcept;
  void make_way(uint64_t place, const Entry& entry, Discard& out) noexcept;
  Entry** link_of(const Entry& entry) noexcept;
  void take_out(Entry** link, Discard& out) noexcept;
  void note_size() noexcept;

  std::mutex mutex_;  // of all below
  std::unique_ptr<Entry*[]> buckets_;
  size_t bucket_count_ = 0;
  size_t entries_ = 0;
  S3Fifo order_;
  uint64_t evicted_ = 0;
  uint64_t replaced_ = 0;
  uint64_t purged_ = 0;
  // Copies to be read without the lock.
  std::atomic<size_t> bytes_{0};
  std::atomic<size_t> table_size_{0};
  std::atomic<size_t> wanted_{kFewestBuckets};  // buckets for the entries there are
};

}  // namespace sluice::cache
