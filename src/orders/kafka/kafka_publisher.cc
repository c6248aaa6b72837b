#include "sluice/orders/kafka/kafka_publisher.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "sluice/base/log.h"
#include "sluice/loop/timer.h"
#include "sluice/orders/kafka/kafka_client.h"

namespace sluice::orders {
namespace {

KafkaClient::Settings settings_of(const KafkaPublisherOptions& options) {
  const auto timeout =
      std::chrono::duration_cast<std::chrono::milliseconds>(options.message_timeout).count();
  return {
      {"enable.idempotence", "true"},  // and with it acks=all, order, retries
      {"message.timeout.ms", std::to_string(timeout)},
      {"request.timeout.ms", "5000"},
      {"linger.ms", "1"},
      {"queue.buffering.max.messages", std::to_string(options.in_flight * 2)},
      // As all other clients of Kafka choose the partition of a key.
      {"partitioner", "murmur2_random"},
  };
}

Error as_error(rd_kafka_resp_err_t error) {
  switch (error) {
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
      return {Errc::kQueueTimeout, "Kafka did not confirm in time"};
    case RD_KAFKA_RESP_ERR__PURGE_QUEUE:
    case RD_KAFKA_RESP_ERR__PURGE_INFLIGHT:
      return {Errc::kSystem, "the connection to Kafka was given up"};
    default:
      return {Errc::kSystem, "Kafka refused it"};
  }
}

class KafkaPublisher final : public EventPublisher {
 public:
  KafkaPublisher(loop::Loop& loop, const KafkaAddress& address,
                 const KafkaPublisherOptions& options)
      : options_(options),
        text_(address.text),
        client_(loop, RD_KAFKA_PRODUCER, address, settings_of(options)),
        soon_(loop::Timer::make<&KafkaPublisher::on_soon>(loop, this)),
        stop_timer_(loop::Timer::make<&KafkaPublisher::on_patience_over>(loop, this)) {}

  void start() override {
    client_.start({[this](rd_kafka_event_t* event) { on_event(event); },
                   [this] { on_client_change(); }, [this] { on_turn(); }});
  }
  void publish(std::vector<Event> events, Confirm confirm) override;
  size_t room() const noexcept override {
    return is_up() && !is_stopping_ ? options_.in_flight - std::min(options_.in_flight, held()) : 0;
  }
  bool is_up() const noexcept override { return client_.is_up() && !is_broken_; }
  void on_change(std::function<void()> changed) override { changed_ = std::move(changed); }
  void stop(Duration patience, std::function<void()> done) override;
  std::string_view text() const noexcept override { return text_; }

 private:
  struct Pending {
    std::string event_id;
    std::shared_ptr<Confirm> confirm;
  };
  struct Failed {
    Pending pending;
    Error error;
  };

  size_t held() const noexcept { return pending_.size() + failed_.size(); }
  void fail_soon(Pending pending, Error error);
  rd_kafka_resp_err_t give(const Event& event, uint64_t number);
  void on_event(rd_kafka_event_t* event);
  void on_report(const rd_kafka_message_t& message);
  void on_client_change();
  void on_turn();
  void replace_broken();
  void fail_all(Error error);
  void tell_change();
  void on_soon() noexcept;
  void on_patience_over() noexcept;

