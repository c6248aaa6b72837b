// The embedded queue: the outbox itself, from which workers take with leases.
//
// serve needs no relay then: what is in the outbox is in the queue. An event that a worker died
// with comes to another one when its lease is over. It looks into the outbox again and again, more
// seldom while nothing comes. Owner and thread as event_queue.h says.
#pragma once

#include <memory>

#include "sluice/loop/loop.h"
#include "sluice/orders/event_queue.h"
#include "sluice/orders/event_store.h"

namespace sluice::orders {

struct EmbeddedQueueOptions {
  size_t prefetch = 128;                        // deliveries that are not settled
  Duration lease = std::chrono::seconds(10);    // longer than anything a worker does with an event
  Duration nap = std::chrono::milliseconds(5);  // after the outbox was found empty; doubled
  Duration longest_nap = std::chrono::milliseconds(200);
};

// The store must outlive the source.
std::unique_ptr<EventSource> make_embedded_source(loop::Loop& loop, EventStore& store,
                                                  EmbeddedQueueOptions options = {});

}  // namespace sluice::orders
