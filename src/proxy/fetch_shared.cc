// A fetch and the tier that hosts share: it looks there before it asks an endpoint, and writes
// there what it brought.
#include <utility>

#include "sluice/cache/policy_reuse.h"
#include "sluice/cache/purge_hub.h"
#include "sluice/cache/vary.h"
#include "sluice/proxy/exchange.h"
#include "sluice/proxy/fetch.h"

namespace sluice::proxy {

void Fetch::begin() {
  cache::SharedStore* shared = site_.kit().shared;
  if (shared_ != SharedUse::none && shared != nullptr && shared->is_up(key_)) {
    // A refresh in the background need not wait for the fetch of another host.
    const bool is_fetch = shared_ == SharedUse::look;
    look_.look(*shared, {key_, original_.fields, directives_.has_value(), is_fetch});
    return;
  }
  if (shared_ == SharedUse::only_look) {
    verdict_ = Verdict::absent;
    has_news_ = true;
    return tell();
  }
  ask();
}

// What the asker may have without asking an endpoint; for a refresh in the background that is a
// response which is fresh.
bool Fetch::Look::is_enough(const cache::Entry& entry) noexcept {
  const http::RequestDirectives none;
  const auto& wanted = fetch_.directives_;
  const cache::Reuse reuse =
      cache::judge_reuse(cache::facts_of(entry), wanted ? *wanted : none, wall_now()).reuse;
  return reuse == cache::Reuse::fresh || (wanted && reuse != cache::Reuse::must_validate);
}

void Fetch::on_look_end(const cache::SharedLook::Result& result) noexcept {
  stamp_ = result.stamp;
  may_be_shared_ = result.why == cache::SharedMiss::late;
  if (result.entry) take_found(result);
  if (verdict_ == Verdict::found) return tell();
  if (shared_ == SharedUse::only_look) {
    verdict_ = Verdict::absent;
    has_news_ = true;
    return tell();
  }
  // Nobody waits for a refresh, and another host is at it.
  if (!directives_ && result.is_fetched_elsewhere) return tell();
  ask();
}

// Into the memory tier; who waits for this fetch looks there again.
void Fetch::take_found(const cache::SharedLook::Result& result) {
  cache::MemoryStore& store = site_.kit().cache->store;
  const cache::PutResult put = store.put(result.entry, cache::PutKind::found);
  // The most recent response counts (RFC 9111 section 4), and that one did not do.
  if (put == cache::PutResult::older) return;
  const bool is_kept = put == cache::PutResult::stored;
  if (result.is_enough) {
    verdict_ = Verdict::found;
    entry_ = result.entry;
    has_news_ = true;
    if (is_kept) return end_flight(cache::Flight::State::failed, Error(Errc::kCancelled));
    if (flight_) flight_->grow(entry_);
    return end_flight(cache::Flight::State::stored);
  }
  // A part of it is asked for, not whether it is still good.
  if (base_) return;
  was_found_stale_ = true;
  cache::Variants found;
  store.find(key_, found);
  cache::Entry* matching = cache::choose_variant(found.all(), original_.fields, arena_);
  if (matching == nullptr) {
    found.clear();
    found.add(result.entry);
    matching = result.entry.get();
  }
  validate(found, matching);
}

void Fetch::write_behind(const Ref<cache::Entry>& entry) {
  cache::SharedStore* shared = site_.kit().shared;
  if (shared != nullptr && stamp_.is_known()) {
    shared->put(entry, stamp_, route_.cache->rules.keep);
  }
}

// A stored response whose place another one has taken that is not stored: it must not come back
// from the tier either.
void Fetch::forget(const cache::Entry& old) {
  WorkerKit& kit = site_.kit();
  kit.cache->store.remove(old);
  if (kit.shared == nullptr || kit.shared->remove(old)) return;
  // Its server is away: a purge waits until it is back.
  kit.purges->purge({.what = cache::PurgeOrder::What::url, .url = std::string(key_.url)}, arena_);
}

}  // namespace sluice::proxy
