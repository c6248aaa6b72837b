#include "sluice/cache/s3_fifo.h"

#include <algorithm>
#include <new>

#include "sluice/base/check.h"

namespace sluice::cache {

void S3Fifo::insert(EvictionNode& node, uint64_t hash, size_t weight) noexcept {
  node.hash_ = hash;
  node.weight_ = weight;
  node.uses_.store(0, std::memory_order_relaxed);
  if (forget(hash)) return push_main(node);
  node.in_main_ = false;
  small_.push_back(node);
  small_bytes_ += weight;
}

void S3Fifo::remove(EvictionNode& node) noexcept {
  SL_CHECK(node.is_linked());
  node.unlink();
  if (node.in_main_) {
    main_bytes_ -= node.weight_;
    --main_count_;
  } else {
    small_bytes_ -= node.weight_;
  }
}

EvictionNode* S3Fifo::evict() noexcept {
  const bool is_small_full = small_bytes_ >= bytes() / kSmallShare;
  if (!small_.is_empty() && (is_small_full || main_.is_empty())) {
    if (EvictionNode* node = evict_small()) return node;
  }
  return evict_main();
}

// nullptr when all that is there moved on.
EvictionNode* S3Fifo::evict_small() noexcept {
  for (int turns = 0; EvictionNode* node = small_.front(); ++turns) {
    remove(*node);
    if (node->uses() == 0 || turns == kMostTurns) {
      remember(node->hash_);
      return node;
    }
    node->uses_.store(0, std::memory_order_relaxed);
    push_main(*node);
  }
  return nullptr;
}

EvictionNode* S3Fifo::evict_main() noexcept {
  for (int turns = 0; EvictionNode* node = main_.front(); ++turns) {
    remove(*node);
    const uint8_t uses = node->uses();
    if (uses == 0 || turns == kMostTurns) return node;
    node->uses_.store(uses - 1, std::memory_order_relaxed);
    push_main(*node);
  }
  return nullptr;
}

void S3Fifo::push_main(EvictionNode& node) noexcept {
  node.in_main_ = true;
  main_.push_back(node);
  main_bytes_ += node.weight_;
  ++main_count_;
}

void S3Fifo::set_ghosts(size_t count) noexcept {
  SL_CHECK(count >= kWays && (count & (count - 1)) == 0);
  ghosts_.reset(new (std::nothrow) Ghost[count]());
  ghost_count_ = ghosts_ == nullptr ? 0 : count;
}

S3Fifo::Ghost* S3Fifo::ghosts_of(uint64_t hash) noexcept {
  return &ghosts_[(hash >> 32) & (ghost_count_ - kWays)];
}

// In the place of the same hash, else of the one that left longest ago.
void S3Fifo::remember(uint64_t hash) noexcept {
  if (ghost_count_ == 0) return;
  const auto mark = static_cast<uint32_t>(hash) | 1;  // 0: none
  ++departures_;
  Ghost* ghosts = ghosts_of(hash);
  Ghost* oldest = ghosts;
  for (size_t i = 0; i < kWays; ++i) {
    if (ghosts[i].mark == mark || ghosts[i].mark == 0) {
      oldest = &ghosts[i];
      break;
    }
    if (departures_ - ghosts[i].at > departures_ - oldest->at) oldest = &ghosts[i];
  }
  *oldest = {mark, departures_};
}

// Was it among the last ones that left, as many as the main queue has? Then it is a ghost no more.
bool S3Fifo::forget(uint64_t hash) noexcept {
  if (ghost_count_ == 0) return false;
  const auto mark = static_cast<uint32_t>(hash) | 1;
  Ghost* ghosts = ghosts_of(hash);
  for (size_t i = 0; i < kWays; ++i) {
    if (ghosts[i].mark != mark) continue;
    ghosts[i].mark = 0;
    return departures_ - ghosts[i].at <= main_count_;
  }
  return false;
}

}  // namespace sluice::cache
