// Ranges in a Fetch: a 206 that is kept while it is passed on, and an entry that is completed by a
// range request of our own (RFC 9111 sections 3.3 and 3.4).
#include <algorithm>
#include <array>
#include <new>

#include "sluice/base/strings.h"
#include "sluice/cache/policy_fields.h"
#include "sluice/cache/policy_validate.h"
#include "sluice/cache/vary.h"
#include "sluice/http/range.h"
#include "sluice/proxy/fetch.h"

namespace sluice::proxy {
namespace {

cache::Stored stored_of(const cache::Entry& entry) noexcept {
  return {entry.fields(), entry.times().response};
}

std::optional<uint64_t> announced_size(const http::Framing& framing) noexcept {
  if (framing.kind == http::BodyKind::none) return 0;
  if (framing.kind == http::BodyKind::length) return framing.length;
  return std::nullopt;
}

std::optional<cache::PartPlace> place_of(const http::ResponseHead& head,
                                         const http::ResponseForwarding& how, bool is_strong) {
  const http::Field* field = head.fields.find(http::FieldId::kContentRange);
  if (field == nullptr || head.fields.is_repeated(http::FieldId::kContentRange)) return {};
  const auto said = http::parse_content_range(field->value);
  if (!said) return {};
  return cache::place_part(*said, announced_size(how.framing), is_strong);
}

// What was taken off a part's head holds for the whole again: its Content-Length.
std::span<const http::Field> with_length(std::span<const http::Field> from, uint64_t length,
                                         Arena& arena) {
  auto* fields = arena.allocate_array<http::Field>(from.size() + 1);
  size_t count = 0;
  for (const http::Field& field : from) new (&fields[count++]) http::Field(field);
  char* text = arena.allocate_array<char>(20);
  new (&fields[count++]) http::Field{
      "Content-Length", {text, write_decimal(text, length)}, http::FieldId::kContentLength};
  return {fields, count};
}

// "bytes=5-9", or "bytes=5-" where it goes to the end.
std::string_view range_text(const http::ByteRange& range, uint64_t length, Arena& arena) {
  constexpr std::string_view kUnit = "bytes=";
  char* text = arena.allocate_array<char>(kUnit.size() + 41);
  char* at = std::copy(kUnit.begin(), kUnit.end(), text);
  at += write_decimal(at, range.first);
  *at++ = '-';
  if (range.last + 1 < length) at += write_decimal(at, range.last);
  return {text, static_cast<size_t>(at - text)};
}

}  // namespace

// Keeping what is passed on -----------------------------------------------------------------------

// The asker gets the 206 as it came; its bytes go into a body of their own besides.
void Fetch::keep_part(const cache::StorePlan& plan, const http::ResponseHead& head,
                      const http::ResponseForwarding& how) {
  cache::MemoryStore& store = site_.kit().cache->store;
  const cache::Stored answer{head.fields, plan.times.response};
  const bool is_strong = cache::may_combine(answer, answer);
  const auto place = place_of(head, how, is_strong);
  refused_ = cache::NoStoreReason::kRange;
  if (!place) return;
  refused_ = cache::NoStoreReason::kTooLarge;
  if (!store.may_store(place->range.size())) return;
  refused_ = cache::NoStoreReason::kNoRoom;
  growing_ = cache::Body::make(store.budget(), place->range.size());
  if (!growing_) return;
  const cache::EntryPart part{place->range.first, growing_};
  cache::EntrySpec spec = cache::spec_of(
      plan, key_, cache::vary_of(plan.vary, original_.fields, arena_), purges_at_start_);
  spec.fields = with_length(plan.fields, place->length, arena_);
  spec.complete_length = place->length;
  spec.parts = {&part, 1};
  entry_ = cache::Entry::make(store.budget(), spec);
  if (!entry_) {
    growing_ = nullptr;
    return;
  }
  place_ = place;
  refused_ = cache::NoStoreReason::kNone;
}

void Fetch::add_to_part(const Chain& bytes) {
  if (growing_->append(bytes)) return;
  growing_->fail();
  growing_ = nullptr;
}

// Beside the parts that are stored by now, where it is of the same representation for sure; else in
// place of them (RFC 9111 section 3.4).
void Fetch::store_part() {
  Ref<cache::Body> body = std::exchange(growing_, nullptr);
  if (!body->complete()) return;
  WorkerKit& kit = site_.kit();
  cache::MemoryStore& store = kit.cache->store;
  cache::Variants found;
  store.find(key_, found);
  const cache::EntryPart& part = entry_->parts()[0];
  cache::EntrySpec spec = entry_->spec();
  std::array<cache::EntryPart, cache::kMostParts> parts;
  for (const Ref<cache::Entry>& old : found.all()) {
    if (!cache::is_same_vary(old->vary(), entry_->vary())) continue;
    if (old->times().response > entry_->times().response) return;
    const bool is_same = cache::may_combine(stored_of(*old), stored_of(*entry_)) &&
                         old->complete_length() == entry_->complete_length();
    if (!is_same) break;
    const auto count = cache::merge_parts(old->parts(), part, place_->range, parts.data());
    cache::Update both;
    if (count) both = updated(*old, entry_->head(), true);
    if (!both.is_stored()) return;
    spec = *both.spec;
    spec.started = std::min(old->started(), purges_at_start_);
    spec.parts = {parts.data(), *count};
    break;
  }
  Ref<cache::Entry> entry = cache::Entry::make(store.budget(), spec);
  if (entry) entry = cache::settled(store.budget(), std::move(entry));
  if (entry && store.put(std::move(entry)) == cache::PutResult::stored) {
    kit.counters.add(stats::Counter::cache_stores);
    kit.cache->markers.clear(key_.hash);
  }
}

// Completing --------------------------------------------------------------------------------------

// RFC 9110 section 13.1.5: all of it should it have changed. Without a strong validator what comes
// cannot be combined; but an endpoint that ignores ranges answers at once with all of it.
void Fetch::ask_for_missing() {
  const uint64_t length = base_->complete_length().value_or(0);
  missing_ = cache::missing_range(base_->parts(), length);
  SL_CHECK(missing_.has_value());
  const std::string_view condition = cache::range_condition(stored_of(*base_));
  auto* fields = arena_.allocate_array<http::Field>(original_.fields.size() + 2);
  size_t count = 0;
  for (const http::Field& field : original_.fields) new (&fields[count++]) http::Field(field);
  new (&fields[count++])
      http::Field{"Range", range_text(*missing_, length, arena_), http::FieldId::kRange};
  if (!condition.empty()) {
    new (&fields[count++]) http::Field{"If-Range", condition, http::FieldId::kIfRange};
  }
  request_.fields = http::FieldList({fields, count});
}

// The answer is what was missing: into an entry with the stored parts, whole once it has come.
// False when it cannot be combined with them.
bool Fetch::complete_base(const http::ResponseHead& head, const http::ResponseForwarding& how) {
  const cache::Stored answer{head.fields, wall_now()};
  if (!cache::may_combine(stored_of(*base_), answer)) return false;
  const auto place = place_of(head, how, true);
  if (!place || place->length != base_->complete_length()) return false;
  const bool is_all = place->range.first <= missing_->first && place->range.last >= missing_->last;
  cache::Update update;
  if (is_all) update = updated(*base_, head, true);
  if (!update.is_stored()) return false;
  cache::EntrySpec& spec = *update.spec;
  cache::MemoryBudget& budget = site_.kit().cache->store.budget();
  growing_ = cache::Body::make(budget, place->range.size());
  if (!growing_) return false;
  std::array<cache::EntryPart, cache::kMostParts> parts;
  const auto count = cache::merge_parts(base_->parts(), {place->range.first, growing_},
                                        place->range, parts.data());
  if (count) {
    spec.started = std::min(base_->started(), purges_at_start_);
    spec.parts = {parts.data(), *count};
    entry_ = cache::Entry::make(budget, spec);
  }
  if (!entry_) {
    growing_ = nullptr;
    return false;
  }
  verdict_ = Verdict::serve;
  if (flight_) flight_->grow(entry_);
  return true;
}

void Fetch::ask_for_all() {
  asks_again_ = true;
  missing_ = std::nullopt;
  request_ = original_;
}

}  // namespace sluice::proxy
