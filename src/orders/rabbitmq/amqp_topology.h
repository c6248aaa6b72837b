// What stands in the broker, and which event goes where.
//
//   sluice.orders (direct) --"0"--> sluice.orders.0      quorum queues, each with one active
//                          --"1"--> sluice.orders.1 ...  consumer at a time (RabbitMQ's
//                                        |               x-single-active-consumer)
//                     after kDeliveryLimit deliveries
//                                        v
//   sluice.orders.dead (fanout) ----> sluice.orders.dead
//
// The order's id picks the queue: events of one order stay in one queue, in their order. Both ends
// declare all of it, each time they connect; what is there already must be the same. A worker parks
// an event long before the broker's own limit; that one is for events which nobody lives to park.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "amqp_connection.h"

namespace sluice::orders {

inline constexpr const char* kExchange = "sluice.orders";
inline constexpr const char* kDeadLetters = "sluice.orders.dead";
inline constexpr int64_t kDeliveryLimit = 100;
inline constexpr size_t kMostShards = 64;

std::string routing_key(std::string_view order_id, size_t shards);
std::string queue_name(size_t shard);

// "" or what the broker has against it.
std::string declare_topology(const AmqpConnection& connection, size_t shards);

// The names of the queues that are there beyond our own number: left by processes with more shards,
// their events want to be handled too.
std::string find_more_queues(const AmqpConnection& connection, size_t shards,
                             std::vector<std::string>& names);

}  // namespace sluice::orders
