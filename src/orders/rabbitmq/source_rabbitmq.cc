#include <map>
#include <memory>
#include <utility>

#include "consume_client.h"
#include "sluice/loop/timer.h"
#include "sluice/orders/rabbitmq/queue_rabbitmq.h"

namespace sluice::orders {
namespace {

class RabbitSource final : public EventSource {
 public:
  RabbitSource(loop::Loop& loop, const AmqpAddress& address, RabbitOptions options)
      : loop_(loop),
        text_(address.text),
        retry_timer_(loop::Timer::make<&RabbitSource::on_retry_timer>(loop, this)),
        stop_timer_(loop::Timer::make<&RabbitSource::finish>(loop, this)),
        client_(address.shards, address.prefetch, hearing()),
        thread_(address, options, client_) {}
  ~RabbitSource() override { thread_.end(); }

  void start(std::function<void(Delivery)> on_delivery) override {
    on_delivery_ = std::move(on_delivery);
    thread_.start();
  }

  void ack(uint64_t tag) override { settle(tag, true); }

  // Held here: the broker would deliver it again at once.
  void retry(uint64_t tag, Duration after) override {
    if (after <= Duration(0) || is_stopping_) return settle(tag, false);
    if (!open_.contains(tag)) return;
    held_.emplace(loop_.now() + after, tag);
    set_retry_timer();
  }

  bool is_up() const noexcept override { return is_up_; }
  std::string_view text() const noexcept override { return text_; }

  // The broker takes back what is unsettled, when the channel closes.
  void stop(Duration patience, std::function<void()> done) override {
    is_stopping_ = true;
    on_stopped_ = std::move(done);
    retry_timer_.cancel();
    stop_timer_.set_after(patience);
    thread_.close();
  }

 private:
  using Guard = std::weak_ptr<Ok>;

  // Called on the thread: nothing of this object is touched there.
  ConsumeClient::Heard hearing() {
    const auto on_loop = [this, alive = Guard(alive_)](auto call) {
      loop_.post([this, alive, call = std::move(call)]() mutable {
        if (!alive.expired()) call(*this);
      });
    };
    return {[on_loop](std::vector<Received> received) {
              on_loop([received = std::move(received)](RabbitSource& self) mutable {
                self.on_received(std::move(received));
              });
            },
            [on_loop](uint64_t connection) {
              on_loop([connection](RabbitSource& self) { self.on_state(connection != 0); });
            },
            [on_loop] { on_loop([](RabbitSource& self) { self.finish(); }); }};
  }

  void on_received(std::vector<Received> received) {
    for (Received& each : received) {
      if (is_stopping_) return;
      const uint64_t tag = next_tag_++;
      open_.emplace(tag, each.name);
      on_delivery_({std::move(each.event), tag, each.attempts});
    }
  }

  // All that is open came by the connection that is lost, and comes again.
  void on_state(bool is_up) {
    is_up_ = is_up;
    if (is_up) return;
    open_.clear();
    held_.clear();
    retry_timer_.cancel();
  }

  void settle(uint64_t tag, bool is_done) {
    const auto found = open_.find(tag);
    if (found == open_.end()) return;
    client_.push({found->second, is_done});
    open_.erase(found);
    thread_.wake();
  }

  void set_retry_timer() {
    if (!held_.empty()) retry_timer_.set(held_.begin()->first);
  }

  void on_retry_timer() noexcept {
    retry_timer_.cancel();
    while (!held_.empty() && held_.begin()->first <= loop_.now()) {
      settle(held_.begin()->second, false);
      held_.erase(held_.begin());
    }
    set_retry_timer();
  }

  void finish() noexcept {
    stop_timer_.cancel();
    if (auto done = std::exchange(on_stopped_, nullptr)) done();
  }

  loop::Loop& loop_;
  const std::string text_;
  loop::Timer retry_timer_;
  loop::Timer stop_timer_;
  std::function<void(Delivery)> on_delivery_;
  std::function<void()> on_stopped_;
  std::map<uint64_t, MessageName> open_;     // unsettled deliveries by our tag
  std::multimap<TimePoint, uint64_t> held_;  // those of them that go back later, by when
  uint64_t next_tag_ = 1;
  bool is_up_ = false, is_stopping_ = false;
  std::shared_ptr<Ok> alive_ = std::make_shared<Ok>();
  ConsumeClient client_;
  AmqpThread thread_;
};

}  // namespace

std::unique_ptr<EventSource> make_rabbitmq_source(loop::Loop& loop, const AmqpAddress& address,
                                                  RabbitOptions options) {
  return std::make_unique<RabbitSource>(loop, address, options);
}

}  // namespace sluice::orders
