#include "purge_outbox.h"

#include <algorithm>
#include <utility>

namespace sluice::cache {

void PurgeOutbox::bind(SharedServer& server) {
  const std::lock_guard lock(mutex_);
  server_ = &server;
  tell();
}

void PurgeOutbox::push(const PurgeOrder& order, const Hash128& key, const Purges& purges) {
  const std::lock_guard lock(mutex_);
  const uint64_t hash = hash_of(order);
  if (is_waiting(order, hash)) return;
  // Under the lock, so that they do not fall: the oldest item has the lowest one.
  queue({purges.last(), order, key}, hash);
  const bool is_first = items_.size() == 1;
  if (items_.size() > limits_.orders || bytes_ > limits_.bytes) collapse();
  if (is_first) tell();
}

uint64_t PurgeOutbox::hash_of(const PurgeOrder& order) noexcept {
  const auto row = static_cast<uint64_t>(order.what) * 2 + static_cast<uint64_t>(order.kind);
  return mix64(hash64(order.url, row), order.tag);
}

// Not among those that are held: the server may have those already.
bool PurgeOutbox::is_waiting(const PurgeOrder& order, uint64_t hash) const {
  const auto found = places_.find(hash);
  if (found == places_.end() || found->second < done_ + held_) return false;
  return items_[found->second - done_].order == order;
}

void PurgeOutbox::queue(Item item, uint64_t hash) {
  places_[hash] = done_ + items_.size();
  items_.push_back(std::move(item));
  bytes_ += cost(items_.back());
}

// Those that are held stay where they are.
void PurgeOutbox::collapse() {
  const uint64_t since = items_[held_].since;
  for (size_t i = held_; i < items_.size(); ++i) bytes_ -= cost(items_[i]);
  items_.erase(items_.begin() + static_cast<std::ptrdiff_t>(held_), items_.end());
  places_.clear();
  queue({since, PurgeOrder{}, {}}, hash_of({}));
  ++collapses_;
}

std::vector<const PurgeOutbox::Item*> PurgeOutbox::hold(size_t most_orders, size_t most_bytes) {
  const std::lock_guard lock(mutex_);
  std::vector<const Item*> items;
  for (size_t bytes = 0; held_ < items_.size() && held_ < most_orders; ++held_) {
    const Item& item = items_[held_];
    bytes += cost(item);
    if (held_ > 0 && bytes > most_bytes) break;
    items.push_back(&item);
  }
  return items;
}

void PurgeOutbox::release() {
  const std::lock_guard lock(mutex_);
  for (; held_ > 0; --held_, ++done_) {
    bytes_ -= cost(items_.front());
    const auto place = places_.find(hash_of(items_.front().order));
    if (place != places_.end() && place->second == done_) places_.erase(place);
    items_.pop_front();
  }
  tell();
}

void PurgeOutbox::let_go() noexcept {
  const std::lock_guard lock(mutex_);
  held_ = 0;
}

PurgeOutbox::Facts PurgeOutbox::facts() const {
  const std::lock_guard lock(mutex_);
  return {items_.size(), done_, collapses_};
}

void PurgeOutbox::tell() noexcept {
  const uint64_t since = items_.empty() ? SharedServer::kNone : items_.front().since;
  if (server_ != nullptr) server_->unsent_since.store(since, std::memory_order_release);
}

}  // namespace sluice::cache
