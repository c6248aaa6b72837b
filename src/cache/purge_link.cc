#include "purge_link.h"

#include <utility>

#include "sluice/base/log.h"

namespace sluice::cache {
namespace {

constexpr Duration kRenewal = std::chrono::hours(1);

redis::LinkOptions link_options(const PurgeLink::Parts& parts) {
  redis::LinkOptions options;
  options.address = parts.tier->server(parts.index).address;
  options.handshake = parts.options.patience;
  options.longest_pause = parts.options.longest_pause;
  return options;
}

redis::ClientOptions client_options(const PurgeLink::Parts& parts) {
  redis::ClientOptions options;
  options.link = link_options(parts);
  // Few commands, and each has to come through: it never waits long to try again.
  options.breaker.open = parts.options.watch_alone;
  options.breaker.longest = parts.options.watch;
  return options;
}

redis::SubscriberOptions subscriber_options(const PurgeLink::Parts& parts) {
  return {.link = link_options(parts),
          .channels = {parts.tier->news_channel()},
          .idle = parts.options.watch,
          .silence = parts.options.patience};
}

}  // namespace

PurgeLink::PurgeLink(Parts parts)
    : parts_(std::move(parts)),
      name_(parts_.tier->server(parts_.index).address.to_string()),
      follower_(
          {parts_.loop, parts_.cache, parts_.tier->server(parts_.index), parts_.counters, name_}),
      client_(parts_.loop, client_options(parts_)),
      script_(client_, std::string(kLookScript)),
      writer_(client_, {*parts_.tier, parts_.index, *parts_.outbox, follower_, parts_.counters,
                        *this, parts_.options.kept, parts_.options.patience}),
      subscriber_(std::make_unique<redis::Subscriber>(parts_.loop, subscriber_options(parts_),
                                                      static_cast<SubscriberEvents&>(*this))),
      timer_(loop::Timer::make<&PurgeLink::on_timer>(parts_.loop, this)) {}

void PurgeLink::start(const SharedStamp& heard) {
  follower_.carry_on_from(heard);
  client_.add(*this);
  client_.start();
  subscriber_->start();
  timer_.set_after(parts_.options.watch_alone);
}

void PurgeLink::stop() {
  timer_.cancel();
  subscriber_.reset();
  writer_.stop();
  cancel();
  info_.cancel();
  ClientListener::unlink();  // nothing comes from the client any more, which then just goes
  follower_.lose_sight();
}

void PurgeLink::on_client_ready() noexcept {
  client_.command({"INFO", "memory"}, redis::Intent::kRead,
                  parts_.loop.now() + parts_.options.patience, info_);
  look();
}

void PurgeLink::on_client_lost() noexcept {
  has_looked_ = false;
  weigh();
}

void PurgeLink::on_info(std::string_view info) noexcept {
  const std::string before = std::exchange(warning_, memory_warning(info));
  if (!warning_.empty() && warning_ != before) log_warn("cache", "{}: {}", name_, warning_);
}

// Following
// ---------------------------------------------------------------------------------------

void PurgeLink::on_message(std::string_view, std::string_view payload) noexcept {
  follow(follower_.on_message(payload, writer_.is_writing()));
}

void PurgeLink::on_subscriber_lost() noexcept {
  subscription_ = {parts_.loop.now(), follower_.received()};
  look();
  timer_.set_after(parts_.options.watch_alone);
}

// The safety net: also where PUBLISH is not permitted, or where a message was lost.
void PurgeLink::on_timer() noexcept {
  timer_.set_after(is_subscribed() ? parts_.options.watch : parts_.options.watch_alone);
  if (client_.is_ready() && !is_pending()) look();
  tell_waiting();
  tell_deaf();
  weigh();
}

void PurgeLink::follow(PurgeFollower::Next next) {
  if (next == PurgeFollower::Next::kLook) look();
}

// What is seen by one under way may be older than what it is asked for now.
void PurgeLink::look() {
  if (!client_.is_ready()) return;
  wants_look_ = is_pending();
  if (wants_look_) return;
  const TimePoint now = parts_.loop.now();
  const bool renews = now >= renew_at_;
  if (renews) renew_at_ = now + kRenewal;
  const PurgeScriptHead head(random_, follower_.memory());
  const SharedStamp& known = follower_.ask();
  const std::string epoch = std::to_string(known.epoch), number = std::to_string(known.number);
  const std::string state_key = parts_.tier->state_key(), purges_key = parts_.tier->purges_key();
  const std::string_view keys[] = {state_key, purges_key};
  const std::string_view values[] = {
      head.epoch, head.told_epoch, head.told_number,  PurgeScriptHead::kKeep,
      epoch,      number,          renews ? "1" : "0"};
  run(script_, keys, values, now + parts_.options.patience);
}

void PurgeLink::on_script_reply(const redis::Reply& reply) noexcept {
  const auto page = read_page(reply);
  if (!page) {
    return on_script_failed(redis::Fault::kOther, "an answer that the script never gives");
  }
  trouble_.looking.clear();
  const PurgeFollower::Next next = follower_.on_page(*page);
  if (next == PurgeFollower::Next::kNothing) on_current();
  if (next == PurgeFollower::Next::kLook || wants_look_) look();
}

void PurgeLink::on_current() {
  has_looked_ = true;
  seen_at_ = parts_.loop.now();
  writer_.on_looked();
  writer_.pump();
  tell_back();
  weigh();
}

void PurgeLink::on_script_failed(redis::Fault fault, std::string_view text) noexcept {
  const bool is_told = !trouble_.looking.empty();
  trouble_.looking = text;
  renew_at_ = {};
  // The connection is told of by who has it.
  const bool is_of_connection =
      redis::fault_row(fault).weighs || fault == redis::Fault::kBreakerOpen;
  if (!is_told && !is_of_connection) {
    log_warn("cache", "{}: its purges cannot be read: {}", name_, text);
  }
  weigh();
}

// Writing
// -----------------------------------------------------------------------------------------

void PurgeLink::on_write_end(PurgeFollower::Next next, std::string_view why) noexcept {
  trouble_.writing = why;
  follow(next);
  if (why.empty()) writer_.pump();  // else when the timer, or a connection, has had a look
  weigh();
}

// Telling
// -----------------------------------------------------------------------------------------

void PurgeLink::tell_back() {
  if (!is_subscribed() || subscription_.lost_at == TimePoint{}) return;
  const Duration away = parts_.loop.now() - subscription_.lost_at;
  log_info("cache", "{}: subscribed again after {:.1f} s, {} purges caught up on", name_,
           to_seconds(away), follower_.received() - subscription_.lost_count);
  subscription_ = {};
}

// Those that were there when the timer came last: others are just on their way.
void PurgeLink::tell_waiting() {
  const PurgeOutbox::Facts facts = parts_.outbox->facts();
  if (facts.collapses != std::exchange(trouble_.collapses, facts.collapses)) {
    log_warn("cache", "{}: too many purges wait for it; they are now one of everything", name_);
  }
  const bool is_waiting = facts.waiting > 0;
  const bool is_stuck = is_waiting && facts.first == trouble_.first_waiting;
  trouble_.first_waiting = is_waiting ? facts.first : UINT64_MAX;
  if (is_stuck && !std::exchange(trouble_.is_waiting_told, true)) {
    const std::string_view why = !trouble_.writing.empty()   ? std::string_view(trouble_.writing)
                                 : !trouble_.looking.empty() ? std::string_view(trouble_.looking)
                                                             : client_.health().last_error;
    log_warn("cache", "{}: purges wait for it, and hold on this host only: {}", name_, why);
  }
  if (!is_waiting && std::exchange(trouble_.is_waiting_told, false)) {
    log_info("cache", "{}: the purges that waited are written", name_);
  }
}

// A subscription that never was: one that was lost is told of by who has it.
void PurgeLink::tell_deaf() {
  const bool is_deaf = !is_subscribed() && client_.health().is_up &&
                       subscription_.lost_at == TimePoint{} && !subscriber_->last_error().empty();
  if (!is_deaf || std::exchange(trouble_.is_deaf_told, true)) return;
  log_warn("cache", "{}: not subscribed, and asked {} times a second instead: {}", name_,
           std::chrono::seconds(1) / parts_.options.watch_alone, subscriber_->last_error());
}

void PurgeLink::weigh() {
  const bool is_up =
      client_.health().is_up && has_looked_ && trouble_.looking.empty() && trouble_.writing.empty();
  if (std::exchange(is_up_, is_up) != is_up) since_ = wall_now();
}

std::string PurgeLink::identity_of(const SharedTier& tier, size_t index) {
  const redis::Address& address = tier.server(index).address;
  return address.to_string() + " " + std::to_string(address.database) + " " +
         tier.settings().prefix;
}

std::string_view PurgeLink::last_error() const noexcept {
  if (!trouble_.writing.empty()) return trouble_.writing;
  if (!trouble_.looking.empty()) return trouble_.looking;
  const bool is_deaf = client_.health().is_up && !is_subscribed() && subscriber_ != nullptr;
  return is_deaf ? subscriber_->last_error() : client_.health().last_error;
}

SharedServerFacts PurgeLink::facts() const {
  const SharedServer& server = parts_.tier->server(parts_.index);
  SharedServerFacts facts;
  facts.address = name_;
  facts.is_up = is_up_;
  facts.last_error = last_error();
  facts.since = since_;
  facts.is_subscribed = is_subscribed();
  facts.is_epoch_known = follower_.known().is_known();
  facts.purges_waiting = parts_.outbox->facts().waiting;
  facts.purges_sent = writer_.sent();
  facts.purges_received = follower_.received();
  facts.degraded_workers = server.degraded.load(std::memory_order_relaxed);
  facts.warning = warning_;
  return facts;
}

}  // namespace sluice::cache
