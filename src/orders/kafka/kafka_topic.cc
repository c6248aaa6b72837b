#include "kafka_topic.h"

#include <memory>

#include "sluice/base/log.h"

namespace sluice::orders {
namespace {

constexpr int kRequestTimeoutMs = 2000;
constexpr int kDefaultReplicas = -1;  // what the brokers have as their default

using Topic = std::unique_ptr<rd_kafka_NewTopic_t, decltype(&rd_kafka_NewTopic_destroy)>;
using Options = std::unique_ptr<rd_kafka_AdminOptions_t, decltype(&rd_kafka_AdminOptions_destroy)>;

// The answer for our one topic, or the error that the request as a whole met.
std::pair<rd_kafka_resp_err_t, const char*> answer_of(rd_kafka_event_t* event) {
  if (const auto error = rd_kafka_event_error(event)) {
    return {error, rd_kafka_event_error_string(event)};
  }
  size_t count = 0;
  const auto* topics =
      rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
  if (count == 0) return {RD_KAFKA_RESP_ERR_UNKNOWN, "no answer for the topic"};
  const char* text = rd_kafka_topic_result_error_string(topics[0]);
  return {rd_kafka_topic_result_error(topics[0]), text == nullptr ? "" : text};
}

}  // namespace

void ask_for_topic(rd_kafka_t* client, rd_kafka_queue_t* queue, const KafkaAddress& address) {
  char why[256] = "";
  const Topic topic(
      rd_kafka_NewTopic_new(address.topic.c_str(), address.partitions,
                            address.replicas > 0 ? address.replicas : kDefaultReplicas, why,
                            sizeof why),
      rd_kafka_NewTopic_destroy);
  const Options options(rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_CREATETOPICS),
                        rd_kafka_AdminOptions_destroy);
  if (topic == nullptr || options == nullptr) {
    return log_error("kafka", "no request for a topic: {}", why);
  }
  rd_kafka_AdminOptions_set_request_timeout(options.get(), kRequestTimeoutMs, why, sizeof why);
  rd_kafka_NewTopic_t* list[] = {topic.get()};
  rd_kafka_CreateTopics(client, list, 1, options.get(), queue);
}

bool read_topic_answer(rd_kafka_event_t* event, const KafkaAddress& address) {
  const auto [error, text] = answer_of(event);
  switch (error) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
      log_info("kafka", "made topic {} with {} partitions", address.topic, address.partitions);
      return true;
    case RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS:
      return true;
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
    case RD_KAFKA_RESP_ERR_NOT_CONTROLLER:
    case RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE:
      return false;
    default:
      // Not ours to make; it may be there nonetheless, or the brokers make it at its first use.
      log_info("kafka", "topic {} is left to the brokers: {}", address.topic, text);
      return true;
  }
}

}  // namespace sluice::orders
