#include "sluice/cache/shared_tier.h"

#include <fmt/format.h>

#include <utility>

namespace sluice::cache {

// The tier
// -----------------------------------------------------------------------------------------

SharedTier::SharedTier(SharedSettings settings, const HashSecret& secret)
    : settings_(std::move(settings)) {
  for (const redis::Address& address : settings_.servers) {
    servers_.push_back(std::make_unique<SharedServer>(address));
    const std::string place = fmt::format("{}/{}", address.to_string(), address.database);
    seeds_.push_back(hash128(place, secret).low);
  }
}

size_t SharedTier::place_of(const Hash128& key) const noexcept {
  size_t best = 0;
  uint64_t most = 0;
  for (size_t i = 0; i < seeds_.size(); ++i) {
    const uint64_t weight = mix64(seeds_[i], key.low);
    if (i == 0 || weight > most) {
      best = i;
      most = weight;
    }
  }
  return best;
}

std::string SharedTier::entry_key(const Hash128& key) const {
  return fmt::format("{}v1:{{{:016x}{:016x}}}", settings_.prefix, key.high, key.low);
}

// The log of a server
// ------------------------------------------------------------------------------

SharedStamp PurgeLog::now() const noexcept {
  const std::lock_guard lock(mutex_);
  return now_;
}

Standing PurgeLog::standing(const SharedStamp& stamp, const SharedStamp& state,
                            std::span<const EntryTag> tags, std::string_view url) const noexcept {
  const std::lock_guard lock(mutex_);
  const bool is_of_epoch =
      now_.is_known() && state.epoch == now_.epoch && stamp.epoch == now_.epoch;
  if (!is_of_epoch || state.number > now_.number || stamp.number < floor_.number) {
    return Standing::gone;
  }
  if (stamp.number > state.number) return Standing::gone;  // no such purge yet: the state went back
  // Numbers in `purges_` count from the floor.
  return purges_->standing_of_fill(stamp.number - floor_.number, tags, url);
}

// Larger tables than those of a memory tier: what the server holds lives longer, and no budget of
// entries pays for them.
void PurgeLog::begin(const SharedStamp& stamp) {
  static constexpr Purges::Sizes kSizes{.tags = 65'536, .urls = 65'536, .prefixes = 1024};
  auto purges = std::make_unique<Purges>(kSizes);
  const std::lock_guard lock(mutex_);
  now_ = floor_ = stamp;
  purges_ = std::move(purges);
}

void PurgeLog::apply(const PurgeOrder& order) {
  const std::lock_guard lock(mutex_);
  note_purge(*purges_, order);
  ++now_.number;
}

}  // namespace sluice::cache
