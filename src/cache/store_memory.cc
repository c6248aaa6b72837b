#include "sluice/cache/store_memory.h"

#include <algorithm>
#include <new>

#include "sluice/base/random.h"
#include "store_shard.h"

namespace sluice::cache {

MemoryStore::MemoryStore(const Limits& limits)
    : max_object_(limits.max_object),
      shard_count_(limits.shards),
      seed_(Random().next()),
      budget_(limits.size, this),
      purges_(Purges::sizes_for(limits.size)),
      shards_(std::make_unique<StoreShard[]>(limits.shards)) {
  SL_CHECK(shard_count_ > 0 && shard_count_ <= 256 && (shard_count_ & (shard_count_ - 1)) == 0);
  budget_.charge(fixed_cost());
}

MemoryStore::~MemoryStore() {
  size_t tables = 0;
  for (size_t i = 0; i < shard_count_; ++i) tables += shards_[i].table_cost();
  shards_.reset();
  budget_.release(tables + fixed_cost());
}

void MemoryStore::find(const Key& key, Variants& found) noexcept {
  const uint64_t place = place_of(key);
  shard_at(place).find(place, key, purges_, found);
}

std::vector<Ref<Entry>> MemoryStore::find_url(const Key& key, size_t most) {
  std::vector<Ref<Entry>> found;
  found.reserve(most);
  if (!has_extras_.load(std::memory_order_relaxed)) {
    Variants variants;
    find(key, variants);
    for (const Ref<Entry>& each : variants.all().first(std::min(most, variants.all().size()))) {
      found.push_back(each);
    }
    return found;
  }
  for (size_t i = 0; i < shard_count_ && found.size() < most; ++i) {
    size_t at = 0;
    while (shards_[i].list(at, key.url, purges_, found) && found.size() < most) {
    }
  }
  return found;
}

PutResult MemoryStore::put(Ref<Entry> entry, PutKind kind) noexcept {
  uint64_t body = 0;
  for (const EntryPart& part : entry->parts()) {
    const Body::Progress progress = part.body->progress();
    SL_CHECK(progress.state != Body::State::growing);
    body += progress.size;
  }
  PutResult result = PutResult::too_large;
  if (may_store(body)) {
    if (entry->key().has_extras()) has_extras_.store(true, std::memory_order_relaxed);
    const uint64_t place = place_of(entry->key());
    StoreShard& shard = shard_at(place);
    grow(shard);
    result = shard.put(place, std::move(entry), {kind, purges_});
  }
  if (result != PutResult::stored) refused_.fetch_add(1, std::memory_order_relaxed);
  return result;
}

void MemoryStore::remove(const Entry& entry) noexcept {
  shard_at(place_of(entry.key())).remove(entry);
}

size_t MemoryStore::purge_url(const Key& key, PurgeKind kind) noexcept {
  purges_.purge_url(key.url, kind);
  const uint64_t place = place_of(key);
  return shard_at(place).purge_key(place, key, kind);
}

size_t MemoryStore::purge_prefix(std::string_view prefix, PurgeKind kind) {
  purges_.purge_prefix(prefix, kind);
  return purge_each([prefix](const Entry& entry) { return entry.key().url.starts_with(prefix); },
                    kind);
}

size_t MemoryStore::purge_all(PurgeKind kind) noexcept {
  purges_.purge_all(kind);
  const uint64_t number = purges_.last();
  return purge_each([number](const Entry& entry) { return entry.started() < number; }, kind);
}

template <typename F>
size_t MemoryStore::purge_each(F&& is_meant, PurgeKind kind) noexcept {
  size_t count = 0;
  for (size_t i = 0; i < shard_count_; ++i) {
    size_t at = 0;
    while (shards_[i].walk(at, is_meant, kind, count)) {
    }
  }
  return count;
}

void MemoryStore::set_limits(size_t size, size_t max_object) noexcept {
  max_object_.store(max_object, std::memory_order_relaxed);
  budget_.set_limit(size);
  const size_t used = budget_.used();
  if (used > size) reclaim(0);
}

StoreCounters MemoryStore::counters() const noexcept {
  StoreCounters sum;
  sum.bytes = budget_.used();
  sum.refused = refused_.load(std::memory_order_relaxed);
  for (size_t i = 0; i < shard_count_; ++i) shards_[i].add_to(sum);
  return sum;
}

// Mixed with what nobody outside knows: the deployment's secret may be guessed.
uint64_t MemoryStore::place_of(const Key& key) const noexcept { return mix64(seed_, key.hash.low); }

// By the highest bits; buckets and ghosts go by lower ones.
StoreShard& MemoryStore::shard_at(uint64_t place) const noexcept {
  return shards_[(place >> 56) & (shard_count_ - 1)];
}

void MemoryStore::grow(StoreShard& shard) noexcept {
  const size_t count = shard.grown_count();
  if (count == 0) return;
  const size_t cost = StoreShard::Table::cost(count);
  if (!budget_.reserve(cost)) return;
  StoreShard::Table table{std::unique_ptr<Entry*[]>(new (std::nothrow) Entry*[count]()), count};
  if (table.buckets == nullptr) return budget_.release(cost);
  table = shard.grow(std::move(table));
  table.buckets.reset();
  budget_.release(StoreShard::Table::cost(table.count));
}

size_t MemoryStore::fixed_cost() const noexcept {
  return purges_.cost() + shard_count_ * sizeof(StoreShard);
}

void MemoryStore::reclaim(size_t bytes) noexcept {
  // A little more than is asked for, so that not every fill comes here; and from several shards, so
  // that none loses all it has.
  const size_t limit = budget_.limit();
  const size_t goal =
      std::max({bytes, limit / 1024, budget_.used() - std::min(budget_.used(), limit)});
  const size_t step = goal / 8 + 1;
  size_t stored = 0;
  for (size_t i = 0; i < shard_count_; ++i) stored += shards_[i].bytes();
  // What is evicted may still be sent, and then frees nothing: give up after twice the goal, or
  // when a whole round found nothing to evict.
  size_t evicted = 0;
  for (size_t idle = 0; idle < shard_count_ && evicted < 2 * goal && !budget_.has_room(goal);) {
    StoreShard& shard = shards_[hand_.fetch_add(1, std::memory_order_relaxed) % shard_count_];
    const size_t even_share = (stored - std::min(stored, evicted)) / shard_count_;
    const bool is_poor = shard.bytes() < even_share / 2;
    const size_t gone = is_poor ? 0 : shard.evict(step);
    evicted += gone;
    idle = gone > 0 ? 0 : idle + 1;
  }
}

}  // namespace sluice::cache
