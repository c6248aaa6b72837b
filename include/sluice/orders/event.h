// What happens to an order, as it goes through outbox and queue: a plain value, and the rules of
// an order's life. Pure.
//
//   version 1 accepted --order.accepted--> 2 paid --order.paid--> 3 shipped
//                      `-----------------> 2 failed (its units go back to the stock)
//
// Version and status of an order move together, and each move has one event, whose id is the
// order's id, "-" and the version. A message in a broker is the payload alone, as its body; the
// traceparent goes beside it (a header), and the order's id is the key that shards by.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "sluice/base/clock.h"
#include "sluice/orders/order.h"

namespace sluice::orders {

// Texts are UTF-8 without NUL, so that every database can hold them.
struct Event {
  std::string id;          // of the event: order_id + "-" + version
  std::string order_id;    // events of one order keep their order
  int64_t version = 0;     // of the order after what the event tells
  std::string type;        // "order." and the order's status
  std::string payload;     // JSON: event_id, type, order_id, version, user_id, status, total_cents,
                           // items, at, request_id
  std::string request_id;  // of the HTTP request that began the order
  std::string traceparent;  // of the same, W3C Trace Context; "": none
  WallTime created{};
  bool operator==(const Event&) const = default;
};

std::string event_id(std::string_view order_id, int64_t version);
std::string event_type(std::string_view status);

// The event that tells that `order` has its status since `at`.
Event make_event(const Order& order, std::string traceparent, WallTime at);

// What is no UTF-8 becomes U+FFFD, and so does NUL, which PostgreSQL does not hold.
std::string clean_text(std::string_view text);

// A message from a broker. One that is no event gives an Event nonetheless, with the payload (what
// is no UTF-8 in it replaced) and an id made of its hash: event_problem() says so, and it is
// parked.
Event read_event(std::string_view payload, std::string_view traceparent);

// "", or why nobody can handle this event, ever: its payload is not what make_event() writes, or
// its fields do not fit each other.
std::string event_problem(const Event& event);

// The status that handling this event gives the order; "": none, it was the last one. Payment fails
// for the share `fail_payments` of all orders, for the same ones each time.
std::string_view next_status(const Event& event, double fail_payments) noexcept;

}  // namespace sluice::orders
