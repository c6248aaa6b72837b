// RabbitMQ as the queue of events: both its ends.
//
// Each end has a thread of its own with one connection, since librabbitmq waits for its sockets;
// the objects here live on the loop, and what goes to the thread and back is bounded. A lost
// connection is made again, after a pause that grows. amqp_topology.h says what is declared.
//
// Publisher: an event is confirmed after basic.ack without a basic.return before it. While the
// broker blocks publishers (connection.blocked) it is not up.
// Source: a retry is kept here until it is due, and then put back into its queue, which counts it.
// So it holds one place of the prefetch meanwhile, and nothing else waits for it.
#pragma once

#include <cstddef>
#include <memory>

#include "sluice/base/clock.h"
#include "sluice/loop/loop.h"
#include "sluice/orders/event_queue.h"
#include "sluice/orders/rabbitmq/amqp_url.h"

namespace sluice::orders {

struct RabbitOptions {
  size_t room = 1024;  // events at the publisher
  // Until a confirmation; less than the relay's lease, so that nobody else publishes it meanwhile.
  Duration confirm = std::chrono::seconds(10);
  Duration connect = std::chrono::seconds(5);  // each of: TCP, login, any answer
  Duration first_pause = std::chrono::milliseconds(100);
  Duration longest_pause = std::chrono::seconds(5);
};

std::unique_ptr<EventPublisher> make_rabbitmq_publisher(loop::Loop& loop,
                                                        const AmqpAddress& address,
                                                        RabbitOptions options = {});
std::unique_ptr<EventSource> make_rabbitmq_source(loop::Loop& loop, const AmqpAddress& address,
                                                  RabbitOptions options = {});

}  // namespace sluice::orders
