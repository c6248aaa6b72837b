#include "sluice/orders/worker.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "sluice/base/log.h"

namespace sluice::orders {
namespace {

// An event that ends its worker comes again without ever being given back. Workers die for other
// reasons too, so this limit is the higher one.
constexpr int64_t kCrashFactor = 4;

std::string_view as_text(Outcome outcome) noexcept {
  switch (outcome) {
    case Outcome::moved:
      return "moved on";
    case Outcome::recorded:
      return "recorded, nothing follows";
    case Outcome::duplicate:
      return "a duplicate, done before";
    case Outcome::old:
      return "refused: the order is past this version";
    case Outcome::unknown:
      return "no such order at this version";
  }
  return {};
}

}  // namespace

Worker::Worker(loop::Loop& loop, EventStore& store, EventSource& source, WorkerOptions options)
    : store_(store),
      source_(source),
      options_(options),
      retry_timer_(loop::Timer::make<&Worker::on_due>(loop, this)),
      stop_timer_(loop::Timer::make<&Worker::on_patience_over>(loop, this)) {}

void Worker::start() {
  source_.start([this](Delivery delivery) { on_delivery(std::move(delivery)); });
}

void Worker::on_delivery(Delivery delivery) {
  if (is_stopping_) return source_.retry(delivery.tag, Duration(0));
  works_.push_back({std::move(delivery), {}, {}, {}});
  const auto work = std::prev(works_.end());
  work->park_reason = event_problem(work->delivery.event);
  if (work->park_reason.empty() &&
      work->delivery.attempts > kCrashFactor * options_.most_attempts) {
    work->park_reason = fmt::format("delivered {} times without an end", work->delivery.attempts);
  }
  run(work);
}

void Worker::run(Works::iterator work) {
  work->due = {};
  if (work->park_reason.empty()) {
    apply(work);
  } else {
    park(work);
  }
}

void Worker::apply(Works::iterator work) {
  const Event& event = work->delivery.event;
  Handling handling{kConsumer, std::string(next_status(event, options_.fail_payments))};
  store_.apply(event, std::move(handling),
               [this, work, alive = std::weak_ptr(alive_)](const Result<Applied>& applied) {
                 if (!alive.expired()) on_applied(work, applied);
               });
}

void Worker::on_applied(Works::iterator work, const Result<Applied>& applied) {
  if (!applied) return on_store_error(work, applied.error());
  switch (applied->outcome) {
    case Outcome::moved:
      ++counts_.moved;
      break;
    case Outcome::recorded:
      ++counts_.recorded;
      break;
    case Outcome::duplicate:
      ++counts_.duplicates;
      break;
    case Outcome::old:
      ++counts_.old;
      break;
    case Outcome::unknown:
      return on_unknown(work);
  }
  if (applied->outcome == Outcome::moved) {
    const std::string_view next = next_status(work->delivery.event, options_.fail_payments);
    tell(work->delivery, fmt::format("the order is {}", next));
  } else {
    tell(work->delivery, as_text(applied->outcome));
  }
  settle(work, true);
}

void Worker::on_unknown(Works::iterator work) {
  const int64_t attempts = work->delivery.attempts;
  if (attempts >= options_.most_attempts) {
    work->park_reason = fmt::format("{} (attempt {})", as_text(Outcome::unknown), attempts);
    return park(work);
  }
  ++counts_.retried;
  Duration pause = options_.first_pause;
  for (int64_t i = 1; i < attempts; ++i) pause = std::min(pause * 2, options_.longest_pause);
  tell(work->delivery, as_text(Outcome::unknown));
  settle(work, false, pause);
}

void Worker::park(Works::iterator work) {
  store_.park(work->delivery.event, kConsumer, work->park_reason,
              [this, work, alive = std::weak_ptr(alive_)](const Result<Ok>& parked) {
                if (alive.expired()) return;
                if (!parked) return on_store_error(work, parked.error());
                ++counts_.parked;
                tell(work->delivery, "parked: " + work->park_reason);
                settle(work, true);
              });
}

// The event is not to blame, so it does not count as an attempt.
void Worker::on_store_error(Works::iterator work, Error error) {
  static LogLimiter limiter;
  log_limited(limiter, LogLevel::warn, "worker", "the database: {}; events wait", error.text());
  if (is_stopping_) return settle(work, false);
  work->pause = std::clamp(work->pause * 2, options_.first_pause, options_.longest_pause);
  work->due = retry_timer_.loop().now() + work->pause;
  if (!retry_timer_.is_set() || retry_timer_.deadline() > work->due) retry_timer_.set(work->due);
}

void Worker::on_due() noexcept {
  const TimePoint now = retry_timer_.loop().now();
  retry_timer_.cancel();
  TimePoint next{};
  for (auto work = works_.begin(); work != works_.end(); ++work) {
    if (work->due == TimePoint{}) continue;
    if (work->due <= now) {
      run(work);
    } else if (next == TimePoint{} || work->due < next) {
      next = work->due;
    }
  }
  if (next != TimePoint{}) retry_timer_.set(next);
}

void Worker::settle(Works::iterator work, bool is_done, Duration after) {
  const uint64_t tag = work->delivery.tag;
  works_.erase(work);
  if (is_done) {
    source_.ack(tag);
  } else {
    source_.retry(tag, after);
  }
  if (is_stopping_ && works_.empty()) stop_source();
}

void Worker::tell(const Delivery& delivery, std::string_view what) const {
  const Event& event = delivery.event;
  log_info("worker", "event={} type={} order={} version={} attempt={} request_id={}{}{}: {}",
           event.id, event.type, event.order_id, event.version, delivery.attempts, event.request_id,
           event.traceparent.empty() ? "" : " traceparent=", event.traceparent, what);
}

void Worker::stop(Duration patience, std::function<void()> done) {
  is_stopping_ = true;
  on_stopped_ = std::move(done);
  stop_timer_.set_after(patience);
  retry_timer_.cancel();
  for (auto work = works_.begin(); work != works_.end();) {
    const auto waiting = work++;
    if (waiting->due == TimePoint{}) continue;  // at the store
    source_.retry(waiting->delivery.tag, Duration(0));
    works_.erase(waiting);
  }
  if (works_.empty()) stop_source();
}

void Worker::stop_source() {
  if (!on_stopped_) return;
  const Duration left = stop_timer_.deadline() - stop_timer_.loop().now();
  stop_timer_.cancel();
  source_.stop(std::max(left, Duration(0)), std::exchange(on_stopped_, nullptr));
}

void Worker::on_patience_over() noexcept { stop_source(); }

}  // namespace sluice::orders
