#include "purge_follower.h"

#include <utility>

#include "sluice/base/arena.h"
#include "sluice/base/log.h"

namespace sluice::cache {

using stats::Counter;

void PurgeFollower::lose_sight() {
  state_ = State::kUnknown;
  begin({});
}

// Looking
// -----------------------------------------------------------------------------------------

PurgeFollower::Next PurgeFollower::on_page(const PurgePage& page) {
  parts_.counters.add(Counter::shared_purges_broken, page.broken);
  if (page.state.epoch != known_.epoch) begin_epoch(page);
  for (const NumberedPurge& purge : page.purges) take(purge, page.state);
  // Messages may have been faster than the page. But one of which nothing came of use, such as 256
  // members that are no purges, would come again and again.
  if (page.has_more && known_ != asked_) {
    state_ = State::kBehind;
    return Next::kLook;
  }
  if (known_.number < page.state.number) skip_to(page.state.number, page.state);
  state_ = State::kCurrent;
  return Next::kNothing;
}

// The log begins as far back as the set proves; what entries there say of a time before that counts
// for nothing. The memory tier has missed what it has not heard of. At the first contact that is
// all since this process began to serve, however short a time, fills under way included.
void PurgeFollower::begin_epoch(const PurgePage& page) {
  state_ = State::kBehind;
  const uint64_t floor = page.purges.empty() ? page.state.number : page.purges.front().number - 1;
  begin({page.state.epoch, floor});
  if (!memory_.is_known()) {
    flush(Flush::kContact, page.state);
  } else if (memory_.epoch != page.state.epoch) {
    flush(Flush::kEpoch, page.state);
  } else if (memory_.number < floor) {
    flush(Flush::kGap, page.state);
  }
}

void PurgeFollower::begin(const SharedStamp& stamp) {
  parts_.server.log.begin(stamp);
  known_ = stamp;
}

// Numbers that are known already come again: after a purge was written twice, or told meanwhile.
void PurgeFollower::take(const NumberedPurge& purge, const SharedStamp& state) {
  if (purge.number <= known_.number) return;
  if (purge.number > known_.number + 1) skip_to(purge.number - 1, state);
  apply(purge.order);
}

// Nobody knows any more what was purged up to there.
void PurgeFollower::skip_to(uint64_t number, const SharedStamp& state) {
  begin({known_.epoch, number});
  if (memory_.number < number) flush(Flush::kGap, state);
}

void PurgeFollower::apply(const PurgeOrder& order) {
  parts_.server.log.apply(order);
  ++known_.number;
  if (known_.number <= memory_.number) return;
  memory_.number = known_.number;
  if (is_own(known_.number)) return;
  ++received_;
  parts_.counters.add(Counter::shared_purges_received);
  Arena arena(parts_.loop.chunks());
  purge_memory(parts_.cache.store, parts_.cache.secret, order, arena);
}

void PurgeFollower::flush(Flush why, const SharedStamp& state) {
  struct Row {
    Counter counter;
    std::string_view text;
  };
  static constexpr Row kRows[] = {
      {Counter::cache_flushes_epoch, "its record of purges was lost"},
      {Counter::cache_flushes_gap, "more was purged than it has on record"},
      {Counter::cache_flushes_contact, "what it was told before it was asked is not known"}};
  const Row& row = kRows[static_cast<size_t>(why)];
  Arena arena(parts_.loop.chunks());
  const size_t count = purge_memory(parts_.cache.store, parts_.cache.secret, {}, arena);
  memory_ = state;
  if (why == Flush::kContact && count == 0) return;  // a start like any other
  parts_.counters.add(row.counter);
  log_warn("cache", "{}: {}; purges may be missed, so the memory tier drops its {} entries",
           parts_.name, row.text, count);
}

// Being told
// --------------------------------------------------------------------------------------

PurgeFollower::Next PurgeFollower::on_message(std::string_view payload, bool is_writing) {
  const auto news = parse_news(payload);
  if (!news) {
    parts_.counters.add(Counter::shared_purges_broken);
    return Next::kLook;
  }
  const bool is_of_epoch = news->stamp.epoch == known_.epoch;
  if (is_of_epoch && news->stamp.number <= known_.number) return Next::kNothing;
  if (is_writing) {
    if (heard_.epoch != news->stamp.epoch || heard_.number < news->stamp.number) {
      heard_ = news->stamp;
    }
    return Next::kNothing;
  }
  const bool is_next = is_of_epoch && news->stamp.number == known_.number + 1;
  if (state_ != State::kCurrent || !is_next) return Next::kLook;
  apply(news->order);
  return Next::kNothing;
}

PurgeFollower::Next PurgeFollower::on_written(const SharedStamp& last,
                                              const std::vector<const PurgeOutbox::Item*>& items) {
  own_ = last;
  own_count_ = items.size();
  parts_.counters.add(Counter::shared_purges_sent, items.size());
  const bool is_next = state_ == State::kCurrent && last.epoch == known_.epoch &&
                       last.number == known_.number + items.size();
  if (!is_next) return Next::kLook;
  for (const PurgeOutbox::Item* item : items) apply(item->order);
  return Next::kNothing;
}

bool PurgeFollower::has_missed() noexcept {
  const SharedStamp heard = std::exchange(heard_, {});
  return heard.is_known() && (heard.epoch != known_.epoch || heard.number > known_.number);
}

bool PurgeFollower::is_own(uint64_t number) const noexcept {
  return own_.epoch == known_.epoch && number <= own_.number && number > own_.number - own_count_;
}

}  // namespace sluice::cache
