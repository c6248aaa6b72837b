#include "consume_client.h"

#include <algorithm>
#include <utility>

#include "amqp_topology.h"

namespace sluice::orders {

void ConsumeClient::push(Settling settling) {
  std::lock_guard lock(mutex_);
  settlings_.push_back(settling);
}

bool ConsumeClient::has_more() {
  std::lock_guard lock(mutex_);
  return !settlings_.empty();
}

std::string ConsumeClient::on_open(AmqpConnection& connection) {
  std::string problem = declare_topology(connection, shards_);
  std::vector<std::string> queues;
  for (size_t shard = 0; shard < shards_; ++shard) queues.push_back(queue_name(shard));
  if (problem.empty()) problem = find_more_queues(connection, shards_, queues);
  if (problem.empty()) problem = consume(connection, queues);
  if (!problem.empty()) return problem;
  reader_ = {};
  received_.clear();
  heard_.state(++connection_);
  return {};
}

// The prefetch is one for each consumer (RabbitMQ's meaning of global=false).
std::string ConsumeClient::consume(const AmqpConnection& connection,
                                   const std::vector<std::string>& queues) {
  constexpr amqp_channel_t kChannel = AmqpConnection::kChannel;
  const size_t each = std::max<size_t>(1, prefetch_ / queues.size());
  amqp_basic_qos(connection.raw(), kChannel, 0, static_cast<uint16_t>(each), 0);
  std::string problem = connection.answer();
  for (const std::string& queue : queues) {
    if (!problem.empty()) return problem;
    amqp_basic_consume(connection.raw(), kChannel, amqp_text(queue), amqp_text(queue), 0, 0, 0,
                       amqp_empty_table);
    problem = connection.answer();
  }
  return problem;
}

std::string ConsumeClient::send(AmqpConnection& connection) {
  std::vector<Settling> settlings;
  {
    std::lock_guard lock(mutex_);
    settlings.swap(settlings_);
  }
  int code = AMQP_STATUS_OK;
  for (const Settling& each : settlings) {
    if (each.name.connection != connection_ || code != AMQP_STATUS_OK) continue;
    const uint64_t tag = each.name.delivery_tag;
    constexpr amqp_boolean_t kMultiple = 0, kRequeue = 1;
    code = each.is_done ? amqp_basic_ack(connection.raw(), AmqpConnection::kChannel, tag, kMultiple)
                        : amqp_basic_nack(connection.raw(), AmqpConnection::kChannel, tag,
                                          kMultiple, kRequeue);
  }
  return AmqpConnection::status(code);
}

std::string ConsumeClient::on_frame(const amqp_frame_t& frame) {
  if (!reader_.is_reading()) {
    return frame.frame_type == AMQP_FRAME_METHOD ? on_method(frame.payload.method)
                                                 : "a message without its beginning";
  }
  switch (reader_.add(frame)) {
    case AmqpMessageReader::Step::more:
      return {};
    case AmqpMessageReader::Step::complete:
      on_message(reader_.take());
      return {};
    case AmqpMessageReader::Step::problem:
      break;
  }
  return "a message in disorder";
}

// basic.cancel: the broker has given up the queue, as when somebody deletes it (RabbitMQ, consumer
// cancel notifications). The next connection declares it again.
std::string ConsumeClient::on_method(const amqp_method_t& method) {
  if (method.id == AMQP_BASIC_CANCEL_METHOD) return "a queue is gone";
  if (method.id != AMQP_BASIC_DELIVER_METHOD) return {};
  delivery_tag_ = static_cast<const amqp_basic_deliver_t*>(method.decoded)->delivery_tag;
  reader_.begin();
  return {};
}

void ConsumeClient::on_message(const AmqpMessage& message) {
  received_.push_back({{connection_, delivery_tag_},
                       read_event(message.body, message.traceparent),
                       message.attempts});
}

void ConsumeClient::flush() {
  if (!received_.empty()) heard_.received(std::exchange(received_, {}));
}

void ConsumeClient::on_lost() {
  received_.clear();
  heard_.state(0);
}

}  // namespace sluice::orders
