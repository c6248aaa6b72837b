#include "sluice/cache/purge_hub.h"

#include <algorithm>
#include <utility>

#include "purge_link.h"
#include "purge_outbox.h"
#include "sluice/base/log.h"
#include "sluice/cache/key.h"
#include "sluice/cache/shared_inspect.h"

namespace sluice::cache {

PurgeHub::PurgeHub(loop::Loop& control, Cache& cache, stats::Counters& counters,
                   PurgeHubOptions options)
    : loop_(control),
      cache_(cache),
      counters_(counters),
      options_(options),
      self_(std::make_shared<PurgeHub*>(this)) {}

// Not inside a call back of a link: nobody who owns a hub is called by one.
PurgeHub::~PurgeHub() {
  for (const auto& link : links_) link->stop();
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
    const size_t lost = link->outbox()->facts().waiting;
    if (lost > 0) log_warn("cache", "{}: dropped, {} purges with it", link->name(), lost);
    loop_.bury(link.release());
  }
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
