// The topic, made when it is missing and the brokers allow it.
#pragma once

#include <librdkafka/rdkafka.h>

#include "sluice/orders/kafka/kafka_url.h"

namespace sluice::orders {

// The answer comes as an event to `queue`, after 2 s at the latest.
void ask_for_topic(rd_kafka_t* client, rd_kafka_queue_t* queue, const KafkaAddress& address);

// True: the topic is there, or not ours to make. False: nobody answered, ask again.
bool read_topic_answer(rd_kafka_event_t* event, const KafkaAddress& address);

}  // namespace sluice::orders
