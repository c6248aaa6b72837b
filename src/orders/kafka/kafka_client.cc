#include "sluice/orders/kafka/kafka_client.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <chrono>
#include <future>
#include <system_error>
#include <thread>

#include <nlohmann/json.hpp>

#include "kafka_topic.h"
#include "sluice/base/check.h"
#include "sluice/base/log.h"

namespace sluice::orders {
namespace {

// How often we look when nothing wakes us. A consumer that is not asked for 5 minutes would be
// taken for dead (max.poll.interval.ms).
constexpr Duration kTick = std::chrono::milliseconds(500);
// Until the brokers say whether the topic is there or can be made.
constexpr Duration kAskAgain = std::chrono::seconds(10);
constexpr int kEventsAtOnce = 256;  // then others have their turn
constexpr std::chrono::seconds kCloseWait(1);

// What both sides have. Sparse connections are off, so that "no broker is connected" means that
// none can be: we judge by it.
const KafkaClient::Settings& common_settings() {
  static const KafkaClient::Settings settings{
      {"client.id", "sluice-orders"},
      {"enable.sparse.connections", "false"},
      {"allow.auto.create.topics", "true"},
      {"statistics.interval.ms", "500"},
      {"socket.keepalive.enable", "true"},
      {"socket.timeout.ms", "5000"},
      {"socket.connection.setup.timeout.ms", "3000"},
      {"api.version.request.timeout.ms", "3000"},
      {"reconnect.backoff.ms", "100"},
      {"reconnect.backoff.max.ms", "1000"},
      {"log.connection.close", "false"},
  };
  return settings;
}

// From threads of librdkafka. What matters comes as events too, and is told once there.
void on_log(const rd_kafka_t*, int, const char* facility, const char* text) noexcept {
  log_debug("kafka", "{}: {}", facility, text);
}

void set(rd_kafka_conf_t* conf, const char* name, const std::string& value) {
  char why[256] = "";
  // Names are ours and values are checked: librdkafka has them, or the library is not ours.
  SL_CHECK(rd_kafka_conf_set(conf, name, value.c_str(), why, sizeof why) == RD_KAFKA_CONF_OK);
}

// librdkafka has no call for it, and tells of brokers that went away, not of those that came.
bool has_connected_broker(const char* statistics) {
  const auto json = nlohmann::json::parse(statistics, nullptr, false);
  const auto brokers = json.find("brokers");
  if (brokers == json.end()) return false;
  for (const auto& broker : *brokers) {
    if (broker.value("state", "") == "UP") return true;
  }
  return false;
}

// Joins all threads of the client, one of which may be looking up a name for a long time.
std::future<void> destroy_elsewhere(rd_kafka_t* client) {
  std::promise<void> promise;
  std::future<void> future = promise.get_future();
  try {  // std::thread reports by an exception
    std::thread([client, promise = std::move(promise)]() mutable {
      rd_kafka_destroy_flags(client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
      promise.set_value();
    }).detach();
  } catch (const std::system_error&) {
    log_warn("kafka", "no thread to end a client in; it stays");
  }
  return future;
}

}  // namespace

KafkaClient::KafkaClient(loop::Loop& loop, rd_kafka_type_t type, const KafkaAddress& address,
                         Settings settings)
    : type_(type),
      address_(address),
      settings_(std::move(settings)),
      wake_fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      tick_(loop::Timer::make<&KafkaClient::on_tick>(loop, this)) {
  SL_CHECK(wake_fd_ >= 0);
  poll_ = std::make_unique<loop::Poll>(loop, wake_fd_, [this](bool, bool) { serve(); });
  poll_->want(true, false);
}

KafkaClient::~KafkaClient() {
  close(Wait::a_second);
  poll_.reset();
  ::close(wake_fd_);
}

void KafkaClient::start(Hooks hooks) {
  hooks_ = std::move(hooks);
  open();
  tick_.set_after(kTick);
}

void KafkaClient::reopen() {
  close(Wait::no);
  open();
  hooks_.on_change();
}

void KafkaClient::open() {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  for (const auto& [name, value] : common_settings()) set(conf, name, value);
  for (const auto& [name, value] : settings_) set(conf, name, value);
  set(conf, "bootstrap.servers", address_.brokers);
  rd_kafka_conf_set_log_cb(conf, on_log);
  rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_FETCH | RD_KAFKA_EVENT_ERROR |
                                     RD_KAFKA_EVENT_REBALANCE | RD_KAFKA_EVENT_STATS);
  char why[256] = "";
  handle_ = rd_kafka_new(type_, conf, why, sizeof why);
  if (handle_ == nullptr) {
    rd_kafka_conf_destroy(conf);
    static LogLimiter limiter;
    log_limited(limiter, LogLevel::error, "kafka", "no client, will be tried again: {}", why);
    return;
  }
  // One queue for all: for a consumer the main one flows into that of the consumer.
  if (type_ == RD_KAFKA_CONSUMER) rd_kafka_poll_set_consumer(handle_);
  wake_by(type_ == RD_KAFKA_CONSUMER ? rd_kafka_queue_get_consumer(handle_)
                                     : rd_kafka_queue_get_main(handle_));
}

void KafkaClient::wake_by(rd_kafka_queue_t* queue) {
  if (queue_ != nullptr) {
    rd_kafka_queue_io_event_enable(queue_, -1, nullptr, 0);
    rd_kafka_queue_destroy(queue_);
  }
  queue_ = queue;
  constexpr uint64_t kWake = 1;
  if (queue_ != nullptr) rd_kafka_queue_io_event_enable(queue_, wake_fd_, &kWake, sizeof kWake);
}

// From now on the events of the consumer flow into a queue of ours, which outlives its own.
void KafkaClient::close_consumer() {
  if (handle_ == nullptr) return;
  wake_by(rd_kafka_queue_new(handle_));
  rd_kafka_error_t* error = rd_kafka_consumer_close_queue(handle_, queue_);
  if (error == nullptr) return;
  log_warn("kafka", "the group is not left: {}", rd_kafka_error_string(error));
  rd_kafka_error_destroy(error);
}

bool KafkaClient::is_consumer_closed() const noexcept {
  return handle_ == nullptr || rd_kafka_consumer_closed(handle_) != 0;
}

void KafkaClient::close(Wait wait) {
  has_broker_ = false;
  if (handle_ == nullptr) return;
  wake_by(nullptr);
  const std::future<void> over = destroy_elsewhere(std::exchange(handle_, nullptr));
  if (wait == Wait::a_second) over.wait_for(kCloseWait);
}

// Cleared before reading: what comes from now on wakes us again.
void KafkaClient::serve() {
  uint64_t wakes = 0;
  if (::read(wake_fd_, &wakes, sizeof wakes) < 0) wakes = 0;
  int events = 0;
  while (queue_ != nullptr && events < kEventsAtOnce) {
    rd_kafka_event_t* event = rd_kafka_queue_poll(queue_, 0);
    if (event == nullptr) break;
    ++events;
    tell(event);
    rd_kafka_event_destroy(event);
  }
  if (events == kEventsAtOnce) {
    wakes = 1;
    if (::write(wake_fd_, &wakes, sizeof wakes) < 0) wakes = 0;  // full: it is readable
  }
  hooks_.on_turn();
}

void KafkaClient::on_tick() noexcept {
  tick_.set_after(kTick);
  if (handle_ == nullptr) open();
  ask_for_topic();
  serve();
}

void KafkaClient::tell(rd_kafka_event_t* event) {
  switch (rd_kafka_event_type(event)) {
    case RD_KAFKA_EVENT_STATS:
      return set_broker(has_connected_broker(rd_kafka_event_stats(event)));
    case RD_KAFKA_EVENT_CREATETOPICS_RESULT:
      return on_topic(event);
    case RD_KAFKA_EVENT_ERROR:
      on_error(event);
      break;
    default:
      break;
  }
  hooks_.on_event(event);
}

void KafkaClient::on_error(rd_kafka_event_t* event) {
  if (rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) return set_broker(false);
  last_error_ = rd_kafka_event_error_string(event);
  log_debug("kafka", "{}", last_error_);
}

void KafkaClient::set_broker(bool has_broker) {
  const bool was_up = is_up();
  has_broker_ = has_broker;
  if (has_broker && std::exchange(is_told_down_, false)) {
    log_info("kafka", "{} is back", address_.text);
    last_error_ = kNoReason;
  } else if (!has_broker && !std::exchange(is_told_down_, true)) {
    log_warn("kafka", "no broker of {}, trying again: {}", address_.text, last_error_);
  }
  ask_for_topic();
  if (was_up != is_up()) hooks_.on_change();
}

void KafkaClient::ask_for_topic() {
  if (!has_broker_ || is_topic_settled_ || tick_.loop().now() < ask_at_) return;
  ask_at_ = tick_.loop().now() + kAskAgain;
  orders::ask_for_topic(handle_, queue_, address_);
}

// Without an answer we go on too: a broker may well know the topic while nobody may make one.
void KafkaClient::on_topic(rd_kafka_event_t* event) {
  is_topic_settled_ = read_topic_answer(event, address_);
  const bool was_up = is_up();
  was_topic_asked_ = true;
  if (was_up != is_up()) hooks_.on_change();
}

}  // namespace sluice::orders
