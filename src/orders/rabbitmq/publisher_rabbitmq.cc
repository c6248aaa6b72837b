#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "publish_client.h"
#include "sluice/loop/timer.h"
#include "sluice/orders/rabbitmq/queue_rabbitmq.h"

namespace sluice::orders {
namespace {

class RabbitPublisher final : public EventPublisher {
 public:
  RabbitPublisher(loop::Loop& loop, const AmqpAddress& address, RabbitOptions options)
      : loop_(loop),
        text_(address.text),
        options_(options),
        confirm_timer_(loop::Timer::make<&RabbitPublisher::on_confirm_timer>(loop, this)),
        stop_timer_(loop::Timer::make<&RabbitPublisher::on_patience_over>(loop, this)),
        client_(address.shards, hearing()),
        thread_(address, options, client_) {}
  ~RabbitPublisher() override { thread_.end(); }

  void start() override { thread_.start(); }

  void publish(std::vector<Event> events, Confirm confirm) override {
    const auto shared = std::make_shared<Confirm>(std::move(confirm));
    const TimePoint deadline = loop_.now() + options_.confirm;
    size_t room = is_stopping_ ? 0 : free_places();
    std::vector<PublishJob> jobs;
    for (Event& event : events) {
      if (room == 0) {
        refuse(event.id, shared);
        continue;
      }
      --room;
      const uint64_t key = next_key_++;
      waiting_.emplace(key, Waiting{event.id, shared, deadline});
      jobs.push_back({key, std::move(event), deadline});
    }
    if (jobs.empty()) return;
    if (!confirm_timer_.is_set()) confirm_timer_.set(waiting_.begin()->second.deadline);
    client_.push(std::move(jobs));
    thread_.wake();
  }

  size_t room() const noexcept override { return is_up_ && !is_stopping_ ? free_places() : 0; }
  bool is_up() const noexcept override { return is_up_; }
  void on_change(std::function<void()> changed) override { changed_ = std::move(changed); }
  std::string_view text() const noexcept override { return text_; }

  void stop(Duration patience, std::function<void()> done) override {
    is_stopping_ = true;
    on_stopped_ = std::move(done);
    stop_timer_.set_after(patience);
    close_when_idle();
  }

 private:
  using Guard = std::weak_ptr<Ok>;

  struct Waiting {
    std::string event_id;
    std::shared_ptr<Confirm> confirm;
    TimePoint deadline;  // grows with the key
  };

  // Called on the thread: nothing of this object is touched there.
  PublishClient::Heard hearing() {
    const auto on_loop = [this, alive = Guard(alive_)](auto call) {
      loop_.post([this, alive, call = std::move(call)]() mutable {
        if (!alive.expired()) call(*this);
      });
    };
    return {[on_loop](std::vector<PublishResult> results) {
              on_loop([results = std::move(results)](RabbitPublisher& self) {
                self.on_results(results);
              });
            },
            [on_loop](bool is_up) {
              on_loop([is_up](RabbitPublisher& self) { self.on_state(is_up); });
            },
            [on_loop] { on_loop([](RabbitPublisher& self) { self.finish(); }); }};
  }

  // The thread may be behind with what nobody waits for any more; that takes room as well.
  size_t free_places() const noexcept {
    return options_.room - std::min(options_.room, std::max(waiting_.size(), client_.depth()));
  }

  void refuse(const std::string& id, const std::shared_ptr<Confirm>& confirm) {
    loop_.post([id, confirm, alive = Guard(alive_)] {
      if (!alive.expired()) (*confirm)(id, Error(Errc::kQueueFull, "too many events at once"));
    });
  }

  void on_results(const std::vector<PublishResult>& results) {
    const bool was_full = room() == 0;
    for (const PublishResult& result : results) {
      const auto found = waiting_.find(result.key);
      if (found != waiting_.end()) answer(found, result.error);  // else given up before
    }
    if (was_full && room() > 0) tell_change();
    close_when_idle();
  }

  void on_state(bool is_up) {
    is_up_ = is_up;
    tell_change();
  }

  void answer(std::map<uint64_t, Waiting>::iterator each, Error error) {
    const Waiting waiting = std::move(each->second);
    waiting_.erase(each);
    (*waiting.confirm)(waiting.event_id, error ? Status(error) : Status(Ok{}));
  }

  void on_confirm_timer() noexcept {
    confirm_timer_.cancel();
    const TimePoint now = loop_.now();
    bool is_late = false;
    while (!waiting_.empty() && waiting_.begin()->second.deadline <= now) {
      is_late = true;
      answer(waiting_.begin(), Error(Errc::kQueueTimeout, "no confirmation of RabbitMQ in time"));
    }
    // A broker that blocks us says so, and will confirm later; any other is not well.
    if (is_late && is_up_) thread_.reconnect();
    if (!waiting_.empty()) confirm_timer_.set(waiting_.begin()->second.deadline);
    close_when_idle();
  }

  void tell_change() {
    if (changed_) changed_();
  }

  void close_when_idle() {
    if (!is_stopping_ || is_closing_ || !waiting_.empty()) return;
    is_closing_ = true;
    thread_.close();
  }

  void on_patience_over() noexcept {
    while (!waiting_.empty()) {
      answer(waiting_.begin(), Error(Errc::kQueueTimeout, "no confirmation before the end"));
    }
    is_closing_ = true;
    finish();
  }

  void finish() {
    stop_timer_.cancel();
    if (auto done = std::exchange(on_stopped_, nullptr)) done();
  }

  loop::Loop& loop_;
  const std::string text_;
  const RabbitOptions options_;
  loop::Timer confirm_timer_;  // the first deadline of those that wait, or earlier
  loop::Timer stop_timer_;
  std::function<void()> changed_, on_stopped_;
  std::map<uint64_t, Waiting> waiting_;  // by key
  uint64_t next_key_ = 1;
  bool is_up_ = false, is_stopping_ = false, is_closing_ = false;
  std::shared_ptr<Ok> alive_ = std::make_shared<Ok>();
  PublishClient client_;
  AmqpThread thread_;
};

}  // namespace

std::unique_ptr<EventPublisher> make_rabbitmq_publisher(loop::Loop& loop,
                                                        const AmqpAddress& address,
                                                        RabbitOptions options) {
  return std::make_unique<RabbitPublisher>(loop, address, options);
}

}  // namespace sluice::orders
