// The order of eviction: S3-FIFO (Yang et al., SOSP 2023), in bytes.
//
// New items enter a small queue; those asked for again there move on to the main one, the others go
// out first and leave their hash behind (the ghosts), by which they enter the main queue at once
// when they come back soon. So a scan of items asked for once passes by the main queue. Owner: one
// shard of the store, which owns the items too. Thread: whoever holds the shard, but for touch().
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "sluice/base/list.h"

namespace sluice::cache {

// What is evicted derives from it.
class EvictionNode : public ListNode<EvictionNode> {
 public:
  // It was asked for. Any thread, no lock: a lost count does no harm, and one that is hot already
  // is not written to.
  void touch() noexcept {
    const uint8_t uses = uses_.load(std::memory_order_relaxed);
    if (uses < kMostUses) uses_.store(uses + 1, std::memory_order_relaxed);
  }
  uint8_t uses() const noexcept { return uses_.load(std::memory_order_relaxed); }
  // As given to S3Fifo::insert().
  uint64_t hash() const noexcept { return hash_; }

 private:
  friend class S3Fifo;
  static constexpr uint8_t kMostUses = 3;

  uint64_t hash_ = 0;
  size_t weight_ = 0;
  std::atomic<uint8_t> uses_{0};
  bool in_main_ = false;
};

class S3Fifo {
 public:
  // `hash` is the item's name for the ghosts; `weight` its bytes.
  void insert(EvictionNode& node, uint64_t hash, size_t weight) noexcept;
  void remove(EvictionNode& node) noexcept;
  // Takes out who must go next; nullptr when there is nobody.
  EvictionNode* evict() noexcept;

  size_t bytes() const noexcept { return small_bytes_ + main_bytes_; }
  // How many hashes are remembered: a power of two, about that of the items. Forgets all. Where the
  // memory for it is missing, remembers none.
  void set_ghosts(size_t count) noexcept;
  static constexpr size_t kGhostBytes = 8;  // of each

 private:
  // A place of the ghost table: part of the hash, and how much had left the small queue by then.
  struct Ghost {
    uint32_t mark;
    uint32_t at;
  };
  static constexpr size_t kWays = 4;         // places a hash may have
  static constexpr size_t kSmallShare = 10;  // the small queue has a tenth
  static constexpr int kMostTurns = 64;      // second chances in one evict()

  EvictionNode* evict_small() noexcept;
  EvictionNode* evict_main() noexcept;
  void push_main(EvictionNode& node) noexcept;
  Ghost* ghosts_of(uint64_t hash) noexcept;
  void remember(uint64_t hash) noexcept;
  bool forget(uint64_t hash) noexcept;

  List<EvictionNode> small_;
  List<EvictionNode> main_;
  size_t small_bytes_ = 0;
  size_t main_bytes_ = 0;
  size_t main_count_ = 0;
  std::unique_ptr<Ghost[]> ghosts_;
  size_t ghost_count_ = 0;
  uint32_t departures_ = 0;  // from the small queue to the ghosts; their clock
};

}  // namespace sluice::cache
