// What was purged, so that nothing older than a purge is served or stored after it.
//
// Every purge gets a number, counted up; a fill notes the last number before it asks for the
// response (`started`). Purges by tag only stand here, in a table of purged tags: an entry is good
// if none of its tags was purged since its fill started, so a purge touches no entry. Purges by URL
// and prefix remove from the store, and are remembered for the fills then under way. All memory is
// fixed; what no longer fits makes everything older count as purged.
//
// Owner: the MemoryStore. Thread: any; standing() takes no lock.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>

#include "sluice/base/hash.h"

namespace sluice::cache {

// A tag of an entry (Surrogate-Key, Cache-Tag, Cache-Groups).
struct EntryTag {
  uint64_t hash;
};

inline uint64_t tag_hash(std::string_view tag) noexcept { return hash64(tag) | 1; }
// The tag that every entry has which shares its URL with other keys (Key::has_extras): that URL.
inline uint64_t url_tag_hash(std::string_view url) noexcept { return hash64(url, 1) | 1; }

// What purges say of an entry: worst last.
enum class Standing : uint8_t { good, stale, gone };

// A purge marks stale what it names, or removes it.
enum class PurgeKind : uint8_t { soft, hard };

class Purges {
 public:
  Purges();
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
  // The same for a fill that is to be stored now, by URL and prefix too.
  Standing standing_of_fill(uint64_t started, std::span<const EntryTag> tags,
                            std::string_view url) const noexcept;

  static constexpr size_t kMostTags = 4096;
  static constexpr size_t kMostUrls = 4096;
  static constexpr size_t kMostPrefixes = 32;
  static constexpr size_t kLongestPrefix = 2048;  // a longer one counts as purge of all fills
  // All memory that it may hold.
  static size_t cost() noexcept {
    return kRows * sizeof(TagRow) + kMostUrls * sizeof(UrlRow) +
           kMostPrefixes * (sizeof(PrefixRow) + kLongestPrefix);
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
  struct TagRow {
    std::atomic<uint64_t> hash{0};  // 0: free
    Last last;
  };
  struct UrlRow {
    uint64_t number = 0;
    uint64_t hash = 0;  // two URLs of one hash: the fill of the other is not stored, no harm done
    PurgeKind kind = PurgeKind::hard;
  };
  struct PrefixRow {
    uint64_t number = 0;
    std::string text;
    PurgeKind kind = PurgeKind::hard;
  };
  static constexpr size_t kRows = kMostTags * 2;

  uint64_t next() noexcept;
  void forget_tags() noexcept;
  TagRow& row_for(uint64_t hash) noexcept;
  const TagRow* find(uint64_t hash) const noexcept;
  Standing by_url(uint64_t started, std::string_view url) const noexcept;
  Standing by_prefix(uint64_t started, std::string_view url) const noexcept;

  std::atomic<uint64_t> last_{0};
  Last all_;
  std::atomic<uint64_t> tags_floor_{0};  // tags purged before it are not in the table any more
  std::unique_ptr<TagRow[]> rows_;
  mutable std::mutex mutex_;  // of all below, and of every change above
  size_t tags_ = 0;
  std::unique_ptr<UrlRow[]> urls_;  // a ring, as is the next
  size_t next_url_ = 0;
  std::array<PrefixRow, kMostPrefixes> prefixes_;
  size_t next_prefix_ = 0;
  uint64_t lost_ = 0;  // the newest purge that a ring has forgotten
};

}  // namespace sluice::cache
