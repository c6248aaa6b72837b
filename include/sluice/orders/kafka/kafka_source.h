// Delivers events of a Kafka topic to a worker, as a member of a consumer group.
//
// A partition belongs to one member at a time. Its committed offset goes up only over events that
// are settled, all before them too; so a member that died left at most events that come again.
// When partitions change hands, deliveries out of them lose their tags. Attempts are counted in
// this process only: Kafka knows no count of deliveries.
#pragma once

#include <memory>

#include "sluice/loop/loop.h"
#include "sluice/orders/event_queue.h"
#include "sluice/orders/kafka/kafka_url.h"

namespace sluice::orders {

struct KafkaSourceOptions {
  size_t prefetch = 256;  // read and not settled
  Duration commit_interval = std::chrono::milliseconds(200);
};

std::unique_ptr<EventSource> make_kafka_source(loop::Loop& loop, const KafkaAddress& address,
                                               KafkaSourceOptions options = {});

}  // namespace sluice::orders
