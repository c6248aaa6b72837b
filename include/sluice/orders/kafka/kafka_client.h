// One client of librdkafka, producer or consumer, whose events are served on the loop.
//
// librdkafka has threads of its own for every broker; what they have to say waits in one queue,
// and an eventfd wakes the loop for it. Owner: a publisher or a source; thread: its loop. The
// events are told from the loop, never inside a call. After the client no event comes any more.
//
// Up means: a broker is connected, and the topic was asked for, so that it is not made just by
// being used. Every change is logged, once.
#pragma once

#include <librdkafka/rdkafka.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sluice/loop/loop.h"
#include "sluice/loop/poll.h"
#include "sluice/loop/timer.h"
#include "sluice/orders/kafka/kafka_url.h"

namespace sluice::orders {

class KafkaClient {
 public:
  using Settings = std::vector<std::pair<const char*, std::string>>;
  struct Hooks {
    std::function<void(rd_kafka_event_t*)> on_event;  // valid during the call
    std::function<void()> on_change;                  // is_up() is another
    std::function<void()> on_turn;                    // the events that were there are told
  };

  KafkaClient(loop::Loop& loop, rd_kafka_type_t type, const KafkaAddress& address,
              Settings settings);
  // Waits a second at most: what librdkafka still does goes on behind our back.
  ~KafkaClient();
  KafkaClient(const KafkaClient&) = delete;
  KafkaClient& operator=(const KafkaClient&) = delete;

  // Connects, and for ever again. Once.
  void start(Hooks hooks);
  // Drops the producer that broke for good and makes a new one. Not inside on_event.
  void reopen();
  // The consumer writes its offsets off and leaves the group, as events tell; may need brokers.
  void close_consumer();
  bool is_consumer_closed() const noexcept;

  bool is_up() const noexcept { return has_broker_ && was_topic_asked_; }
  const std::string& topic() const noexcept { return address_.topic; }
  // nullptr: the machine has no room for its threads just now.
  rd_kafka_t* handle() const noexcept { return handle_; }

 private:
  enum class Wait : uint8_t { no, a_second };
  static constexpr const char* kNoReason = "no connection";

  void open();
  void close(Wait wait);
  void wake_by(rd_kafka_queue_t* queue);
  void serve();
  void on_tick() noexcept;
  void tell(rd_kafka_event_t* event);
  void on_error(rd_kafka_event_t* event);
  void set_broker(bool has_broker);
  void ask_for_topic();
  void on_topic(rd_kafka_event_t* event);

  rd_kafka_type_t type_;
  KafkaAddress address_;
  Settings settings_;
  Hooks hooks_;
  int wake_fd_;
  std::unique_ptr<loop::Poll> poll_;
  loop::Timer tick_;
  rd_kafka_t* handle_ = nullptr;
  rd_kafka_queue_t* queue_ = nullptr;
  std::string last_error_ = kNoReason;
  TimePoint ask_at_{};  // for the topic, not before
  bool was_topic_asked_ = false, is_topic_settled_ = false;
  bool has_broker_ = false;
  bool is_told_down_ = false;  // in the log
};

}  // namespace sluice::orders
