// Orders, products and what became of a request for one: plain values, shared by API and stores.
//
// Money is integer cents, stock is integer units. Limits on what a request may hold stand here; all
// sums stay far below 2^63.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/base/clock.h"
#include "sluice/orders/gate/gate_facts.h"

namespace sluice::orders {

inline constexpr int64_t kMostQuantity = 100;  // in one line
inline constexpr size_t kMostLines = 100;      // in one order
inline constexpr size_t kMostUserId = 128;     // bytes
inline constexpr int64_t kMostRestock = 1'000'000;
inline constexpr int64_t kMostPrice = 1'000'000'000;  // cents
inline constexpr int64_t kMostStock = 1'000'000'000;  // of a product at the start
// How long an Idempotency-Key is remembered; after that it counts as new.
inline constexpr Duration kKeyLife = std::chrono::hours(24);

struct Product {
  std::string id;
  std::string name;
  int64_t price_cents = 0;
  int64_t stock = 0;  // units that can be ordered now
  bool operator==(const Product&) const = default;
};

struct OrderLine {
  std::string product_id;
  int64_t quantity = 0;
  int64_t price_cents = 0;  // of one unit when it was ordered
  bool operator==(const OrderLine&) const = default;
};

// The states of an order; event.h has its way through them.
inline constexpr std::string_view kAccepted = "accepted";
inline constexpr std::string_view kPaid = "paid";
inline constexpr std::string_view kShipped = "shipped";
inline constexpr std::string_view kFailed = "failed";

struct StateChange {
  std::string state;
  WallTime at{};
};

struct Order {
  std::string id;
  std::string user_id;
  std::string status;
  int64_t total_cents = 0;
  std::vector<OrderLine> lines;      // as they were ordered
  std::vector<StateChange> history;  // oldest first
  int64_t version = 1;               // counts its states: moves together with the status
  std::string request_id;            // of the HTTP request that made it
};

// A request that is well formed; whether it can be met the store will tell.
struct NewOrder {
  std::string user_id;
  std::vector<OrderLine> lines;  // prices are not filled in
  std::string key;               // Idempotency-Key
  std::string fingerprint;       // of user and lines: the same key may not come with another
  std::string request_id;        // goes into the event
  std::string traceparent;       // goes into the event; "": none
  int reply_status = 201;        // what is answered, and stored, when it is accepted
  int64_t user_limit = 0;        // most orders of this user that did not fail; 0: no limit
};

// What was answered to a key, to be answered again.
struct StoredReply {
  int status = 0;
  std::string order_id;
  std::string body;
  std::vector<std::string> sold_out;  // products of which this order took the last unit
};

enum class Verdict : uint8_t {
  accepted,         // new, committed
  replayed,         // the key was answered before
  key_reused,       // the key was used for something else
  unknown_product,  // nothing was changed
  sold_out,         // of one product there is less than was asked for; nothing was changed
  user_limit,       // the user has so many orders already; nothing was changed
};

struct Placed {
  Verdict verdict = Verdict::accepted;
  StoredReply reply;       // accepted, replayed
  std::string product_id;  // unknown_product, sold_out
  int64_t requested = 0;   // sold_out: in all lines of that product together
  int64_t available = 0;   // sold_out
};

struct StockTotals {
  std::string product_id;
  int64_t supplied = 0;   // at the start and by restocks
  int64_t available = 0;  // left
  int64_t held = 0;       // in accepted orders
  int64_t sold = 0;       // in paid and shipped orders
  int64_t ledger = 0;     // sum of the stock ledger, which must be what is available
  int64_t drift() const noexcept { return supplied - available - held - sold; }
  int64_t ledger_drift() const noexcept { return ledger - available; }
};

// All of one moment.
struct Totals {
  std::vector<std::pair<std::string, int64_t>> orders;  // by state
  std::vector<StockTotals> stock;
  int64_t outbox = 0;             // events that wait in the outbox
  Duration outbox_oldest{0};      // how long the oldest of them waits
  int64_t parked = 0;             // events that could not be handled
  std::optional<GateFacts> gate;  // of this process, if it has a stock gate
};

}  // namespace sluice::orders