  KafkaPublisherOptions options_;
  std::string text_;
  KafkaClient client_;
  loop::Timer soon_;  // what may not happen inside a call
  loop::Timer stop_timer_;
  std::function<void()> changed_, on_stopped_;
  std::map<uint64_t, Pending> pending_;  // at librdkafka, by number
  std::vector<Failed> failed_;           // not yet told
  uint64_t next_number_ = 1;
  bool had_room_ = false;
  bool is_broken_ = false;  // this producer will take nothing any more
  bool is_stopping_ = false;
};

void KafkaPublisher::publish(std::vector<Event> events, Confirm confirm) {
  const auto shared = std::make_shared<Confirm>(std::move(confirm));
  for (const Event& event : events) {
    Pending pending{event.id, shared};
    if (room() == 0) {
      fail_soon(std::move(pending), {Errc::kQueueFull, "more than Kafka takes now"});
      continue;
    }
    const uint64_t number = next_number_++;
    if (const auto error = give(event, number); error != RD_KAFKA_RESP_ERR_NO_ERROR) {
      static LogLimiter limiter;
      log_limited(limiter, LogLevel::warn, "kafka", "event {} is not taken: {}", event.id,
                  rd_kafka_err2str(error));
      fail_soon(std::move(pending), as_error(error));
      continue;
    }
    pending_.emplace(number, std::move(pending));
  }
  had_room_ = room() > 0;
}

// Copies the payload; never blocks. The number comes back with the report.
rd_kafka_resp_err_t KafkaPublisher::give(const Event& event, uint64_t number) {
  rd_kafka_vu_t parts[6]{};
  size_t count = 0;
  const auto add = [&](rd_kafka_vtype_t type) -> auto& {
    parts[count].vtype = type;
    return parts[count++].u;
  };
  const std::string& topic = client_.topic();
  add(RD_KAFKA_VTYPE_TOPIC).cstr = topic.c_str();
  add(RD_KAFKA_VTYPE_MSGFLAGS).i = RD_KAFKA_MSG_F_COPY;
  auto& value = add(RD_KAFKA_VTYPE_VALUE).mem;
  value.ptr = const_cast<char*>(event.payload.data());
  value.size = event.payload.size();
  auto& key = add(RD_KAFKA_VTYPE_KEY).mem;
  key.ptr = const_cast<char*>(event.order_id.data());
  key.size = event.order_id.size();
  add(RD_KAFKA_VTYPE_OPAQUE).ptr = reinterpret_cast<void*>(static_cast<uintptr_t>(number));
  if (!event.traceparent.empty()) {
    auto& header = add(RD_KAFKA_VTYPE_HEADER).header;
    header.name = "traceparent";
    header.val = event.traceparent.data();
    header.size = static_cast<ssize_t>(event.traceparent.size());
  }
  rd_kafka_error_t* error = rd_kafka_produceva(client_.handle(), parts, count);
  if (error == nullptr) return RD_KAFKA_RESP_ERR_NO_ERROR;
  const rd_kafka_resp_err_t code = rd_kafka_error_code(error);
  rd_kafka_error_destroy(error);
  return code;
}

void KafkaPublisher::on_event(rd_kafka_event_t* event) {
  const rd_kafka_event_type_t type = rd_kafka_event_type(event);
  if (type == RD_KAFKA_EVENT_DR) {
    while (const rd_kafka_message_t* message = rd_kafka_event_message_next(event)) {
      on_report(*message);
    }
  } else if (type == RD_KAFKA_EVENT_ERROR && rd_kafka_event_error_is_fatal(event) != 0) {
    log_error("kafka", "the producer broke and is replaced: {}",
              rd_kafka_event_error_string(event));
    is_broken_ = true;
  }
}

void KafkaPublisher::on_report(const rd_kafka_message_t& message) {
  auto found = pending_.extract(reinterpret_cast<uintptr_t>(message._private));
  if (found.empty()) return;  // failed before, when patience was over
  const Pending& pending = found.mapped();
  if (message.err == RD_KAFKA_RESP_ERR_NO_ERROR) {
    (*pending.confirm)(pending.event_id, Ok{});
    return;
  }
  static LogLimiter limiter;
  log_limited(limiter, LogLevel::warn, "kafka", "an event was not confirmed: {}",
              rd_kafka_err2str(message.err));
  (*pending.confirm)(pending.event_id, as_error(message.err));
}

// After an error like a sequence that the brokers do not know a producer is of no use any more.
// What it held may be there or not; the relay publishes it again, and the inbox knows it.
void KafkaPublisher::replace_broken() {
  client_.reopen();
  is_broken_ = false;
  fail_all({Errc::kSystem, "the producer was replaced"});
}

void KafkaPublisher::on_client_change() {
  if (!client_.is_up() && is_stopping_) fail_all({Errc::kSystem, "no broker of Kafka"});
  tell_change();
}

void KafkaPublisher::on_turn() {
  if (is_broken_) replace_broken();
  if ((room() > 0) != had_room_) tell_change();
  if (is_stopping_ && held() == 0) soon_.set(soon_.loop().now());
}

void KafkaPublisher::tell_change() {
  had_room_ = room() > 0;
  if (changed_ && !is_stopping_) changed_();
}

void KafkaPublisher::fail_soon(Pending pending, Error error) {
  failed_.push_back({std::move(pending), error});
  soon_.set(soon_.loop().now());
}

void KafkaPublisher::fail_all(Error error) {
  for (auto& [number, pending] : std::exchange(pending_, {})) {
    fail_soon(std::move(pending), error);
  }
}

void KafkaPublisher::on_soon() noexcept {
  soon_.cancel();
  for (const Failed& each : std::exchange(failed_, {})) {
    (*each.pending.confirm)(each.pending.event_id, each.error);
  }
  if (is_stopping_ && held() == 0) {
    stop_timer_.cancel();
    if (auto done = std::exchange(on_stopped_, nullptr)) done();
  } else if ((room() > 0) != had_room_) {
    tell_change();
  }
}

void KafkaPublisher::stop(Duration patience, std::function<void()> done) {
  is_stopping_ = true;
  on_stopped_ = std::move(done);
  stop_timer_.set_after(patience);
  // Without brokers no confirmation is due.
  if (!is_up()) fail_all({Errc::kSystem, "no broker of Kafka"});
  soon_.set(soon_.loop().now());
}

void KafkaPublisher::on_patience_over() noexcept {
  stop_timer_.cancel();
  fail_all({Errc::kQueueTimeout, "Kafka did not confirm in time"});
  soon_.set(soon_.loop().now());
}

}  // namespace

std::unique_ptr<EventPublisher> make_kafka_publisher(loop::Loop& loop, const KafkaAddress& address,
                                                     KafkaPublisherOptions options) {
  return std::make_unique<KafkaPublisher>(loop, address, options);
}

}  // namespace sluice::orders
