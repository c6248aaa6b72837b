#include "sluice/orders/queue_embedded.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "sluice/base/log.h"
#include "sluice/loop/timer.h"

namespace sluice::orders {
namespace {

class EmbeddedSource final : public EventSource {
 public:
  EmbeddedSource(loop::Loop& loop, EventStore& store, EmbeddedQueueOptions options)
      : store_(store),
        options_(options),
        nap_(options.nap),
        timer_(loop::Timer::make<&EmbeddedSource::take>(loop, this)),
        stop_timer_(loop::Timer::make<&EmbeddedSource::finish>(loop, this)) {}

  void start(std::function<void(Delivery)> on_delivery) override {
    on_delivery_ = std::move(on_delivery);
    timer_.set(timer_.loop().now());
  }

  void ack(uint64_t tag) override {
    const auto found = open_.find(tag);
    if (found == open_.end()) return;
    acked_.push_back(std::move(found->second));
    open_.erase(found);
    write_acks();
    hurry();
  }

  void retry(uint64_t tag, Duration after) override {
    const auto found = open_.find(tag);
    if (found == open_.end()) return;
    give_back({std::move(found->second)}, after);
    open_.erase(found);
  }

  bool is_up() const noexcept override { return is_up_; }

  void stop(Duration patience, std::function<void()> done) override {
    on_stopped_ = std::move(done);
    is_stopping_ = true;
    timer_.cancel();
    stop_timer_.set_after(patience);
    finish_when_idle();
  }

  std::string_view text() const noexcept override { return "embedded"; }

 private:
  using Guard = std::weak_ptr<Ok>;

  void take() noexcept {
    timer_.cancel();
    if (is_taking_ || is_stopping_ || !has_room()) return;
    is_taking_ = true;
    store_.take_unsent(options_.prefetch - held(), options_.lease,
                       [this, alive = Guard(alive_)](Result<std::vector<TakenEvent>> taken) {
                         if (!alive.expired()) on_taken(std::move(taken));
                       });
  }

  void on_taken(Result<std::vector<TakenEvent>> taken) {
    is_taking_ = false;
    is_up_ = taken.has_value();
    if (is_stopping_) {
      if (taken) give_back_all(*taken);
      return finish_when_idle();
    }
    const bool found = taken && !taken->empty();
    nap_ = found ? options_.nap : std::min(nap_ * 2, options_.longest_nap);
    timer_.set_after(found ? Duration(0) : nap_);
    if (!found) return;  // the store has logged an error
    for (TakenEvent& event : *taken) {
      const uint64_t tag = next_tag_++;
      open_.emplace(tag, event.event.id);
      on_delivery_({std::move(event.event), tag, event.attempts});
    }
  }

  size_t held() const noexcept { return open_.size() + acked_.size(); }
  // Some at a time: a look for each single one would cost more than what it brings.
  bool has_room() const noexcept { return held() <= options_.prefetch / 2; }

  // There is room again, and where one event was there is often the next.
  void hurry() {
    if (is_stopping_ || is_taking_ || !has_room()) return;
    nap_ = options_.nap;
    timer_.set(timer_.loop().now());
  }

  // One call at a time: what is acknowledged meanwhile shares the next.
  void write_acks() {
    if (is_writing_ || acked_.empty()) return;
    is_writing_ = true;
    std::vector<std::string> ids = std::exchange(acked_, {});
    store_.mark_sent(ids, [this, ids, alive = Guard(alive_)](Result<Ok> marked) {
      if (!alive.expired()) on_marked(ids, marked);
    });
  }

  // Not marked: it will come again when its lease is over, and the inbox will know it.
  void on_marked(const std::vector<std::string>& ids, const Result<Ok>& marked) {
    is_writing_ = false;
    if (!marked) {
      static LogLimiter limiter;
      log_limited(limiter, LogLevel::warn, "queue", "{} events are done but not marked: {}",
                  ids.size(), marked.error().text());
    }
    write_acks();
    hurry();
    finish_when_idle();
  }

  void give_back(std::vector<std::string> ids, Duration after) {
    ++giving_;
    store_.give_back(std::move(ids), after, [this, alive = Guard(alive_)](const Result<Ok>&) {
      if (alive.expired()) return;
      --giving_;
      hurry();
      finish_when_idle();
    });
  }

  void give_back_all(const std::vector<TakenEvent>& taken) {
    if (taken.empty()) return;
    std::vector<std::string> ids;
    for (const TakenEvent& event : taken) ids.push_back(event.event.id);
    give_back(std::move(ids), Duration(0));
  }

  void finish_when_idle() {
    if (!is_stopping_ || is_taking_ || is_writing_) return;
    if (!open_.empty()) {
      std::vector<std::string> ids;
      for (auto& [tag, id] : std::exchange(open_, {})) ids.push_back(std::move(id));
      give_back(std::move(ids), Duration(0));
    }
    if (giving_ == 0) stop_timer_.set(stop_timer_.loop().now());  // not inside the call
  }

  void finish() noexcept {
    stop_timer_.cancel();
    if (auto done = std::exchange(on_stopped_, nullptr)) done();
  }

  EventStore& store_;
  EmbeddedQueueOptions options_;
  Duration nap_;
  loop::Timer timer_;       // the next look into the outbox
  loop::Timer stop_timer_;  // the end of stop()
  std::function<void(Delivery)> on_delivery_;
  std::function<void()> on_stopped_;
  std::map<uint64_t, std::string> open_;  // deliveries by tag: the event's id
  std::vector<std::string> acked_;        // not yet written
  uint64_t next_tag_ = 1;
  int giving_ = 0;
  bool is_taking_ = false, is_writing_ = false, is_stopping_ = false, is_up_ = false;
  std::shared_ptr<Ok> alive_ = std::make_shared<Ok>();
};

}  // namespace

std::unique_ptr<EventSource> make_embedded_source(loop::Loop& loop, EventStore& store,
                                                  EmbeddedQueueOptions options) {
  return std::make_unique<EmbeddedSource>(loop, store, options);
}

}  // namespace sluice::orders
