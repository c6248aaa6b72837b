#include "sluice/redis/client.h"

#include <algorithm>
#include <utility>

#include "sluice/base/check.h"
#include "sluice/base/log.h"

namespace sluice::redis {
namespace {

constexpr size_t kMostErrorText = 200;

}  // namespace

void Call::cancel() noexcept {
  if (client_ != nullptr) client_->forget(*this);
}

Client::Client(loop::Loop& loop, ClientOptions options)
    : loop_(loop),
      options_(std::move(options)),
      link_(loop, options_.link, *this),
      breaker_(options_.breaker),
      timer_(loop::Timer::make<&Client::on_timer>(loop_, this)) {}

Client::~Client() {
  while (!pipeline_.is_empty()) {
    if (Call* call = pipeline_.pop().call) call->client_ = nullptr;
  }
  while (Call* call = refused_.pop_front()) call->client_ = nullptr;
}

void Client::start() { link_.start(); }

void Client::stop() noexcept {
  if (link_.state() == Link::State::kOff) return;
  link_.stop();
  timer_.cancel();
  drop_unsent();
  note("stopped");
  List<Call> calls;
  if (empty_pipeline(calls)) breaker_.on_failure(true, loop_.now(), random_.unit());
  while (Call* call = calls.pop_front()) refuse(*call, Fault::kDisconnected);
  look_at_health();
}

// Asking
// -------------------------------------------------------------------------------------------

void Client::command(Args args, Intent intent, TimePoint deadline, Call& call) {
  SL_CHECK(!call.is_pending());
  ++stats_.commands;
  if (const auto fault = obstacle(args)) return refuse(call, *fault);
  const Breaker::Verdict verdict = breaker_.admit(loop_.now());
  if (verdict == Breaker::Verdict::kRefuse) return refuse(call, Fault::kBreakerOpen);
  call.client_ = this;
  call.number_ = pipeline_.end();
  enqueue(args, {.call = &call,
                 .sent_at = monotonic_now(),
                 .deadline = deadline,
                 .is_write = intent == Intent::kWrite,
                 .is_probe = verdict == Breaker::Verdict::kProbe,
                 .is_overdue = false});
}

std::optional<Fault> Client::obstacle(Args args) const noexcept {
  if (!link_.is_ready()) return Fault::kDisconnected;
  const size_t unsent = unsent_ + link_.pending();
  const bool has_room = unsent <= options_.most_unsent &&
                        command_size(args) <= options_.most_unsent - unsent &&
                        pipeline_.size() < options_.most_unanswered;
  return has_room ? std::nullopt : std::optional(Fault::kQueueFull);
}

void Client::refuse(Call& call, Fault fault) noexcept {
  call.client_ = this;
  call.fault_ = fault;
  refused_.push_back(call);
  loop_.at_turn_end(*this);
}

void Client::enqueue(Args args, const Slot& slot) {
  pipeline_.push(slot);
  used_at_ = slot.sent_at;
  unsent_ += command_size(args);
  if (!writer_) writer_.emplace(loop_.chunks(), out_);
  write_command(args, *writer_, out_);
  wake_by(slot.deadline);
  loop_.at_turn_end(*this);
}

void Client::forget(Call& call) noexcept {
  call.client_ = nullptr;
  if (call.is_linked()) return call.unlink();
  pipeline_.at(call.number_).call = nullptr;
}

void Client::on_turn_end() noexcept {
  if (unsent_ > 0) {
    writer_->flush();
    unsent_ = 0;
    link_.send(std::exchange(out_, Chain()));
  }
  tell_refused();
}

void Client::tell_refused() noexcept {
  List<Call> refused;  // one that asks again is heard in the next round
  refused.splice_back(refused_);
  while (Call* call = refused.pop_front()) {
    tell(call, call->fault_, fault_row(call->fault_).help);
  }
}

// Hearing
// ------------------------------------------------------------------------------------------

void Client::on_link_ready() noexcept {
  if (link_.stats().connects > 1) ++stats_.reconnects;
  used_at_ = loop_.now();
  arm(used_at_);
  look_at_health();
  tell_listeners(&ClientListener::on_client_ready);
}

// In their order; one may go away in there.
void Client::tell_listeners(void (ClientListener::*event)() noexcept) noexcept {
  List<ClientListener> waiting;
  waiting.splice_back(listeners_);
  while (ClientListener* listener = waiting.pop_front()) {
    listeners_.push_back(*listener);
    (listener->*event)();
  }
}

void Client::on_link_reply(const Reply& reply) noexcept {
  if (pipeline_.is_empty()) {
    link_.drop();
    return lose("a reply that nobody asked for");
  }
  const Slot slot = pipeline_.pop();
  if (slot.is_overdue) {
    --overdue_;
    ++stats_.late_replies;
    return;
  }
  ++stats_.replies;
  stats_.latency_sum += monotonic_now() - slot.sent_at;
  if (reply.type() == Type::kError) {
    const Fault fault = fault_of(reply.text());
    weigh(slot, fault, reply.text());
    return tell(slot.call, fault, reply.text());
  }
  weigh_success(slot);
  if (slot.call == nullptr) return;
  slot.call->client_ = nullptr;
  slot.call->on_reply(reply);
}

void Client::on_link_lost(std::string_view why, bool) noexcept { lose(why); }

// The connection is gone, or could not be made. All that is lost with it weighs as one failure.
void Client::lose(std::string_view why) noexcept {
  timer_.cancel();
  drop_unsent();
  note(why);
  const std::string text = last_error_;  // a call back may change it
  List<Call> lost;
  const bool has_probe = empty_pipeline(lost);
  breaker_.on_failure(has_probe, loop_.now(), random_.unit());
  look_at_health();
  while (Call* call = lost.pop_front()) tell(call, Fault::kDisconnected, text);
  tell_listeners(&ClientListener::on_client_lost);
}

// Moves the calls into `calls`; was one of them the probe that the breaker waits for?
bool Client::empty_pipeline(List<Call>& calls) noexcept {
  bool has_probe = false;
  overdue_ = 0;
  while (!pipeline_.is_empty()) {
    const Slot slot = pipeline_.pop();
    if (slot.is_probe && !slot.is_overdue) has_probe = true;
    if (slot.call != nullptr) calls.push_back(*slot.call);
  }
  return has_probe;
}

void Client::drop_unsent() noexcept {
  writer_.reset();
  out_.clear();
  unsent_ = 0;
}

// Time
// ---------------------------------------------------------------------------------------------

void Client::on_timer() noexcept {
  const TimePoint now = loop_.now();
  expire(now);
  if (!link_.is_ready()) return;
  if (overdue_ > 0 && now - silent_since() >= options_.silence) {
    link_.drop();
    return lose("no reply in time, nor anything else");
  }
  if (pipeline_.is_empty() && now - used_at_ >= options_.idle) ping(now);
  arm(now);
}

// Ends the calls whose deadline has passed. Their slots stay: the replies are owed in this order.
// All of one turn weigh as one failure, since our own loop may have been late.
void Client::expire(TimePoint now) noexcept {
  const std::string_view why = fault_row(Fault::kTimeout).help;
  bool is_weighed = false;
  for (uint64_t n = pipeline_.first(); n < pipeline_.end(); ++n) {
    Slot& slot = pipeline_.at(n);
    if (slot.is_overdue || slot.deadline > now) continue;
    slot.is_overdue = true;
    ++overdue_;
    if (slot.is_probe || !std::exchange(is_weighed, true)) weigh(slot, Fault::kTimeout, why);
    tell(std::exchange(slot.call, nullptr), Fault::kTimeout, why);
    n = std::max(n, pipeline_.first());  // stop() in there ends it
  }
}

// Since when nothing came though something was owed.
TimePoint Client::silent_since() noexcept {
  return std::max(link_.heard_at(), pipeline_.at(pipeline_.first()).sent_at);
}

void Client::wake_by(TimePoint time) noexcept {
  if (!timer_.is_set() || time < timer_.deadline()) timer_.set(time);
}

void Client::arm(TimePoint now) noexcept {
  if (pipeline_.is_empty()) return wake_by(std::max(used_at_ + options_.idle, now));
  if (overdue_ > 0) wake_by(silent_since() + options_.silence);
  for (uint64_t n = pipeline_.first(); n < pipeline_.end(); ++n) {
    if (!pipeline_.at(n).is_overdue) wake_by(pipeline_.at(n).deadline);
  }
}

void Client::ping(TimePoint now) {
  static constexpr std::string_view kPing = "PING";
  const Arg args[] = {kPing};
  enqueue(args, {.call = nullptr,
                 .sent_at = now,
                 .deadline = now + options_.silence,
                 .is_write = false,
                 .is_probe = false,
                 .is_overdue = false});
}

// What it means
// ------------------------------------------------------------------------------------

// Nobody waits for a call that is nullptr.
void Client::tell(Call* call, Fault fault, std::string_view text) noexcept {
  ++stats_.faults[static_cast<size_t>(fault)];
  if (call == nullptr) return;
  call->client_ = nullptr;
  call->on_failed(fault, text);
}

void Client::weigh(const Slot& slot, Fault fault, std::string_view text) noexcept {
  const bool is_full = fault == Fault::kOom && slot.is_write;
  if (!fault_row(fault).weighs || is_full) return weigh_success(slot);
  note(text);
  breaker_.on_failure(slot.is_probe, loop_.now(), random_.unit());
  look_at_health();
}

void Client::weigh_success(const Slot& slot) noexcept {
  breaker_.on_success(slot.is_probe);
  look_at_health();
}

void Client::note(std::string_view error) { last_error_ = error.substr(0, kMostErrorText); }

void Client::look_at_health() noexcept {
  const bool is_up = link_.is_ready() && breaker_.state() == Breaker::State::kClosed;
  if (is_up == is_up_) return;
  is_up_ = is_up;
  since_ = wall_now();
  static LogLimiter limiter;  // every worker sees the same
  if (is_up) {
    log_limited(limiter, LogLevel::info, "redis", "{}: up", link_.address().to_string());
  } else {
    log_limited(limiter, LogLevel::warn, "redis", "degraded: {}", last_error_);
  }
}

ClientStats Client::stats() const noexcept {
  ClientStats stats = stats_;
  stats.bytes_in = link_.stats().bytes_in;
  stats.bytes_out = link_.stats().bytes_out;
  return stats;
}

}  // namespace sluice::redis
