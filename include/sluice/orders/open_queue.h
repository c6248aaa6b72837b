// Makes the two ends of the queue that a URL names. The only place that knows all queues.
#pragma once

#include <memory>
#include <string>

#include "sluice/loop/loop.h"
#include "sluice/orders/event_queue.h"
#include "sluice/orders/event_store.h"

namespace sluice::orders {

// "", or why no queue has such a URL: embedded, amqp://… (rabbitmq/amqp_url.h), kafka://…
// (kafka/kafka_url.h); never with its password.
std::string queue_url_problem(const std::string& url);

// For serve; nullptr: the queue needs no relay. `url` has no problem.
std::unique_ptr<EventPublisher> make_publisher(loop::Loop& loop, const std::string& url);

// For work. The store must outlive the source.
std::unique_ptr<EventSource> make_source(loop::Loop& loop, const std::string& url,
                                         EventStore& store);

}  // namespace sluice::orders
