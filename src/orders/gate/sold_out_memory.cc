#include "sold_out_memory.h"

#include "sluice/base/hash.h"

namespace sluice::orders {

void SoldOutMemory::begin_epoch() {
  flags_.clear();
  keys_.clear();
  last_.assign(1, '0');
}

void SoldOutMemory::set_listening(bool is_listening) noexcept {
  is_listening_ = is_listening;
  flags_.clear();
}

void SoldOutMemory::on_news(std::string_view product_id, TimePoint now) {
  last_news_ = now;
  if (product_id.empty()) {
    flags_.clear();
  } else {
    flags_.erase(std::string(product_id));
  }
}

void SoldOutMemory::learn_key(std::string_view key) {
  if (keys_.size() >= kMostKeys) begin_epoch();  // old ones are forgotten by Redis too, in time
  keys_.insert(hash64(key));
}

// News that came since may have been about what was asked.
void SoldOutMemory::learn_sold_out(const std::string& product_id, int64_t left,
                                   TimePoint asked_at) {
  if (!is_listening_ || last_news_ >= asked_at) return;
  flags_[product_id] = {left, asked_at + kLife};
}

bool SoldOutMemory::may_know(std::string_view key) const { return keys_.contains(hash64(key)); }

std::optional<int64_t> SoldOutMemory::left(const std::string& product_id, TimePoint now) const {
  const auto found = flags_.find(product_id);
  if (found == flags_.end() || found->second.until <= now) return std::nullopt;
  return found->second.left;
}

}  // namespace sluice::orders
