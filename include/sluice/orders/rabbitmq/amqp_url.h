// Where a RabbitMQ is and how to enter it, read from a URL. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "sluice/base/clock.h"

namespace sluice::orders {

struct AmqpAddress {
  std::string host;  // a name or an IP address, without brackets
  uint16_t port = 5672;
  std::string user = "guest", password = "guest";
  std::string vhost = "/";
  size_t shards = 4;     // queues that the events are spread over
  size_t prefetch = 64;  // unsettled deliveries of one source
  std::chrono::seconds heartbeat{5};
  std::string text;  // for people: amqp://shop@mq:5672/shop, never with the password
};

struct AmqpUrl {
  AmqpAddress address;
  std::string problem;  // "": it is one. Never shows the URL, a password may stand in it
};

//   amqp://[user[:password]@]host[:port][/vhost][?option=value&...]
// as the AMQP URI specification has it: parts are percent-encoded, and without a vhost it is "/".
// Stricter: there must be a host. Not as there: an empty vhost ("amqp://host/") is the default one,
// as in most clients. Options are shards=1..64, prefetch=1..1000, heartbeat=1..60 (seconds).
AmqpUrl parse_amqp_url(std::string_view url);

bool is_amqp_url(std::string_view url) noexcept;  // amqps too, which has a problem

}  // namespace sluice::orders
