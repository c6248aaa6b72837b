#include "sluice/cache/parts.h"

#include <algorithm>

namespace sluice::cache {
namespace {

constexpr uint64_t kLargestJoin = 256 * 1024;

// Calls `gap(begin, end)` for every gap, in order; `end` is beyond its last byte.
template <typename F>
void for_each_gap(std::span<const EntryPart> parts, uint64_t length, F&& gap) noexcept {
  uint64_t at = 0;
  for (size_t i = 0; i < parts.size() && at < length; ++i) {
    if (parts[i].first > at) gap(at, std::min(parts[i].first, length));
    at = end_of_part(parts, i, length);
  }
  if (at < length) gap(at, length);
}

// nullptr when it is too much to copy, or when the budget refuses.
Ref<Body> join_parts(MemoryBudget& budget, std::span<const EntryPart> parts,
                     uint64_t length) noexcept {
  Ref<Body> whole = length > kLargestJoin ? nullptr : Body::make(budget, length);
  if (!whole) return nullptr;
  for (size_t i = 0; i < parts.size(); ++i) {
    Chain bytes;
    BodyReader(parts[i].body).read(bytes, end_of_part(parts, i, length) - parts[i].first);
    if (!whole->append(bytes)) break;
  }
  return whole->complete() ? whole : nullptr;
}

}  // namespace

uint64_t end_of_part(std::span<const EntryPart> parts, size_t i,
                     std::optional<uint64_t> length) noexcept {
  const uint64_t limit = i + 1 < parts.size() ? parts[i + 1].first : length.value_or(UINT64_MAX);
  const Body::Progress progress = parts[i].body->progress();
  if (progress.state == Body::State::growing) return limit;
  return std::min(limit, parts[i].first + progress.size);
}

bool has_gaps(std::span<const EntryPart> parts, std::optional<uint64_t> length) noexcept {
  if (!length) return !parts.empty() && parts[0].first > 0;  // one part, whose end is the end
  bool found = false;
  for_each_gap(parts, *length, [&](uint64_t, uint64_t) { found = true; });
  return found;
}

bool has_gaps(const Entry& entry) noexcept {
  return has_gaps(entry.parts(), entry.complete_length());
}

bool is_broken(const Entry& entry) noexcept {
  return std::any_of(entry.parts().begin(), entry.parts().end(), [](const EntryPart& part) {
    return part.body->progress().state == Body::State::failed;
  });
}

bool covers(std::span<const EntryPart> parts, uint64_t length,
            const http::ByteRange& range) noexcept {
  bool is_there = range.last < length;
  for_each_gap(parts, length, [&](uint64_t begin, uint64_t end) {
    if (begin <= range.last && end > range.first) is_there = false;
  });
  return is_there;
}

std::optional<http::ByteRange> missing_range(std::span<const EntryPart> parts,
                                             uint64_t length) noexcept {
  std::optional<http::ByteRange> missing;
  for_each_gap(parts, length, [&](uint64_t begin, uint64_t end) {
    if (!missing) missing = http::ByteRange{begin, end - 1};
    missing->last = end - 1;
  });
  return missing;
}

std::optional<size_t> merge_parts(std::span<const EntryPart> parts, const EntryPart& added,
                                  const http::ByteRange& range, EntryPart* out) noexcept {
  size_t count = 0;
  bool is_in = false;
  const uint64_t end = range.last + 1;
  const auto add = [&](const EntryPart& part) {
    const bool has_room = count < kMostParts;
    if (has_room) out[count++] = part;
    return has_room;
  };
  for (const EntryPart& part : parts) {
    const uint64_t part_end = part.first + part.body->size();
    const bool has_it = part.first <= range.first && part_end >= end;
    if (!has_it && range.first <= part.first && part_end <= end) continue;
    if (!is_in && !has_it && range.first < part.first && !add(added)) return std::nullopt;
    is_in |= has_it || range.first < part.first;
    if (!add(part)) return std::nullopt;
  }
  if (!is_in && !add(added)) return std::nullopt;
  return count;
}

Ref<Entry> settled(MemoryBudget& budget, Ref<Entry> entry) noexcept {
  const auto& parts = entry->parts();
  if (parts.empty()) return entry;
  EntryPart one{parts[0].first, nullptr};
  if (parts.size() == 1) {
    one.body = Body::compact(parts[0].body);
    if (one.body == parts[0].body) return entry;
  } else {
    if (!has_gaps(*entry)) one.body = join_parts(budget, parts, *entry->complete_length());
    if (!one.body) return entry;
  }
  EntrySpec spec = entry->spec();
  if (!spec.complete_length) spec.complete_length = one.body->size();
  spec.parts = {&one, 1};
  return Entry::make(budget, spec);
}

std::optional<PartPlace> place_part(const http::ContentRange& said, std::optional<uint64_t> size,
                                    bool is_strong) noexcept {
  // Without the complete length nobody could tell whether something is missing.
  if (!said.range || !said.length) return std::nullopt;
  const http::ByteRange& range = *said.range;
  if (!size || *size == range.size()) return PartPlace{range, *said.length};
  const bool is_last = range.last + 1 == *said.length;
  const bool is_believed = !is_strong && is_last && range.first > 0;
  if (!is_believed || *size == 0 || *size > range.size()) return std::nullopt;
  const uint64_t end = range.first + *size;
  return PartPlace{{range.first, end - 1}, end};
}

}  // namespace sluice::cache
