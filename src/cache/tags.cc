#include "sluice/cache/tags.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "sluice/base/check.h"

namespace sluice::cache {
namespace {

Standing verdict(PurgeKind kind) noexcept {
  return kind == PurgeKind::hard ? Standing::gone : Standing::stale;
}

// How much both begin with, if that is an origin with its slash at least; else 0.
size_t common_length(std::string_view a, std::string_view b) noexcept {
  const auto [end, other] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  const auto length = static_cast<size_t>(end - a.begin());
  const size_t authority = a.find("://");
  const bool has_origin = authority != std::string_view::npos &&
                          a.substr(0, length).find('/', authority + 3) != std::string_view::npos;
  return has_origin ? length : 0;
}

}  // namespace

Purges::Slots::Slots(size_t count) : mask_(count - 1), slots_(std::make_unique<Last[]>(count)) {
  SL_CHECK(std::has_single_bit(count));
}

Purges::Purges(const Sizes& sizes) : sizes_(sizes), tags_(sizes.tags), urls_(sizes.urls) {
  SL_CHECK(sizes.prefixes > 0);
  prefixes_.reserve(sizes.prefixes + 1);
}

Standing Purges::standing(uint64_t started, std::span<const EntryTag> tags) const noexcept {
  if (last() <= started) return Standing::good;  // nothing at all was purged since
  Standing worst = all_.since(started);
  for (const EntryTag& tag : tags) worst = std::max(worst, tags_.of(tag.hash).since(started));
  return worst;
}

Standing Purges::standing_of_fill(uint64_t started, std::span<const EntryTag> tags,
                                  std::string_view url) const noexcept {
  const std::lock_guard lock(mutex_);
  if (last() <= started) return Standing::good;
  if (lost_ > started) return Standing::gone;
  return std::max(
      {standing(started, tags), standing_of_url(started, url), by_prefix(started, url)});
}

Standing Purges::standing_of_url(uint64_t started, std::string_view url) const noexcept {
  if (last() <= started) return Standing::good;
  return urls_.of(url_hash(url)).since(started);
}

// From the newest back to the last one before the fill.
Standing Purges::by_prefix(uint64_t started, std::string_view url) const noexcept {
  Standing worst = Standing::good;
  for (auto row = prefixes_.rbegin(); row != prefixes_.rend() && row->number > started; ++row) {
    if (url.starts_with(row->text)) worst = std::max(worst, verdict(row->kind));
  }
  return worst;
}

void Purges::purge_tag(uint64_t hash, PurgeKind kind) noexcept {
  const std::lock_guard lock(mutex_);
  tags_.of(hash).set(next(), kind);
}

void Purges::purge_all(PurgeKind kind) noexcept {
  const std::lock_guard lock(mutex_);
  all_.set(next(), kind);
}

void Purges::purge_url(std::string_view url, PurgeKind kind) noexcept {
  const std::lock_guard lock(mutex_);
  urls_.of(url_hash(url)).set(next(), kind);
}

void Purges::purge_prefix(std::string_view prefix, PurgeKind kind) {
  std::string text(prefix.substr(0, kLongestPrefix));
  const std::lock_guard lock(mutex_);
  drop_covered(text, kind);
  text_ += text.size();
  prefixes_.push_back({next(), kind, std::move(text)});
  while (prefixes_.size() > sizes_.prefixes || text_ > most_text(sizes_)) squeeze_prefixes();
}

// A fill that starts from here on gets its response after the purge was asked for.
uint64_t Purges::next() noexcept {
  const uint64_t number = last_.load(std::memory_order_relaxed) + 1;
  last_.store(number, std::memory_order_release);
  return number;
}

// What was purged before, and is again by the one that comes.
void Purges::drop_covered(std::string_view prefix, PurgeKind kind) noexcept {
  std::erase_if(prefixes_, [&](const PrefixRow& row) {
    const bool is_covered =
        row.text.starts_with(prefix) && (kind == PurgeKind::hard || row.kind == PurgeKind::soft);
    if (is_covered) text_ -= row.text.size();
    return is_covered;
  });
}

// The oldest goes into the next oldest one of its origin, which then names what both begin with.
void Purges::squeeze_prefixes() {
  const PrefixRow& oldest = prefixes_.front();
  const auto other =
      std::find_if(prefixes_.begin() + 1, prefixes_.end(),
                   [&](const PrefixRow& row) { return common_length(oldest.text, row.text) > 0; });
  if (other == prefixes_.end()) {
    lost_ = std::max(lost_, oldest.number);
  } else {
    const size_t length = common_length(oldest.text, other->text);
    text_ -= other->text.size() - length;
    other->text.resize(length);
    if (oldest.kind == PurgeKind::hard) other->kind = PurgeKind::hard;
  }
  text_ -= oldest.text.size();
  prefixes_.erase(prefixes_.begin());
}

}  // namespace sluice::cache
