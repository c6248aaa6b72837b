// Publishes events to a Kafka topic: idempotent producer, acks=all, key = order id.
//
// An event is confirmed when all in-sync replicas have it. Its key puts it behind the other events
// of its order, in one partition. While no broker is connected nothing is taken; what was given
// before fails after 10 s at the latest, well before the relay's lease is over.
#pragma once

#include <memory>

#include "sluice/loop/loop.h"
#include "sluice/orders/event_queue.h"
#include "sluice/orders/kafka/kafka_url.h"

namespace sluice::orders {

struct KafkaPublisherOptions {
  size_t in_flight = 1000;  // events without a confirmation
  Duration message_timeout = std::chrono::seconds(10);
};

std::unique_ptr<EventPublisher> make_kafka_publisher(loop::Loop& loop, const KafkaAddress& address,
                                                     KafkaPublisherOptions options = {});

}  // namespace sluice::orders
