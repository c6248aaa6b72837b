// A TCP connection that is given up at a deadline, or as soon as another descriptor becomes
// readable. Blocks: not for the loop's thread.
#pragma once

#include <string>

#include "sluice/base/clock.h"
#include "sluice/orders/rabbitmq/amqp_url.h"

namespace sluice::orders {

struct Dialled {
  int fd = -1;          // not blocking; the caller's
  std::string problem;  // "" when there is a descriptor
};

// Tries all addresses of the host, one after the other. Only the look-up of a name waits for as
// long as the resolver does.
Dialled dial(const AmqpAddress& address, Duration patience, int cancel_fd);

}  // namespace sluice::orders
