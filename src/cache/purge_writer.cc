#include "purge_writer.h"

#include <string>

namespace sluice::cache {
namespace {

constexpr size_t kBatch = 128;
constexpr size_t kBatchBytes = 256 * 1024;

}  // namespace

PurgeWriter::PurgeWriter(redis::Client& client, Parts parts)
    : parts_(parts), script_(client, std::string(kWriteScript)) {}

void PurgeWriter::pump() {
  const bool may_write = state_ == State::kIdle && script_.client().is_ready() &&
                         parts_.follower.state() == PurgeFollower::State::kCurrent;
  if (!may_write) return;
  batch_ = parts_.outbox.hold(kBatch, kBatchBytes);
  if (!batch_.empty()) write();
}

// A hard purge of a URL removes the entry as well, to make room: it is found gone without that.
void PurgeWriter::write() {
  const SharedTier& tier = parts_.tier;
  std::vector<std::string> keys{tier.state_key(), tier.purges_key()};
  const PurgeScriptHead head(random_, parts_.follower.memory());
  std::vector<std::string> values{head.epoch,          head.told_epoch,
                                  head.told_number,    std::string(PurgeScriptHead::kKeep),
                                  tier.news_channel(), std::to_string(parts_.kept)};
  for (const PurgeOutbox::Item* item : batch_) {
    values.push_back(to_text(item->order));
    const bool has_entry = item->order.what == PurgeOrder::What::url &&
                           item->order.kind == PurgeKind::hard &&
                           tier.place_of(item->key) == parts_.index;
    if (has_entry) keys.push_back(tier.entry_key(item->key));
  }
  state_ = State::kSent;
  const std::vector<std::string_view> key_views(keys.begin(), keys.end());
  const std::vector<std::string_view> value_views(values.begin(), values.end());
  run(script_, key_views, value_views, script_.client().loop().now() + parts_.patience);
}

void PurgeWriter::on_script_reply(const redis::Reply& reply) noexcept {
  const auto last = read_written(reply);
  if (!last) return on_script_failed(redis::Fault::kOther, "an answer that the script never gives");
  state_ = State::kAcknowledged;
  sent_ += batch_.size();
  PurgeFollower::Next next = parts_.follower.on_written(*last, batch_);
  if (next == PurgeFollower::Next::kNothing) release();
  if (parts_.follower.has_missed()) next = PurgeFollower::Next::kLook;
  parts_.events.on_write_end(next, {});
}

void PurgeWriter::on_script_failed(redis::Fault, std::string_view text) noexcept {
  parts_.counters.add(stats::Counter::shared_purges_failed, batch_.size());
  give_back();
  const bool has_missed = parts_.follower.has_missed();
  parts_.events.on_write_end(
      has_missed ? PurgeFollower::Next::kLook : PurgeFollower::Next::kNothing, text);
}

void PurgeWriter::stop() noexcept {
  cancel();
  give_back();
}

void PurgeWriter::give_back() noexcept {
  state_ = State::kIdle;
  batch_.clear();
  parts_.outbox.let_go();
}

// An acknowledgement of an epoch that has ended by now will do too: what is of the new one was
// asked for after it.
void PurgeWriter::on_looked() {
  if (state_ == State::kAcknowledged) release();
}

void PurgeWriter::release() {
  state_ = State::kIdle;
  batch_.clear();
  parts_.outbox.release();
}

PurgeScriptHead::PurgeScriptHead(Random& random, const SharedStamp& told)
    : epoch(std::to_string((random.next() >> 1) | 1)),
      told_epoch(std::to_string(told.epoch)),
      told_number(std::to_string(told.number)) {}

}  // namespace sluice::cache
