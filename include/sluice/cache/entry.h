// One stored response: immutable, read by any worker without a lock.
//
// Owner: by count (Ref<Entry>: one of the store while it is there, one of each exchange that sends
// it). A 304 or a compacted body makes a new Entry which shares what stayed. Thread: any; only
// mark_stale() and touch() change anything, and are atomic.
//
//   make()                     from an EntrySpec, into one block that the budget knows of
//   MemoryStore::put()         found by others; once only, what was taken out does not come back
//   replaced, evicted, purged  no longer found; who holds a Ref goes on
//   last Ref gone              freed; the budget must outlive it
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "sluice/base/clock.h"
#include "sluice/base/hash.h"
#include "sluice/base/ref.h"
#include "sluice/cache/body.h"
#include "sluice/cache/key.h"
#include "sluice/cache/memory_budget.h"
#include "sluice/cache/s3_fifo.h"
#include "sluice/cache/tags.h"
#include "sluice/http/message.h"

namespace sluice::cache {

// A field that Vary nominated, as it was in the request, in normal form (vary.h).
struct VaryField {
  std::string_view name;  // lower case
  std::string_view value;
  bool is_present = false;  // absent and empty differ (RFC 9111 section 4.1)
};

struct EntryTimes {
  WallTime request{};      // the request that brought it was sent
  WallTime response{};     // its head came
  WallTime date{};         // its Date, or else `response`
  Duration initial_age{};  // corrected_initial_age, RFC 9111 section 4.2.3
  Duration freshness{};    // freshness_lifetime, section 4.2.1
  Duration stale_while_revalidate{};
  Duration stale_if_error{};
  bool operator==(const EntryTimes&) const = default;
};

enum class EntryFlag : uint16_t {
  must_revalidate = 1,  // or proxy-revalidate, or s-maxage: alike for a shared cache
  no_cache = 2,
  immutable = 4,
  heuristic = 8,          // freshness is a guess
  has_authorization = 16  // the request had Authorization (RFC 9111 section 3.5)
};
inline constexpr uint16_t kAllEntryFlags = 31;
constexpr uint16_t operator|(EntryFlag a, EntryFlag b) noexcept {
  return static_cast<uint16_t>(a) | static_cast<uint16_t>(b);
}

// A run of the representation's bytes: one from 0 for a whole response, or the ranges of 206s
// (RFC 9111 sections 3.3 and 3.4) as parts.h puts them together; their complete length is known.
struct EntryPart {
  uint64_t first = 0;
  Ref<Body> body;
};

// What an Entry is made of. All views are copied; bodies are shared.
struct EntrySpec {
  Key key;
  std::span<const VaryField> vary;  // sorted by name
  int status = 0;
  std::string_view reason;
  std::span<const http::Field> fields;  // end-to-end ones only, without those never to be stored
  EntryTimes times;
  uint16_t flags = 0;    // EntryFlag
  uint64_t started = 0;  // Purges::last() before the request was sent
  std::span<const EntryTag> tags;
  std::optional<uint64_t> complete_length;  // of the representation, where it is known beforehand
  std::span<const EntryPart> parts;
};

class Entry final : public EvictionNode {
 public:
  // nullptr when the budget refuses.
  static Ref<Entry> make(MemoryBudget& budget, const EntrySpec& spec) noexcept;
  // What it was made of, for one that differs a little; a 304 that confirms it brings its own times
  // and `started`. Views into this entry.
  EntrySpec spec() const noexcept;

  void ref() noexcept { refs_.fetch_add(1, std::memory_order_relaxed); }
  void unref() noexcept {
    if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy();
  }

  const Key& key() const noexcept { return key_; }
  std::span<const VaryField> vary() const noexcept { return vary_; }
  int status() const noexcept { return head_.status; }
  // As if it had come just now: write_response_head() copies its lines as they stand.
  const http::ResponseHead& head() const noexcept { return head_; }
  const http::FieldList& fields() const noexcept { return head_.fields; }
  std::string_view etag() const noexcept { return value_of(http::FieldId::kEtag); }
  std::string_view last_modified() const noexcept { return value_of(http::FieldId::kLastModified); }
  const EntryTimes& times() const noexcept { return times_; }
  bool has(EntryFlag flag) const noexcept { return (flags_ & static_cast<uint16_t>(flag)) != 0; }
  uint64_t started() const noexcept { return started_; }
  std::span<const EntryTag> tags() const noexcept { return tags_; }

  std::span<const EntryPart> parts() const noexcept { return parts_; }
  // The length of the whole representation; nullopt while only its end will tell.
  std::optional<uint64_t> complete_length() const noexcept;
  // All bytes of the representation are here, in one body. Several may be all of it too (parts.h).
  bool is_whole() const noexcept;

  // A soft purge: no longer fresh, whatever its times say.
  void mark_stale() noexcept { marked_stale_.store(true, std::memory_order_relaxed); }
  bool is_marked_stale() const noexcept { return marked_stale_.load(std::memory_order_relaxed); }

  // RFC 9111 section 4.2.3
  Duration age(WallTime now) const noexcept {
    const Duration resident = now - times_.response;
    return times_.initial_age + (resident > Duration{0} ? resident : Duration{0});
  }

  // Memory of the entry and its bodies (a body shared by two entries counts in both).
  size_t size() const noexcept;

 private:
  friend class StoreShard;
  struct Layout;
  Entry(MemoryBudget& budget, const EntrySpec& spec, const Layout& layout) noexcept;
  ~Entry() = default;
  void destroy() noexcept;
  void copy_head(const EntrySpec& spec, http::Field* fields, char*& at) noexcept;
  std::string_view value_of(http::FieldId id) const noexcept {
    const http::Field* field = head_.fields.find(id);
    return field == nullptr ? std::string_view() : field->value;
  }

  std::atomic<uint32_t> refs_{1};
  std::atomic<bool> marked_stale_{false};
  bool was_put_ = false;  // the store's, under its shard's lock, as is next_in_bucket_
  uint16_t flags_;
  Entry* next_in_bucket_ = nullptr;
  Key key_;
  uint64_t started_;
  std::span<const VaryField> vary_;
  std::span<const EntryTag> tags_;
  std::span<EntryPart> parts_;
  http::ResponseHead head_;
  EntryTimes times_;
  std::optional<uint64_t> complete_length_;
  MemoryBudget& budget_;
  size_t cost_;  // of this block
};

}  // namespace sluice::cache
