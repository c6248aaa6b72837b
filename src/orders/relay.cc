#include "sluice/orders/relay.h"

#include <algorithm>
#include <utility>

#include "sluice/base/log.h"

namespace sluice::orders {

Relay::Relay(loop::Loop& loop, EventStore& store, EventPublisher& publisher, RelayOptions options)
    : store_(store),
      publisher_(publisher),
      options_(options),
      nap_(options.nap),
      timer_(loop::Timer::make<&Relay::take>(loop, this)) {}

void Relay::start() {
  publisher_.on_change([this] { poke(); });
  publisher_.start();
  timer_.set(timer_.loop().now());
}

void Relay::poke() noexcept {
  is_poked_ = true;
  if (is_stopping_ || is_taking_ || pause_ > Duration(0)) return;
  nap_ = options_.nap;
  timer_.set(timer_.loop().now());
}

void Relay::take() noexcept {
  timer_.cancel();
  if (is_taking_ || is_stopping_) return;
  // Room that comes back is told; the next look is for a publisher that forgot to.
  const size_t room = std::min(publisher_.room(), options_.batch);
  if (room == 0) return timer_.set_after(options_.longest_nap);
  is_taking_ = true;
  is_poked_ = false;
  store_.take_unsent(room, options_.lease,
                     [this, alive = std::weak_ptr(alive_)](Result<std::vector<TakenEvent>> taken) {
                       if (!alive.expired()) on_taken(std::move(taken));
                     });
}

void Relay::on_taken(Result<std::vector<TakenEvent>> taken) {
  is_taking_ = false;
  std::vector<Event> events;
  if (taken) {
    for (TakenEvent& each : *taken) events.push_back(std::move(each.event));
  }
  if (is_stopping_) {
    std::vector<std::string> ids;
    for (const Event& event : events) ids.push_back(event.id);
    if (!ids.empty()) give_back(std::move(ids), Duration(0));
    return finish_when_idle();
  }
  const bool look_again = !events.empty() || is_poked_;
  nap_ = look_again ? options_.nap : std::min(nap_ * 2, options_.longest_nap);
  // After a failure not at once, however much there is.
  timer_.set_after(std::max(pause_, look_again ? Duration(0) : nap_));
  if (events.empty()) return;
  in_flight_ += events.size();
  publisher_.publish(std::move(events),
                     [this, alive = std::weak_ptr(alive_)](const std::string& id, Status status) {
                       if (!alive.expired()) on_confirm(id, status);
                     });
}

// Confirmations come in bursts: what comes while one mark is being written shares the next.
void Relay::on_confirm(const std::string& event_id, const Status& status) {
  --in_flight_;
  if (status) {
    ++counts_.sent;
    pause_ = Duration(0);
    confirmed_.push_back(event_id);
  } else {
    ++counts_.failed;
    static LogLimiter limiter;
    log_limited(limiter, LogLevel::warn, "relay", "not published, will be tried again: {}",
                status.error().text());
    refused_.push_back(event_id);
  }
  mark();
}

void Relay::mark() {
  if (writing_ > 0) return;
  if (!refused_.empty()) {
    pause_ = std::clamp(pause_ * 2, options_.first_pause, options_.longest_pause);
    give_back(std::exchange(refused_, {}), pause_);
  }
  if (confirmed_.empty()) return finish_when_idle();
  ++writing_;
  std::vector<std::string> ids = std::exchange(confirmed_, {});
  const size_t count = ids.size();
  store_.mark_sent(std::move(ids),
                   [this, count, alive = std::weak_ptr(alive_)](const Result<Ok>& marked) {
                     if (alive.expired()) return;
                     --writing_;
                     if (!marked) {
                       static LogLimiter limiter;
                       log_limited(limiter, LogLevel::warn, "relay",
                                   "{} events are published but not marked, and will be published "
                                   "again: {}",
                                   count, marked.error().text());
                     }
                     mark();
                   });
}

void Relay::give_back(std::vector<std::string> ids, Duration after) {
  ++writing_;
  store_.give_back(std::move(ids), after, [this, alive = std::weak_ptr(alive_)](const Result<Ok>&) {
    if (alive.expired()) return;
    --writing_;
    mark();
  });
}

void Relay::stop(Duration patience, std::function<void()> done) {
  is_stopping_ = true;
  timer_.cancel();
  publisher_.stop(patience,
                  [this, done = std::move(done), alive = std::weak_ptr(alive_)]() mutable {
                    if (alive.expired()) return;
                    on_stopped_ = std::move(done);
                    finish_when_idle();
                  });
}

void Relay::finish_when_idle() {
  if (!on_stopped_ || is_taking_ || writing_ > 0 || in_flight_ > 0) return;
  std::exchange(on_stopped_, nullptr)();
}

}  // namespace sluice::orders
