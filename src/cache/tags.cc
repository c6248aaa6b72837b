#include "sluice/cache/tags.h"

#include <algorithm>

namespace sluice::cache {
namespace {

Standing verdict(PurgeKind kind) noexcept {
  return kind == PurgeKind::hard ? Standing::gone : Standing::stale;
}

}  // namespace

Purges::Purges()
    : rows_(std::make_unique<TagRow[]>(kRows)), urls_(std::make_unique<UrlRow[]>(kMostUrls)) {}

Standing Purges::standing(uint64_t started, std::span<const EntryTag> tags) const noexcept {
  if (last() <= started) return Standing::good;  // nothing at all was purged since
  Standing worst = all_.since(started);
  for (const EntryTag& tag : tags) {
    if (const TagRow* row = find(tag.hash)) worst = std::max(worst, row->last.since(started));
  }
  // Read after the table: who finds a row emptied finds the floor that was raised before.
  if (!tags.empty() && tags_floor_.load(std::memory_order_acquire) > started) {
    return Standing::gone;
  }
  return worst;
}

Standing Purges::standing_of_fill(uint64_t started, std::span<const EntryTag> tags,
                                  std::string_view url) const noexcept {
  const std::lock_guard lock(mutex_);
  if (last() <= started) return Standing::good;
  const Standing by_tag = standing(started, tags);
  if (lost_ > started) return Standing::gone;
  return std::max({by_tag, by_url(started, url), by_prefix(started, url)});
}

// From the newest back to the last one before the fill.
Standing Purges::by_url(uint64_t started, std::string_view url) const noexcept {
  Standing worst = Standing::good;
  const uint64_t hash = url_tag_hash(url);
  for (size_t back = 1; back <= kMostUrls; ++back) {
    const UrlRow& row = urls_[(next_url_ + kMostUrls - back) % kMostUrls];
    if (row.number <= started) break;
    if (row.hash == hash) worst = std::max(worst, verdict(row.kind));
  }
  return worst;
}

Standing Purges::by_prefix(uint64_t started, std::string_view url) const noexcept {
  Standing worst = Standing::good;
  for (const PrefixRow& row : prefixes_) {
    const bool is_meant = row.number > started && url.starts_with(row.text);
    if (is_meant) worst = std::max(worst, verdict(row.kind));
  }
  return worst;
}

void Purges::purge_tag(uint64_t hash, PurgeKind kind) noexcept {
  const std::lock_guard lock(mutex_);
  if (tags_ == kMostTags && find(hash) == nullptr) forget_tags();
  const uint64_t number = next();
  TagRow& row = row_for(hash);
  row.last.set(number, kind);
  if (row.hash.load(std::memory_order_relaxed) == hash) return;
  row.hash.store(hash, std::memory_order_release);
  ++tags_;
}

void Purges::purge_all(PurgeKind kind) noexcept {
  const std::lock_guard lock(mutex_);
  all_.set(next(), kind);
}

void Purges::purge_url(std::string_view url, PurgeKind kind) noexcept {
  const std::lock_guard lock(mutex_);
  UrlRow& row = urls_[next_url_];
  next_url_ = (next_url_ + 1) % kMostUrls;
  lost_ = std::max(lost_, row.number);
  row = {next(), url_tag_hash(url), kind};
}

void Purges::purge_prefix(std::string_view prefix, PurgeKind kind) {
  const std::lock_guard lock(mutex_);
  if (prefix.size() > kLongestPrefix) {
    lost_ = next();
    return;
  }
  PrefixRow& row = prefixes_[next_prefix_];
  next_prefix_ = (next_prefix_ + 1) % kMostPrefixes;
  lost_ = std::max(lost_, row.number);
  row.text = prefix;
  row.kind = kind;
  row.number = next();
}

// A fill that starts from here on gets its response after the purge was asked for.
uint64_t Purges::next() noexcept {
  const uint64_t number = last_.load(std::memory_order_relaxed) + 1;
  last_.store(number, std::memory_order_release);
  return number;
}

void Purges::forget_tags() noexcept {
  tags_floor_.store(last_.load(std::memory_order_relaxed), std::memory_order_release);
  for (size_t i = 0; i < kRows; ++i) {
    rows_[i].hash.store(0, std::memory_order_release);
    rows_[i].last.set(0, PurgeKind::hard);
    rows_[i].last.set(0, PurgeKind::soft);
  }
  tags_ = 0;
}

// The row of that tag, or a free one: half of them always are.
Purges::TagRow& Purges::row_for(uint64_t hash) noexcept {
  for (size_t at = hash >> 32;; ++at) {
    TagRow& row = rows_[at % kRows];
    const uint64_t there = row.hash.load(std::memory_order_relaxed);
    if (there == hash || there == 0) return row;
  }
}

const Purges::TagRow* Purges::find(uint64_t hash) const noexcept {
  for (size_t at = hash >> 32, tries = 0; tries < kRows; ++at, ++tries) {
    const TagRow& row = rows_[at % kRows];
    const uint64_t there = row.hash.load(std::memory_order_acquire);
    if (there == hash) return &row;
    if (there == 0) return nullptr;
  }
  return nullptr;
}

}  // namespace sluice::cache
