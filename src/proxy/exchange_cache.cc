// The steps of an exchange on a route with a cache: what is stored is served, what is not is
// fetched by a Fetch, and who asks for the same thing meanwhile follows it.
#include <algorithm>
#include <new>
#include <optional>
#include <utility>

#include "sluice/base/strings.h"
#include "sluice/cache/cache.h"
#include "sluice/cache/parts.h"
#include "sluice/cache/policy_invalidate.h"
#include "sluice/cache/policy_request.h"
#include "sluice/cache/policy_reuse.h"
#include "sluice/cache/policy_status.h"
#include "sluice/cache/policy_store.h"
#include "sluice/cache/policy_update.h"
#include "sluice/cache/policy_validate.h"
#include "sluice/cache/purge_hub.h"
#include "sluice/cache/store_redis.h"
#include "sluice/cache/vary.h"
#include "sluice/http/uri.h"
#include "sluice/proxy/cache_places.h"
#include "sluice/proxy/entry_sender.h"
#include "sluice/proxy/exchange.h"
#include "sluice/proxy/fetch.h"
#include "sluice/proxy/local_reply.h"
#include "sluice/proxy/router.h"

namespace sluice::proxy {
namespace {

constexpr uint8_t kMostRounds = 3;    // after following so many fetches for nothing, go alone
constexpr uint8_t kMostFailures = 2;  // of fetches that were followed

int64_t unix_seconds(WallTime time) noexcept {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

}  // namespace

// What an exchange knows of the cache; lives in its arena until step_finish.
struct Exchange::CacheUse final : cache::FlightWaiter {
  explicit CacheUse(Exchange& its_exchange) noexcept : exchange(its_exchange) {}
  void on_flight_progress() noexcept override { exchange.run(); }
  // False when too many follow it already.
  bool follow(Ref<cache::Flight> followed) noexcept {
    WorkerKit& kit = exchange.site_.kit();
    if (!followed->wait(*this, kit.loop, kit.index)) return false;
    flight = std::move(followed);
    came_before_head = flight->state() == cache::Flight::State::asking;
    return true;
  }

