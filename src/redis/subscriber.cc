#include "sluice/redis/subscriber.h"

#include <algorithm>
#include <utility>

#include "sluice/base/check.h"
#include "sluice/base/log.h"

namespace sluice::redis {

Subscriber::Subscriber(loop::Loop& loop, SubscriberOptions options, SubscriberEvents& events)
    : loop_(loop),
      options_(std::move(options)),
      events_(events),
      link_(loop, options_.link, *this),
      timer_(loop::Timer::make<&Subscriber::on_timer>(loop_, this)) {
  SL_CHECK(!options_.channels.empty());
}

void Subscriber::on_link_ready() noexcept {
  subscribed_ = 0;
  std::vector<Arg> args{"SUBSCRIBE"};
  args.insert(args.end(), options_.channels.begin(), options_.channels.end());
  ask(args);
}

void Subscriber::ask(Args args) {
  Chain out;
  {
    ChainWriter writer(loop_.chunks(), out);
    write_command(args, writer, out);
  }
  link_.send(std::move(out));
  asked_at_ = loop_.now();
  is_answer_owed_ = true;
  timer_.set(asked_at_ + options_.silence);
}

void Subscriber::on_link_reply(const Reply& reply) noexcept {
  if (reply.type() == Type::kError) return give_up(reply.text());
  const std::string_view kind = reply.size() > 0 ? reply.at(0).text() : std::string_view();
  if (kind == "message" && reply.size() == 3) {
    events_.on_message(reply.at(1).text(), reply.at(2).text());
  } else if (kind == "subscribe" && !is_ready_) {
    on_subscribed();
  } else if (kind == "pong") {
    is_answer_owed_ = false;
  } else {
    give_up("a reply that no subscriber gets");
  }
}

// One channel, in the order of asking.
void Subscriber::on_subscribed() noexcept {
  if (++subscribed_ < options_.channels.size()) return;
  is_answer_owed_ = false;
  is_ready_ = true;
  events_.on_subscriber_ready();
}

void Subscriber::on_timer() noexcept {
  if (!link_.is_ready()) return;
  const TimePoint now = loop_.now();
  const TimePoint heard_at = link_.heard_at();
  if (is_answer_owed_) {
    const TimePoint end = std::max(asked_at_, heard_at) + options_.silence;
    return now >= end ? give_up("no answer in time") : timer_.set(end);
  }
  if (now < heard_at + options_.idle) return timer_.set(heard_at + options_.idle);
  static constexpr std::string_view kPing = "PING";
  const Arg args[] = {kPing};
  ask(args);
}

void Subscriber::give_up(std::string_view why) noexcept {
  const std::string text(why);  // it may stand in the reader
  link_.drop();
  on_link_lost(text, true);
}

void Subscriber::on_link_lost(std::string_view why, bool) noexcept {
  timer_.cancel();
  is_answer_owed_ = false;
  last_error_ = why;
  if (!std::exchange(is_ready_, false)) return;
  static LogLimiter limiter;
  log_limited(limiter, LogLevel::warn, "redis", "subscription lost: {}", last_error_);
  events_.on_subscriber_lost();
}

}  // namespace sluice::redis
