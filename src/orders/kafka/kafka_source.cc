#include "sluice/orders/kafka/kafka_source.h"

#include <algorithm>
#include <string>
#include <utility>

#include "sluice/base/log.h"
#include "sluice/loop/timer.h"
#include "sluice/orders/kafka/kafka_backlog.h"
#include "sluice/orders/kafka/kafka_client.h"

namespace sluice::orders {
namespace {

using Partitions = std::unique_ptr<rd_kafka_topic_partition_list_t,
                                   decltype(&rd_kafka_topic_partition_list_destroy)>;

KafkaClient::Settings settings_of(const KafkaAddress& address, const KafkaSourceOptions& options) {
  const auto interval =
      std::chrono::duration_cast<std::chrono::milliseconds>(options.commit_interval).count();
  return {
      {"group.id", address.group},
      // All partitions are given back when members come or go; one rule for everything.
      {"partition.assignment.strategy", "range,roundrobin"},
      {"session.timeout.ms", "6000"},  // after that the partitions of a dead member are free
      {"heartbeat.interval.ms", "2000"},
      {"auto.offset.reset", "earliest"},
      // What we store is committed at this interval, and when a partition is given back.
      {"enable.auto.offset.store", "false"},
      {"enable.auto.commit", "true"},
      {"auto.commit.interval.ms", std::to_string(interval)},
      {"queued.min.messages", std::to_string(options.prefetch)},
      {"queued.max.messages.kbytes", "8192"},
      {"fetch.wait.max.ms", "100"},
      {"fetch.error.backoff.ms", "200"},
  };
}

std::string_view header(const rd_kafka_message_t& message, const char* name) {
  rd_kafka_headers_t* headers = nullptr;
  const void* value = nullptr;
  size_t size = 0;
  if (rd_kafka_message_headers(&message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR ||
      rd_kafka_header_get_last(headers, name, &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR ||
      value == nullptr) {
    return {};
  }
  return {static_cast<const char*>(value), size};
}

KafkaBacklog::Message read_message(const rd_kafka_message_t& message) {
  KafkaBacklog::Message read{message.partition, message.offset, std::nullopt, {}};
  if (message.key != nullptr)
    read.key.emplace(static_cast<const char*>(message.key), message.key_len);
  const std::string_view payload(static_cast<const char*>(message.payload),
                                 message.payload == nullptr ? 0 : message.len);
  read.event = read_event(payload, header(message, "traceparent"));
  return read;
}

class KafkaSource final : public EventSource {
 public:
  KafkaSource(loop::Loop& loop, const KafkaAddress& address, const KafkaSourceOptions& options)
      : options_(options),
        text_(address.text),
        client_(loop, RD_KAFKA_CONSUMER, address, settings_of(address, options)),
        deliver_timer_(loop::Timer::make<&KafkaSource::deliver>(loop, this)),
        stop_timer_(loop::Timer::make<&KafkaSource::finish>(loop, this)) {}

  void start(std::function<void(Delivery)> on_delivery) override {
    on_delivery_ = std::move(on_delivery);
    client_.start({[this](rd_kafka_event_t* event) { on_event(event); },
                   [this] { on_client_change(); }, [this] { on_turn(); }});
  }
  void ack(uint64_t tag) override;
  void retry(uint64_t tag, Duration after) override;
  bool is_up() const noexcept override { return client_.is_up(); }
  void stop(Duration patience, std::function<void()> done) override;
  std::string_view text() const noexcept override { return text_; }

 private:
  void on_client_change();
  void on_event(rd_kafka_event_t* event);
  void on_rebalance(rd_kafka_event_t* event);
  void on_turn();
  void deliver() noexcept;
  void deliver_when_due();
  void store(const KafkaBacklog::Progress& progress);
  void pause_or_resume();
  void pause(bool is_paused);
  void finish() noexcept;

  KafkaSourceOptions options_;
  std::string text_;
  KafkaClient client_;
  KafkaBacklog backlog_;
  loop::Timer deliver_timer_;
  loop::Timer stop_timer_;
  std::function<void(Delivery)> on_delivery_;
  std::function<void()> on_stopped_;
  bool is_subscribed_ = false, is_paused_ = false, is_stopping_ = false;
};

// The topic was asked for by now, so that nobody makes it by just asking where it is.
void KafkaSource::on_client_change() {
  if (is_stopping_ && !client_.is_up()) return stop_timer_.set(stop_timer_.loop().now());
  if (is_subscribed_ || is_stopping_ || !client_.is_up()) return;
  const Partitions topics(rd_kafka_topic_partition_list_new(1),
                          rd_kafka_topic_partition_list_destroy);
  rd_kafka_topic_partition_list_add(topics.get(), client_.topic().c_str(), RD_KAFKA_PARTITION_UA);
  const auto error = rd_kafka_subscribe(client_.handle(), topics.get());
  is_subscribed_ = error == RD_KAFKA_RESP_ERR_NO_ERROR;
  if (!is_subscribed_) log_error("kafka", "no subscription: {}", rd_kafka_err2str(error));
}

void KafkaSource::on_event(rd_kafka_event_t* event) {
  switch (rd_kafka_event_type(event)) {
    case RD_KAFKA_EVENT_REBALANCE:
      return on_rebalance(event);
    case RD_KAFKA_EVENT_FETCH:
      while (const rd_kafka_message_t* message = rd_kafka_event_message_next(event)) {
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR && !is_stopping_) {
          backlog_.add(read_message(*message));
        }
      }
      return pause_or_resume();
    default:
      return;
  }
}

// librdkafka waits for our answer, and commits what is stored before partitions go.
void KafkaSource::on_rebalance(rd_kafka_event_t* event) {
  rd_kafka_topic_partition_list_t* partitions = rd_kafka_event_topic_partition_list(event);
  const bool is_given = rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
  for (int i = 0; !is_given && i < partitions->cnt; ++i) {
    backlog_.lose(partitions->elems[i].partition);
  }
  const auto error = rd_kafka_assign(client_.handle(), is_given ? partitions : nullptr);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    log_warn("kafka", "partitions are not {}: {}", is_given ? "taken" : "given back",
             rd_kafka_err2str(error));
  }
  log_info("kafka", "{} {} partitions", is_given ? "reads" : "gives back", partitions->cnt);
  // All that was held is lost, and so is the reason for a pause; a partition may remember it.
  if (is_given) pause(false);
}

void KafkaSource::on_turn() {
  deliver();
  if (is_stopping_ && client_.is_consumer_closed()) stop_timer_.set(stop_timer_.loop().now());
}

void KafkaSource::deliver() noexcept {
  deliver_timer_.cancel();
  while (!is_stopping_) {
    std::optional<Delivery> next = backlog_.take(deliver_timer_.loop().now());
    if (!next) break;
    on_delivery_(*std::move(next));
  }
  deliver_when_due();
}

void KafkaSource::deliver_when_due() {
  const auto due = backlog_.next_due();
  if (!due || is_stopping_) return;
  deliver_timer_.set(std::max(*due, deliver_timer_.loop().now()));
}

void KafkaSource::ack(uint64_t tag) {
  if (const auto progress = backlog_.settle(tag)) store(*progress);
  deliver_when_due();
  pause_or_resume();
}

void KafkaSource::retry(uint64_t tag, Duration after) {
  backlog_.retry(tag, deliver_timer_.loop().now() + after);
  deliver_when_due();
}

void KafkaSource::store(const KafkaBacklog::Progress& progress) {
  const Partitions offsets(rd_kafka_topic_partition_list_new(1),
                           rd_kafka_topic_partition_list_destroy);
  rd_kafka_topic_partition_list_add(offsets.get(), client_.topic().c_str(), progress.partition)
      ->offset = progress.next;
  const auto error = rd_kafka_offsets_store(client_.handle(), offsets.get());
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return;
  static LogLimiter limiter;
  log_limited(limiter, LogLevel::warn, "kafka", "partition {} is done up to {}, but not stored: {}",
              progress.partition, progress.next, rd_kafka_err2str(error));
}

// Messages are read before they are asked for; a pause takes back what is not yet told.
void KafkaSource::pause_or_resume() {
  if (!is_paused_ && backlog_.size() >= options_.prefetch) pause(true);
  if (is_paused_ && backlog_.size() <= options_.prefetch / 2) pause(false);
}

void KafkaSource::pause(bool is_paused) {
  rd_kafka_topic_partition_list_t* assigned = nullptr;
  if (rd_kafka_assignment(client_.handle(), &assigned) != RD_KAFKA_RESP_ERR_NO_ERROR) return;
  const Partitions list(assigned, rd_kafka_topic_partition_list_destroy);
  const auto error = is_paused ? rd_kafka_pause_partitions(client_.handle(), assigned)
                               : rd_kafka_resume_partitions(client_.handle(), assigned);
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) is_paused_ = is_paused;
}

void KafkaSource::stop(Duration patience, std::function<void()> done) {
  is_stopping_ = true;
  on_stopped_ = std::move(done);
  deliver_timer_.cancel();
  // Without brokers there is nobody to tell: what was settled last comes again, and is known.
  stop_timer_.set_after(is_up() ? patience : Duration(0));
  if (is_up()) client_.close_consumer();
}

void KafkaSource::finish() noexcept {
  stop_timer_.cancel();
  if (auto done = std::exchange(on_stopped_, nullptr)) done();
}

}  // namespace

std::unique_ptr<EventSource> make_kafka_source(loop::Loop& loop, const KafkaAddress& address,
                                               KafkaSourceOptions options) {
  return std::make_unique<KafkaSource>(loop, address, options);
}

}  // namespace sluice::orders
