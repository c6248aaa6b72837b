#include "store_shard.h"

#include <algorithm>
#include <bit>
#include <tuple>

namespace sluice::cache {
namespace {

// What purges since its fill say of an entry that is stored.
Standing standing_of(const Entry& entry, const Purges& purges) noexcept {
  const Standing by_tags = purges.standing(entry.started(), entry.tags());
  if (!entry.key().has_extras()) return by_tags;
  return std::max(by_tags, purges.standing_of_url(entry.started(), entry.key().url));
}

}  // namespace

StoreShard::~StoreShard() {
  Discard out;
  for (size_t i = 0; i < bucket_count_; ++i) {
    while (buckets_[i] != nullptr) take_out(&buckets_[i], out);
  }
}

void StoreShard::find(uint64_t place, const Key& key, const Purges& purges,
                      Variants& found) noexcept {
  Discard out;
  const std::lock_guard lock(mutex_);
  if (bucket_count_ == 0) return;
  for (Entry** link = bucket_of(place); Entry* entry = *link;) {
    if (!is_key(*entry, key)) {
      link = &entry->next_in_bucket_;
      continue;
    }
    const Standing standing = standing_of(*entry, purges);
    if (standing == Standing::gone) {
      take_out(link, out);
      ++purged_;
      continue;
    }
    if (standing == Standing::stale) entry->mark_stale();
    found.add(Ref<Entry>(entry));
    link = &entry->next_in_bucket_;
  }
}

bool StoreShard::list(size_t& at, std::string_view url, const Purges& purges,
                      std::vector<Ref<Entry>>& found) noexcept {
  const std::lock_guard lock(mutex_);
  for (size_t end = at + kStep; at < end && at < bucket_count_; ++at) {
    for (Entry* entry = buckets_[at]; entry != nullptr; entry = entry->next_in_bucket_) {
      if (entry->key().url != url) continue;
      const Standing standing = standing_of(*entry, purges);
      if (standing == Standing::stale) entry->mark_stale();
      if (standing != Standing::gone && found.size() < found.capacity()) {
        found.push_back(Ref<Entry>(entry));
      }
    }
  }
  return at < bucket_count_;
}

PutResult StoreShard::put(uint64_t place, Ref<Entry> entry, const PutOrder& order) noexcept {
  Discard out;
  const std::lock_guard lock(mutex_);
  SL_CHECK(!entry->was_put_);  // whoever took it out may still need next_in_bucket_
  if (bucket_count_ == 0) return PutResult::no_room;
  // Asked under the lock: a purge is noted first and then removes what it finds here, so this fill
  // either sees the note or is found.
  const Standing standing =
      order.purges.standing_of_fill(entry->started(), entry->tags(), entry->key().url);
  if (standing == Standing::gone) return PutResult::purged;
  if (order.kind == PutKind::found && has_newer(place, *entry)) return PutResult::older;
  if (standing == Standing::stale) entry->mark_stale();
  entry->was_put_ = true;
  make_way(place, *entry, out);
  order_.insert(*entry, place, entry->size());
  Entry** bucket = bucket_of(place);
  entry->next_in_bucket_ = *bucket;
  *bucket = entry.release();
  ++entries_;
  note_size();
  return PutResult::stored;
}

// RFC 9111 section 4: the most recent response counts, by its Date.
bool StoreShard::has_newer(uint64_t place, const Entry& entry) noexcept {
  for (Entry* other = *bucket_of(place); other != nullptr; other = other->next_in_bucket_) {
    if (is_key(*other, entry.key()) && is_same_vary(other->vary(), entry.vary())) {
      const EntryTimes &stored = other->times(), &found = entry.times();
      return std::tie(stored.date, stored.response) > std::tie(found.date, found.response);
    }
  }
  return false;
}

// Takes out the variant that the entry replaces, or the oldest one when there are too many.
void StoreShard::make_way(uint64_t place, const Entry& entry, Discard& out) noexcept {
  size_t variants = 0;
  Entry** oldest = nullptr;
  for (Entry** link = bucket_of(place); Entry* other = *link; link = &other->next_in_bucket_) {
    if (!is_key(*other, entry.key())) continue;
    if (is_same_vary(other->vary(), entry.vary())) {
      take_out(link, out);
      ++replaced_;
      return;
    }
    ++variants;
    const bool is_older =
        oldest == nullptr || other->times().response < (*oldest)->times().response;
    if (is_older) oldest = link;
  }
  if (variants < kMostVariants) return;
  take_out(oldest, out);
  ++replaced_;
}

void StoreShard::remove(const Entry& entry) noexcept {
  Discard out;
  const std::lock_guard lock(mutex_);
  if (Entry** link = entry.is_linked() ? link_of(entry) : nullptr) take_out(link, out);
}

size_t StoreShard::purge_key(uint64_t place, const Key& key, PurgeKind kind) noexcept {
  Discard out;
  const std::lock_guard lock(mutex_);
  if (bucket_count_ == 0) return 0;
  return purge_in(
      bucket_of(place), [&key](const Entry& entry) { return is_key(entry, key); }, kind, out);
}

size_t StoreShard::evict(size_t bytes) noexcept {
  Discard out;
  const std::lock_guard lock(mutex_);
  const size_t before = order_.bytes();
  while (before - order_.bytes() < bytes) {
    EvictionNode* node = order_.evict();
    if (node == nullptr) break;
    auto* entry = static_cast<Entry*>(node);
    Entry** link = link_of(*entry);
    *link = entry->next_in_bucket_;
    out.add(entry);
    --entries_;
    ++evicted_;
  }
  note_size();
  return before - order_.bytes();
}

size_t StoreShard::grown_count() const noexcept {
  const size_t wanted = wanted_.load(std::memory_order_relaxed);
  const size_t there = table_size_.load(std::memory_order_relaxed);
  return wanted > there ? wanted : 0;
}

StoreShard::Table StoreShard::grow(Table table) noexcept {
  const std::lock_guard lock(mutex_);
  if (table.count <= bucket_count_) return table;
  std::swap(table.buckets, buckets_);
  std::swap(table.count, bucket_count_);
  for (size_t i = 0; i < table.count; ++i) {
    while (Entry* entry = table.buckets[i]) {
      table.buckets[i] = entry->next_in_bucket_;
      Entry** bucket = bucket_of(entry->hash());
      entry->next_in_bucket_ = *bucket;
      *bucket = entry;
    }
  }
  order_.set_ghosts(bucket_count_);
  table_size_.store(bucket_count_, std::memory_order_relaxed);
  return table;
}

void StoreShard::add_to(StoreCounters& sum) noexcept {
  const std::lock_guard lock(mutex_);
  sum.entries += entries_;
  sum.evicted += evicted_;
  sum.replaced += replaced_;
  sum.purged += purged_;
}

// What points at it in its bucket.
Entry** StoreShard::link_of(const Entry& entry) noexcept {
  Entry** link = bucket_of(entry.hash());
  while (*link != &entry) link = &(*link)->next_in_bucket_;
  return link;
}

void StoreShard::take_out(Entry** link, Discard& out) noexcept {
  Entry* entry = *link;
  *link = entry->next_in_bucket_;
  order_.remove(*entry);
  out.add(entry);
  --entries_;
  note_size();
}

void StoreShard::note_size() noexcept {
  bytes_.store(order_.bytes(), std::memory_order_relaxed);
  const size_t wanted = std::max(kFewestBuckets, std::bit_ceil(entries_ + 1));
  wanted_.store(wanted, std::memory_order_relaxed);
}

}  // namespace sluice::cache
