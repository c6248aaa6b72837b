#include "sluice/orders/postgres/pg_caller.h"

#include <algorithm>
#include <utility>

#include "sluice/base/log.h"

namespace sluice::orders {

PgCaller::PgCaller(loop::Loop& loop, PgPool& pool)
    : loop_(loop), pool_(pool), timer_(loop::Timer::make<&PgCaller::on_timer>(loop_, this)) {}

void PgCaller::read(PgSteps steps, TimePoint deadline, Done done) {
  run({std::move(steps), deadline, std::move(done), true, 0});
}

void PgCaller::write(PgSteps steps, TimePoint deadline, Done done) {
  run({std::move(steps), deadline, std::move(done), false, 0});
}

void PgCaller::run(Call call) {
  PgSteps steps = call.steps;
  const TimePoint deadline = call.deadline;
  pool_.run(std::move(steps), deadline, [this, call = std::move(call)](PgReply reply) mutable {
    finish(std::move(call), std::move(reply));
  });
}

void PgCaller::finish(Call call, PgReply reply) {
  const PgFailure& failure = reply.failure;
  const bool may_help =
      failure.is_worth_repeating() || (call.is_read && failure.fault == PgFault::kLost);
  const Duration wait = pause(++call.tries);
  if (may_help && call.tries < kMostTries && loop_.now() + wait < call.deadline) {
    return later(wait, [this, call = std::move(call)]() mutable { run(std::move(call)); });
  }
  if (failure) log_pg_failure(call.is_read ? "reading" : "writing", failure);
  call.done(std::move(reply));
}

Duration PgCaller::pause(int tries) noexcept {
  const auto longest = static_cast<uint64_t>(std::min(50, 2 * tries + 1));
  return std::chrono::milliseconds(1 + static_cast<int64_t>(random_.below(longest)));
}

void PgCaller::later(Duration after, std::function<void()> call) {
  const TimePoint at = loop_.now() + after;
  delayed_.push_back({at, std::move(call)});
  if (!timer_.is_set() || at < timer_.deadline()) timer_.set(at);
}

void PgCaller::on_timer() noexcept {
  const TimePoint now = loop_.now();
  std::vector<Delayed> due;
  std::erase_if(delayed_, [&](Delayed& each) {
    if (each.at > now) return false;
    due.push_back(std::move(each));
    return true;
  });
  for (const Delayed& each : delayed_) {
    if (!timer_.is_set() || each.at < timer_.deadline()) timer_.set(each.at);
  }
  for (Delayed& each : due) each.call();
}

void log_pg_failure(const char* what, const PgFailure& failure) {
  static LogLimiter limiter;
  const LogLevel level = failure.is_busy() ? LogLevel::warn : LogLevel::error;
  log_limited(limiter, level, "orders", "{}: {}{}{} {}", what, failure.error().text(),
              failure.message.empty() ? "" : ": ", failure.message, failure.state);
}

}  // namespace sluice::orders
