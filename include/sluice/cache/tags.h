// What was purged, so that nothing older than a purge is served or stored after it.
//
// Every purge gets a number, counted up; a fill notes the last number before it asks for the
// response (`started`). Purges by tag only stand here, by the hash of the tag: an entry is good if
// none of its tags was purged since its fill started, so a purge touches no entry. Purges by URL
// and prefix remove from the store, and are remembered for the fills then under way.
//
// All memory is fixed, and no number of purges overflows it. Tags and URLs share slots by their
// hash, each with the numbers of its last purges: who shares one with what was purged counts as
// purged too, which costs one fetch too much and serves nothing wrong. Of prefixes that are too
// many, two become what both begin with.
//
// Owner: the MemoryStore, or a PurgeLog. Thread: any; standing() and standing_of_url() take no
// lock.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/base/hash.h"

namespace sluice::cache {

// A tag of an entry (Surrogate-Key, Cache-Tag, Cache-Groups).
struct EntryTag {
  uint64_t hash;
};

inline uint64_t tag_hash(std::string_view tag) noexcept { return hash64(tag) | 1; }
inline uint64_t url_hash(std::string_view url) noexcept { return hash64(url, 1) | 1; }

// What purges say of an entry: worst last.
enum class Standing : uint8_t { good, stale, gone };

// A purge marks stale what it names, or removes it.
enum class PurgeKind : uint8_t { soft, hard };

class Purges {
 public:
  // How much it remembers. As they are, for the smallest memory tier, which has 1 MiB.
  struct Sizes {
    size_t tags = 8192;  // slots, a power of two; the next as well
    size_t urls = 16'384;
    size_t prefixes = 256;
  };
  // For a memory tier of so many bytes: about a hundredth of it.
  static Sizes sizes_for(size_t bytes) noexcept {
    constexpr size_t kMostSlots = 262'144;
    Sizes sizes;
    sizes.tags = std::clamp(std::bit_floor(bytes / 4096), sizes.tags, kMostSlots);
    sizes.urls = std::clamp(std::bit_floor(bytes / 2048), sizes.urls, kMostSlots);
    return sizes;
  }
  explicit Purges(const Sizes& sizes);
  Purges() : Purges(Sizes()) {}
  Purges(const Purges&) = delete;
  Purges& operator=(const Purges&) = delete;

  // The number of the last purge; what a fill takes as `started` before it sends its request.
  uint64_t last() const noexcept { return last_.load(std::memory_order_acquire); }

  // `hash` as tag_hash() makes it.
  void purge_tag(uint64_t hash, PurgeKind kind) noexcept;
  void purge_all(PurgeKind kind) noexcept;
  // A canonical URL, or how such URLs begin. These say nothing of what is stored already.
  void purge_url(std::string_view url, PurgeKind kind) noexcept;
  void purge_prefix(std::string_view prefix, PurgeKind kind);
  // By tag and by "all", for an entry whose fill started then.
  Standing standing(uint64_t started, std::span<const EntryTag> tags) const noexcept;
  // By URL, for an entry that shares its URL with other keys (Key::has_extras): purges of the URL
  // find those under its plain key only.
  Standing standing_of_url(uint64_t started, std::string_view url) const noexcept;
  // By all of that and by prefix, for a fill that is to be stored now.
  Standing standing_of_fill(uint64_t started, std::span<const EntryTag> tags,
                            std::string_view url) const noexcept;

  static constexpr size_t kLongestPrefix = 2048;  // a longer one counts as what it begins with
  // All memory that it may hold.
  size_t cost() const noexcept {
    return (sizes_.tags + sizes_.urls) * sizeof(Last) + sizes_.prefixes * sizeof(PrefixRow) +
           most_text(sizes_);
  }

 private:
  // The numbers of the last hard and soft purges.
  struct Last {
    std::atomic<uint64_t> hard{0};
    std::atomic<uint64_t> soft{0};
    void set(uint64_t number, PurgeKind kind) noexcept {
      (kind == PurgeKind::hard ? hard : soft).store(number, std::memory_order_release);
    }
    Standing since(uint64_t started) const noexcept {
      if (hard.load(std::memory_order_acquire) > started) return Standing::gone;
      return soft.load(std::memory_order_acquire) > started ? Standing::stale : Standing::good;
    }
  };
  class Slots {
   public:
    explicit Slots(size_t count);
    Last& of(uint64_t hash) noexcept { return slots_[(hash >> 32) & mask_]; }
    const Last& of(uint64_t hash) const noexcept { return slots_[(hash >> 32) & mask_]; }

   private:
    size_t mask_;
    std::unique_ptr<Last[]> slots_;
  };
  struct PrefixRow {
    uint64_t number = 0;
    PurgeKind kind = PurgeKind::hard;
    std::string text;
  };
  // Bytes of all prefixes.
  static size_t most_text(const Sizes& sizes) noexcept {
    return sizes.prefixes * 64 + kLongestPrefix;
  }

  uint64_t next() noexcept;
  void drop_covered(std::string_view prefix, PurgeKind kind) noexcept;
  void squeeze_prefixes();
  Standing by_prefix(uint64_t started, std::string_view url) const noexcept;

  const Sizes sizes_;
  std::atomic<uint64_t> last_{0};
  Last all_;
  Slots tags_;
  mutable std::mutex mutex_;  // of all below, and of every change above
  Slots urls_;
  std::vector<PrefixRow> prefixes_;  // from the oldest on
  size_t text_ = 0;                  // bytes of theirs
  uint64_t lost_ = 0;                // the newest purge by prefix that had to be forgotten
};

}  // namespace sluice::cache
