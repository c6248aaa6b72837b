#include "sluice/cache/purge_hub.h"

#include <algorithm>
#include <utility>

#include "purge_link.h"
#include "purge_outbox.h"
#include "sluice/base/log.h"
#include "sluice/cache/key.h"
#include "sluice/cache/shared_inspect.h"

namespace sluice::cache {
namespace {

// Nobody else knows of them.
void tell_lost(const PurgeLink& link) {
  const size_t lost = link.outbox()->facts().waiting;
  if (lost == 0) return;
  log_warn("cache",
           "{}: {} purges of this host were never written to it and are lost: what they named may "
           "be served by other hosts; purge it again",
           link.name(), lost);
}

}  // namespace

PurgeHub::PurgeHub(loop::Loop& control, Cache& cache, stats::Counters& counters,
                   PurgeHubOptions options)
    : loop_(control),
      cache_(cache),
      counters_(counters),
      options_(options),
      timer_(loop::Timer::make<&PurgeHub::on_timer>(control, this)),
      self_(std::make_shared<PurgeHub*>(this)) {}

// Not inside a call back of a link: nobody who owns a hub is called by one.
PurgeHub::~PurgeHub() {
  for (const auto& link : links_) {
    link->stop();
    tell_lost(*link);
  }
}

// Purging
// -----------------------------------------------------------------------------------------

// It is registered before it takes its number in the memory store: see purge_outbox.h.
size_t PurgeHub::purge(const PurgeOrder& order, Arena& arena) {
  send(order, arena);
  return purge_memory(cache_.store, cache_.secret, order, arena);
}

void PurgeHub::send(const PurgeOrder& order, Arena& arena) {
  const std::lock_guard lock(mutex_);
  if (outboxes_.empty()) return;
  const PurgeOrder sent = within_limits(order);
  const bool has_key = sent.what == PurgeOrder::What::url;
  const Hash128 key = has_key ? key_of_url(sent.url, cache_.secret, arena).hash : Hash128{};
  for (const auto& outbox : outboxes_) outbox->push(sent, key, cache_.store.purges());
  wake();
}

// One task for all that comes until it runs.
void PurgeHub::wake() {
  if (is_woken_.exchange(true)) return;
  loop_.post([self = std::weak_ptr(self_)] {
    if (const auto hub = self.lock()) (*hub)->pump();
  });
}

void PurgeHub::pump() {
  is_woken_.store(false);
  for (const auto& link : links_) link->pump();
}

// Connecting
// --------------------------------------------------------------------------------------

void PurgeHub::connect(const std::shared_ptr<SharedTier>& tier) {
  std::vector<std::unique_ptr<PurgeLink>> old = std::exchange(links_, {});
  for (const auto& link : old) link->stop();
  if (old.empty()) seen_at_ = loop_.now();
  std::vector<std::shared_ptr<PurgeOutbox>> outboxes;
  for (size_t i = 0; tier != nullptr && i < tier->size(); ++i) {
    const std::string identity = PurgeLink::identity_of(*tier, i);
    const auto before = std::ranges::find_if(
        old, [&](const auto& link) { return link != nullptr && link->identity() == identity; });
    const bool is_new = before == old.end();
    auto outbox = is_new ? std::make_shared<PurgeOutbox>(PurgeOutbox::Limits{
                               options_.most_waiting, options_.most_waiting_bytes})
                         : (*before)->outbox();
    outbox->bind(tier->server(i));
    outboxes.push_back(outbox);
    links_.push_back(std::make_unique<PurgeLink>(
        PurgeLink::Parts{loop_, cache_, counters_, tier, i, std::move(outbox), options_}));
    links_.back()->start(is_new ? SharedStamp{} : (*before)->heard());
    if (!is_new) loop_.bury(before->release());
  }
  {
    const std::lock_guard lock(mutex_);
    outboxes_ = std::move(outboxes);
  }
  for (auto& link : old) {
    if (link == nullptr) continue;
    tell_lost(*link);
    loop_.bury(link.release());
  }
  timer_.cancel();
  if (!links_.empty()) on_timer();
}

// An acknowledgement, a failure or the end of the time ends each turn.
void PurgeHub::finish(Duration most) {
  const TimePoint until = loop_.now() + most;
  loop::Timer alarm(
      loop_, [](void*) noexcept {}, nullptr);
  alarm.set(until);
  while (is_writing() && loop_.now() < until) loop_.run_once(true);
}

bool PurgeHub::is_writing() const noexcept {
  return std::ranges::any_of(links_, [](const auto& link) {
    return link->is_ready() && link->outbox()->facts().waiting > 0;
  });
}

// Cut off
// --------------------------------------------------------------------------------------

// Each server has every purge, so one of them is enough.
void PurgeHub::on_timer() noexcept {
  const TimePoint before = seen_at_;
  for (const auto& link : links_) seen_at_ = std::max(seen_at_, link->seen_at());
  if (seen_at_ != before) is_cut_off_ = false;
  const TimePoint now = loop_.now();
  if (now - seen_at_ < options_.cut_off) return timer_.set(seen_at_ + options_.cut_off);
  timer_.set_after(options_.cut_off);
  counters_.add(stats::Counter::cache_flushes_cut_off);
  const size_t count = cache_.store.purge_all(PurgeKind::soft);
  if (std::exchange(is_cut_off_, true)) return;
  log_warn("cache",
           "no purge of other hosts can be heard of, since no server of the shared tier was there "
           "for {:.0f} s: the memory tier is marked stale, {} entries, now and as often until then",
           to_seconds(options_.cut_off), count);
}

SharedFacts PurgeHub::facts() const {
  SharedFacts facts;
  for (const auto& link : links_) facts.servers.push_back(link->facts());
  return facts;
}

std::optional<SharedAccess> PurgeHub::access(const Hash128& key) const {
  if (links_.empty()) return std::nullopt;
  const size_t index = links_.front()->tier()->place_of(key);
  return SharedAccess{links_[index]->tier(), index, &links_[index]->client()};
}

}  // namespace sluice::cache