  Exchange& exchange;
  cache::RequestPlan plan;
  cache::KeyUrl url;
  cache::Key key;
  Ref<cache::Entry> stale;        // may be sent should no endpoint answer
  Fetch* fetch = nullptr;         // while upstream_ is its answer
  Ref<cache::Flight> flight;      // followed
  bool came_before_head = false;  // what it brings is an answer to this request too
  std::optional<EntrySender> sender;
  EntrySender::Lack lack = EntrySender::Lack::none;  // of what is stored
  cache::CacheStatus status;
  // When freshness and age are judged: at the look-up, and when what was waited for comes. Precise
  // enough, since both count in seconds; read once, since a hit takes little longer than a few
  // looks at the clock.
  WallTime now{};
  // Of a POST, whose response goes by the ordinary way and may be kept for GET besides.
  WallTime sent{};
  uint64_t purges_at_start = 0;
  Ref<cache::Body> keeping;
  Ref<cache::Entry> kept;
  bool is_fresh_fetch = false;  // what is sent came for this very request
  bool is_counted = false;      // as a miss of the memory tier
  bool has_looked = false;      // in the shared tier
  bool only_looks = false;      // the next fetch asks the shared tier alone
  bool is_from_shared = false;  // what is served was found there
  uint8_t rounds = 0;
  uint8_t failures = 0;
};

// Look up -----------------------------------------------------------------------------------------

// Nothing when this request has no key: then it goes to an endpoint as if there were no cache.
Exchange::CacheUse* Exchange::begin_cache_use() noexcept {
  auto* use = new (arena_.allocate(sizeof(CacheUse), alignof(CacheUse))) CacheUse(*this);
  const SiteCache& rule = *route_->cache;
  use->plan = cache::judge_request(head_, rule.rules);
  use->url = {client_info_.scheme, head_.authority, target_};
  use->status.forwarded = use->plan.reason;
  auto key = cache::make_key(use->url, head_.fields, rule.key, site_.kit().cache->secret, arena_);
  if (key) {
    use->key = *key;
  } else {
    use->plan.may_look_up = use->plan.may_store = false;
    use->status.forwarded = cache::ForwardReason::bypass;
  }
  return use;
}

Exchange::Turn Exchange::step_lookup() noexcept {
  SL_CHECK(upstream_ == nullptr && !response_begun_);
  if (cache_ == nullptr) cache_ = begin_cache_use();
  CacheUse& use = *cache_;
  use.now = wall_at_last_tick();
  stats::Counters& counters = site_.kit().counters;
  if (!use.plan.may_look_up) {
    counters.add(stats::Counter::cache_bypasses);
    cache_word_ = "bypass";
    use.sent = wall_now();
    use.purges_at_start = site_.kit().cache->store.purges().last();
    route_->pool->count_request(site_.kit().loop.now());
    go(Step::kPick);
    return Turn::go_on;
  }
  cache::Variants found;
  site_.kit().cache->store.find(use.key, found);
  cache::Entry* entry = cache::choose_variant(found.all(), head_.fields, arena_);
  if (entry != nullptr) return serve_from(found, *entry);
  use.lack = EntrySender::Lack::none;
  use.status.forwarded =
      found.is_empty() ? cache::ForwardReason::uri_miss : cache::ForwardReason::vary_miss;
  return miss(found, nullptr);
}

// RFC 9111 section 4: the stored response may do, or has to be validated first.
Exchange::Turn Exchange::serve_from(const cache::Variants& found, cache::Entry& entry) noexcept {
  CacheUse& use = *cache_;
  stats::Counters& counters = site_.kit().counters;
  const cache::ReuseVerdict verdict =
      cache::judge_reuse(cache::facts_of(entry), use.plan.directives, use.now);
  entry.touch();
  use.lack = EntrySender::lack_of(entry, head_, unix_seconds(use.now), arena_);
  if (use.lack != EntrySender::Lack::none) {
    use.status.forwarded = cache::ForwardReason::partial;
    return miss(found, &entry);
  }
  use.status.ttl = verdict.ttl;
  switch (verdict.reuse) {
    case cache::Reuse::fresh:
      if (!use.is_from_shared) counters.add(stats::Counter::cache_memory_hits);
      cache_word_ = "hit";
      break;
    case cache::Reuse::stale_while_revalidate:
      refresh(found, entry);
      [[fallthrough]];
    case cache::Reuse::max_stale:
      if (!use.is_from_shared) counters.add(stats::Counter::cache_memory_stale);
      cache_word_ = "stale";
      break;
    case cache::Reuse::must_validate:
      use.status.forwarded = verdict.reason;
      use.is_from_shared = false;
      return miss(found, &entry);
  }
  use.status.forwarded = cache::ForwardReason::none;
  return serve(Ref<cache::Entry>(&entry), use.is_from_shared ? "redis" : "memory");
}

Exchange::Turn Exchange::serve(Ref<cache::Entry> entry, std::string_view detail) noexcept {
  cache_->status.detail = detail;
  cache_->sender.emplace(std::move(entry), head_, arena_);
  go(Step::kServe);
  return Turn::go_on;
}

// RFC 5861 section 3: one request in the background, whoever asks meanwhile.
void Exchange::refresh(const cache::Variants& found, cache::Entry& entry) noexcept {
  cache::Flights::Joined joined = join_flight();
  if (!joined.is_first) return;
  FetchOrder order{site_,       *route_, head_,       client_info_, cache_->url,
                   cache_->key, target_, request_id_, traceparent()};
  order.stored = &found;
  order.matching = &entry;
  order.flight = std::move(joined.flight);
  order.shared = SharedUse::look;  // it wants a fresh one there, and brings lease and stamp
  Fetch::start(order)->answer().release();
}

// Not stored, or to be validated: one fetches, the others follow.
Exchange::Turn Exchange::miss(const cache::Variants& found, cache::Entry* matching) noexcept {
  CacheUse& use = *cache_;
  cache::Cache& shared = *site_.kit().cache;
  if (!std::exchange(use.is_counted, true)) {
    site_.kit().counters.add(stats::Counter::cache_memory_misses);
  }
  cache_word_ = matching == nullptr                   ? "miss"
                : use.lack == EntrySender::Lack::none ? "validate"
                                                      : "partial";
  if (matching != nullptr) use.stale = Ref<cache::Entry>(matching);
  use.status.ttl = std::nullopt;
  // RFC 9111 section 5.2.1.7
  const bool only_if_cached = use.plan.directives.only_if_cached;
  // A response to HEAD is not stored; one that is stored already may be validated by GET.
  const bool is_passed =
      !use.plan.may_store || (head_.method == http::Method::head && matching == nullptr);
  if (only_if_cached || is_passed) {
    use.only_looks = may_look_shared();
    if (use.only_looks) return start_fetch(found, matching, nullptr);
    if (only_if_cached) return fail(Error(Errc::kNotCached));
    route_->pool->count_request(site_.kit().loop.now());
    go(Step::kPick);
    return Turn::go_on;
  }
  // A range that is not there is wanted by nobody else.
  const bool goes_alone = use.rounds >= kMostRounds || use.lack == EntrySender::Lack::ranges ||
                          shared.markers.has(use.key.hash, site_.kit().loop.now());
  if (goes_alone) {
    use.has_looked = use.lack != EntrySender::Lack::ranges;
    return start_fetch(found, matching, nullptr);
  }
  cache::Flights::Joined joined = join_flight();
  if (!joined.is_first) {
    if (!use.follow(joined.flight)) return start_fetch(found, matching, nullptr);
    site_.kit().counters.add(stats::Counter::cache_collapsed);
    go(Step::kFollow);
    return Turn::go_on;
  }
  // The flight before this one may have ended since the look-up.
  cache::Variants now;
  shared.store.find(use.key, now);
  cache::Entry* entry = cache::choose_variant(now.all(), head_.fields, arena_);
  if (entry != nullptr && entry != matching &&
      cache::judge_reuse(cache::facts_of(*entry), use.plan.directives, wall_now()).reuse ==
          cache::Reuse::fresh) {
    shared.flights.finish(*joined.flight);
    joined.flight->end(cache::Flight::State::failed, Error(Errc::kCancelled));
    return serve_from(now, *entry);
  }
  return start_fetch(found, matching, std::move(joined.flight));
}

// Not one that began before a purge of what it brings: who asks after the purge was answered gets
// what is there after it.
cache::Flights::Joined Exchange::join_flight() noexcept {
  cache::Cache& shared = *site_.kit().cache;
  const cache::Key& key = cache_->key;
  const cache::Purges& purges = shared.store.purges();
  cache::Flights::Joined joined = shared.flights.join(key, purges.last());
  if (joined.is_first || purges.last() == joined.flight->started()) return joined;
  const bool is_growing = joined.flight->state() == cache::Flight::State::growing;
  const auto tags =
      is_growing ? joined.flight->entry()->tags() : std::span<const cache::EntryTag>();
  if (purges.standing_of_fill(joined.flight->started(), tags, key.url) == cache::Standing::good) {
    return joined;
  }
  shared.flights.retire(*joined.flight);
  return shared.flights.join(key, purges.last());
}

// Once a request, while the server of the key is there.
bool Exchange::may_look_shared() const noexcept {
  const cache::SharedStore* shared = site_.kit().shared;
  return shared != nullptr && !cache_->has_looked && shared->is_up(cache_->key);
}

Exchange::Turn Exchange::start_fetch(const cache::Variants& found, cache::Entry* matching,
                                     Ref<cache::Flight> flight) noexcept {
  CacheUse& use = *cache_;
  FetchOrder order{site_,   *route_, head_,       client_info_, use.url,
                   use.key, target_, request_id_, traceparent()};
  order.stored = &found;
  order.matching = matching;
  order.flight = std::move(flight);
  order.lack = use.lack;
  order.is_for_range = matching == nullptr || use.lack == EntrySender::Lack::ranges;
  if (!std::exchange(use.has_looked, true)) order.shared = SharedUse::look;
  if (std::exchange(use.only_looks, false)) order.shared = SharedUse::only_look;
  order.directives = &use.plan.directives;
  use.fetch = Fetch::start(order);
  upstream_ = &use.fetch->answer();
  upstream_->begin(this, &arena_);
  if (step_ != Step::kFollow) go(Step::kFollow);
  return Turn::go_on;
}

// Follow ------------------------------------------------------------------------------------------

Exchange::Turn Exchange::step_follow() noexcept {
  SL_CHECK(cache_ != nullptr && !response_begun_);
  if (Error error = client_->error()) return fail(error);
  cache_->now = wall_at_last_tick();
  return cache_->fetch != nullptr ? follow_fetch() : follow_flight();
}

Exchange::Turn Exchange::follow_fetch() noexcept {
  CacheUse& use = *cache_;
  Fetch& fetch = *use.fetch;
  if (upstream_->interim() != nullptr) forward_interim();
  if (fetch.verdict() == Fetch::Verdict::asking) return Turn::wait;
  const TryFacts& facts = fetch.facts();
  last_endpoint_ = facts.endpoint;
  last_endpoint_id_ = facts.endpoint_id;
  attempts_ = facts.attempts;
  connect_time_ = facts.connect;
  first_byte_time_ = facts.first_byte;
  queue_time_ = facts.queue;
  // RFC 9211 section 2.2: what was validated was found in the shared tier.
  if (!use.stale && fetch.was_found_stale()) use.status.forwarded = cache::ForwardReason::stale;
  switch (fetch.verdict()) {
    case Fetch::Verdict::asking:
      break;
    case Fetch::Verdict::found:
      return serve_found(fetch.entry());
    case Fetch::Verdict::absent:
      drop_fetch();
      go(Step::kLookup);
      return Turn::go_on;
    case Fetch::Verdict::serve:
      use.is_fresh_fetch = true;
      use.status.is_stored = !fetch.was_validated();
      if (fetch.was_validated()) use.status.forward_status = 304;
      if (fetch.was_completed()) use.status.forward_status = 206;
      return serve(fetch.entry(), {});
    case Fetch::Verdict::pass:
      if (serve_stale(fetch.endpoint_status(), Error())) return Turn::go_on;
      use.status.is_stored = fetch.is_kept();
      use.status.detail = cache::to_string(fetch.why_not_stored());
      sending_ = Sending::done;
      go(Step::kRespond);
      return Turn::go_on;
    case Fetch::Verdict::failed:
      if (serve_stale(0, fetch.failure())) return Turn::go_on;
      return fail(fetch.failure());
  }
  return Turn::wait;
}

// By the rules for what is in memory, where it may be by now.
Exchange::Turn Exchange::serve_found(const Ref<cache::Entry>& entry) noexcept {
  cache::Variants found;
  found.add(entry);
  drop_fetch();
  cache_->is_from_shared = true;
  go(Step::kLookup);
  return serve_from(found, *found.all().front());
}

void Exchange::drop_fetch() noexcept {
  drop_connection(CloseReason::kDone);
  cache_->fetch = nullptr;
}

// RFC 9111 section 4.2.4, RFC 5861 section 4.
bool Exchange::serve_stale(int status, Error error) noexcept {
  CacheUse& use = *cache_;
  if (use.fetch != nullptr && use.fetch->matching()) use.stale = use.fetch->matching();
  if (!use.stale || use.lack != EntrySender::Lack::none) return false;
  const std::optional<cache::Failure> failure =
      error ? cache::Failure::unreachable : cache::failure_of(status);
  const cache::EntryFacts facts = cache::facts_of(*use.stale);
  if (!failure || !cache::may_serve_after(*failure, facts, use.plan.directives,
                                          route_->cache->rules, wall_now())) {
    return false;
  }
  const bool is_from_shared = use.fetch != nullptr && use.fetch->was_found_stale();
  drop_fetch();
  if (!is_from_shared) site_.kit().counters.add(stats::Counter::cache_memory_stale);
  cache_word_ = "stale";
  // A hit with a negative ttl, also where the endpoint was asked in vain (RFC 9211 section 2.1 has
  // a hit for what was not forwarded alone).
  use.status.forwarded = cache::ForwardReason::none;
  use.status.ttl = facts.ttl(wall_now());
  serve(use.stale, is_from_shared ? "redis" : "memory");
  return true;
}

// RFC 9111 sections 5.2.2.2 and 5.2.2.4: for a reply of our own.
bool Exchange::had_to_validate() const noexcept {
  if (cache_ == nullptr || !cache_->stale) return false;
  return cache_->stale->has(cache::EntryFlag::must_revalidate) ||
         cache_->stale->has(cache::EntryFlag::no_cache);
}

Exchange::Turn Exchange::follow_flight() noexcept {
  CacheUse& use = *cache_;
  const cache::Flight::State state = use.flight->state();
  if (state == cache::Flight::State::asking) return Turn::wait;
  const bool has_entry =
      state == cache::Flight::State::growing || state == cache::Flight::State::stored;
  cache::Entry* entry = nullptr;
  if (has_entry) {
    const Ref<cache::Entry> one[] = {use.flight->entry()};
    entry = cache::choose_variant(one, head_.fields, arena_);
  }
  // The end of the flight comes in a moment: nothing was sent yet, so it can be tried again.
  if (entry != nullptr && cache::is_broken(*entry)) {
    if (!use.flight->is_over()) return Turn::wait;
    entry = nullptr;
  }
  // RFC 9111 section 3.3: what is incomplete must not pass for the whole.
  const bool is_there =
      entry != nullptr && EntrySender::lack_of(*entry, head_, unix_seconds(wall_now()), arena_) ==
                              EntrySender::Lack::none;
  // RFC 9111 section 4: who comes while the body is on its way already is served from what is
  // stored so far, and only if that may be reused.
  const bool may_reuse =
      is_there &&
      (use.came_before_head ||
       cache::judge_reuse(cache::facts_of(*entry), use.plan.directives, wall_now()).reuse !=
           cache::Reuse::must_validate);
  if (is_there && !may_reuse) use.rounds = kMostRounds;
  if (may_reuse) {
    use.status.is_collapsed = true;
    cache_word_ = "collapsed";
    return serve(Ref<cache::Entry>(entry), {});
  }
  use.leave();
  const Error error = use.flight->error();
  const int status = use.flight->status();
  use.flight = nullptr;
  switch (state) {
    case cache::Flight::State::asking:
    case cache::Flight::State::growing:
    case cache::Flight::State::stored:
      ++use.rounds;  // a variant for others
      break;
    case cache::Flight::State::refused:
      if (serve_stale(status, Error())) return Turn::go_on;
      // A part of it says nothing of the whole.
      use.rounds = status == 206 ? static_cast<uint8_t>(use.rounds + 1) : kMostRounds;
      break;
    case cache::Flight::State::failed:
      if (error.origin() == Origin::upstream && serve_stale(0, error)) return Turn::go_on;
      // One of those who waited asks once more for the others; then it is the endpoint.
      if (error.code() != Errc::kCancelled && ++use.failures == kMostFailures) return fail(error);
      break;
  }
  go(Step::kLookup);
  return Turn::go_on;
}

// Serve -------------------------------------------------------------------------------------------

Exchange::Turn Exchange::step_serve() noexcept {
  SL_CHECK(cache_ != nullptr && cache_->sender);
  CacheUse& use = *cache_;
  if (Error error = client_->error()) return fail(error);
  if (!response_begun_) {
    http::ResponseForwarding how;
    how.keep_alive = head_.keep_alive && !site_.kit().draining;
    how.request_id = request_id_;
    how.extra_lines = cache_lines();
    how.edits = route_->response_edits.is_empty() ? nullptr : &route_->response_edits;
    how.hides_tags = true;
    how.hides_surrogate_control = route_->cache->is_surrogate;
    status_ = use.sender->send_head(how, unix_seconds(use.now), *client_);
    response_begun_ = true;
  }
  const EntrySender::Progress progress = use.sender->send_body(*client_, bytes_out_);
  client_->flush();
  switch (progress) {
    case EntrySender::Progress::client_slow:
    case EntrySender::Progress::body_grows:
      return Turn::wait;
    case EntrySender::Progress::body_broken:
      if (use.fetch != nullptr && use.fetch->is_overflowing()) {
        sending_ = Sending::done;
        go(Step::kRelay);
        return Turn::go_on;
      }
      return fail(Error(Errc::kResponseIncomplete));
    case EntrySender::Progress::all_sent:
      break;
  }
  if (upstream_ != nullptr) std::exchange(upstream_, nullptr)->release();
  use.fetch = nullptr;
  go(Step::kFlush);
  return Turn::go_on;
}

// Age (RFC 9111 section 5.1) and Cache-Status (RFC 9211).
std::string_view Exchange::cache_lines() noexcept {
  constexpr std::string_view kAge = "Age: ", kStatus = "Cache-Status: ";
  char* line =
      arena_.allocate_array<char>(kAge.size() + 20 + kStatus.size() + cache::kMostCacheStatus + 4);
  char* at = line;
  CacheUse& use = *cache_;
  if (use.sender) {
    const uint64_t age = cache::age_to_send(use.sender->entry().times(), use.now);
    // What just came for this request is no older than its endpoint said.
    if (!use.is_fresh_fetch || age > 0) {
      at = std::copy(kAge.begin(), kAge.end(), at);
      at += write_decimal(at, age);
      *at++ = '\r';
      *at++ = '\n';
    }
  }
  at = std::copy(kStatus.begin(), kStatus.end(), at);
  at += cache::write_cache_status(at, use.status);
  *at++ = '\r';
  *at++ = '\n';
  return {line, static_cast<size_t>(at - line)};
}

// Of a response that is passed on.
std::string_view Exchange::response_lines() noexcept {
  if (cache_ == nullptr) return sticky_line();
  std::string_view ours = cache_lines();
  std::string_view sticky = cache_->fetch != nullptr ? cache_->fetch->extra_lines() : sticky_line();
  if (sticky.empty()) return ours;
  char* both = arena_.allocate_array<char>(ours.size() + sticky.size());
  std::copy(sticky.begin(), sticky.end(), std::copy(ours.begin(), ours.end(), both));
  return {both, ours.size() + sticky.size()};
}

// RFC 9111 section 4.4: what an unsafe method may have changed, on whatever route it came. The
// targets are as the endpoint sees them, and so as most entries have them; where routes change what
// a URL is stored under, it is looked up by the routes as well.
// Says how many purges that was.
uint64_t Exchange::invalidate_for(const http::ResponseHead& response) noexcept {
  if (http::is_safe(head_.method)) return 0;
  const cache::KeyUrl url{client_info_.scheme, head_.authority, target_};
  const cache::Invalidation stale = cache::judge_invalidation(head_, url, response, arena_);
  WorkerKit& kit = site_.kit();
  uint64_t count = 0;
  const auto purge = [&](const cache::PurgeOrder& order) {
    ++count;
    return kit.purges->purge(order, arena_);
  };
  for (std::string_view target : stale.targets) {
    const cache::KeyUrl changed{url.scheme, url.authority, target};
    if (site_.changes_urls()) {
      purge_url(*site_.snapshot(), *kit.cache, changed, cache::PurgeKind::hard, purge);
    } else if (may_be_stored(changed)) {
      auto key = cache::make_key(changed, {}, {}, kit.cache->secret, arena_);
      if (key) purge({.what = cache::PurgeOrder::What::url, .url = std::string(key->url)});
    }
  }
  const bool is_stripped = target_ != head_.path && !stale.targets.empty();
  if (is_stripped && site_.changes_urls()) {
    purge_url(*site_.snapshot(), *kit.cache, {url.scheme, url.authority, head_.path},
              cache::PurgeKind::hard, purge);
  }
  if (stale.is_all_of_origin) {
    auto root =
        cache::make_key({url.scheme, url.authority, "/"}, {}, {}, kit.cache->secret, arena_);
    if (root) purge({.what = cache::PurgeOrder::What::prefix, .url = std::string(root->url)});
  }
  for (uint64_t tag : stale.tags) {
    purge({.what = cache::PurgeOrder::What::tag, .url = {}, .tag = tag});
  }
  return count;
}

// A GET for it may take a route with a cache: else every POST to anything would be a purge that all
// hosts hear of.
bool Exchange::may_be_stored(const cache::KeyUrl& url) noexcept {
  const auto path = http::normalise_path(url.target.substr(0, url.target.find('?')), arena_);
  if (!path) return false;
  const auto routes = routes_of_url(*site_.snapshot(), url.authority, *path);
  return std::ranges::any_of(routes,
                             [&](uint32_t index) { return site_.route(index).cache.has_value(); });
}

// Keep --------------------------------------------------------------------------------------------

// Before the head of a response that is passed on. RFC 9110 section 9.3.3: that of a POST may be
// what a GET would bring. It is stored in place of what it makes invalid; purges of others that
// came since its request was sent hold for it too.
void Exchange::note_response(const http::ResponseHead& response) noexcept {
  CacheUse& use = *cache_;
  if (head_.method == http::Method::head) return note_head(response);
  if (head_.method != http::Method::post || !use.plan.may_store) {
    invalidate_for(response);
    return;
  }
  const cache::StoreFacts facts{head_,      use.url,
                                response,   use.sent,
                                wall_now(), static_cast<uint32_t>(site_.kit().random.next())};
  const cache::StorePlan plan = cache::judge_store(facts, route_->cache->rules, arena_);
  const cache::Purges& purges = site_.kit().cache->store.purges();
  const uint64_t before = purges.last();
  const bool is_good =
      plan.is_stored() &&
      purges.standing_of_fill(use.purges_at_start, plan.tags, use.key.url) == cache::Standing::good;
  const uint64_t started = before + invalidate_for(response);
  // One of somebody else in between may have been for this: then it is not kept.
  if (is_good && started == purges.last()) begin_keeping(plan, response.framing, started);
}

// RFC 9111 section 4.3.5: what a 200 to HEAD says of the stored response to GET.
void Exchange::note_head(const http::ResponseHead& response) noexcept {
  CacheUse& use = *cache_;
  if (!use.plan.may_store || response.status != 200) return;
  cache::MemoryStore& store = site_.kit().cache->store;
  cache::Variants found;
  store.find(use.key, found);
  cache::Entry* entry = cache::choose_variant(found.all(), head_.fields, arena_);
  if (entry == nullptr) return;
  const cache::HeadEffect effect =
      cache::judge_head({entry->fields(), entry->times().response}, entry->complete_length(),
                        {response.fields, wall_now()});
  if (effect == cache::HeadEffect::mark_stale) return entry->mark_stale();
  const cache::UpdateFacts facts{head_,
                                 use.url,
                                 response.fields,
                                 use.sent,
                                 wall_now(),
                                 static_cast<uint32_t>(site_.kit().random.next()),
                                 use.purges_at_start};
  const cache::Update update = cache::judge_update(*entry, facts, route_->cache->rules, arena_);
  if (!update.is_stored()) return;
  Ref<cache::Entry> updated = cache::Entry::make(store.budget(), *update.spec);
  if (updated) store.put(std::move(updated));
}

void Exchange::begin_keeping(const cache::StorePlan& plan, const http::Framing& framing,
                             uint64_t started) noexcept {
  CacheUse& use = *cache_;
  cache::MemoryStore& store = site_.kit().cache->store;
  std::optional<uint64_t> length;
  if (framing.kind == http::BodyKind::none) length = 0;
  if (framing.kind == http::BodyKind::length) length = framing.length;
  if (!store.may_store(length.value_or(0))) return;
  use.keeping = cache::Body::make(store.budget(), length);
  if (!use.keeping) return;
  const cache::EntryPart part{0, use.keeping};
  cache::EntrySpec spec =
      cache::spec_of(plan, use.key, cache::vary_of(plan.vary, head_.fields, arena_), started);
  spec.complete_length = length;
  spec.parts = {&part, 1};
  use.kept = cache::Entry::make(store.budget(), spec);
  use.status.is_stored = use.kept != nullptr;
  if (!use.kept) use.keeping = nullptr;
}

void Exchange::keep(const Chain& bytes) noexcept {
  CacheUse& use = *cache_;
  if (!use.keeping) return;
  const uint64_t size = use.keeping->size() + bytes.size();
  if (site_.kit().cache->store.may_store(size) && use.keeping->append(bytes)) return;
  use.keeping = nullptr;
  use.kept = nullptr;
}

void Exchange::end_keeping() noexcept {
  CacheUse& use = *cache_;
  if (!use.keeping || !std::exchange(use.keeping, nullptr)->complete()) return;
  WorkerKit& kit = site_.kit();
  Ref<cache::Entry> entry = cache::settled(kit.cache->store.budget(), std::move(use.kept));
  if (!entry || kit.cache->store.put(std::move(entry)) != cache::PutResult::stored) return;
  kit.counters.add(stats::Counter::cache_stores);
  kit.cache->markers.clear(use.key.hash);
}

void Exchange::end_cache_use() noexcept {
  if (cache_ == nullptr) return;
  cache_->~CacheUse();
  cache_ = nullptr;
}

// What the asker of a fetch tells in its place.
TryFacts Exchange::facts() const noexcept {
  TryFacts facts;
  facts.endpoint = last_endpoint_;
  facts.endpoint_id = last_endpoint_id_;
  facts.attempts = attempts_;
  facts.connect = connect_time_;
  facts.first_byte = first_byte_time_;
  facts.queue = queue_time_;
  return facts;
}

}  // namespace sluice::proxy
