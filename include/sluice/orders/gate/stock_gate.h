// The optional stock gate in Redis: a layer over the store of `serve` that lets an order through to
// the database only with units reserved, and one over the store of `work` that tells the gate of
// units that came back. The database stays the truth.
//
// Owner of what is made: the process, in the place of the store below, which it owns; it dies
// before the loop. Thread: the loop's.
#pragma once

#include <memory>
#include <string>

#include "sluice/base/clock.h"
#include "sluice/orders/open_store.h"

namespace sluice::orders {

// What becomes of orders while the gate cannot be asked.
enum class StockAway : uint8_t {
  update,  // some at a time go to the database, whose conditional UPDATE decides
  refuse,  // 503 with Retry-After
};

struct GateOptions {
  std::string url;  // "": no gate
  StockAway away = StockAway::update;
  Duration hold = std::chrono::seconds(10);  // a reservation without an end is looked into then
};

// "", or why this is no URL of a Redis. Never shows a password.
std::string stock_url_problem(const std::string& url);
// For the first line: "", or ", stock gate redis://127.0.0.1:6379".
std::string stock_text(const std::string& url);

// `owner`: the process, in reservations and locks.
std::unique_ptr<ShopStore> make_gated_store(loop::Loop& loop, std::unique_ptr<ShopStore> below,
                                            const GateOptions& options, const std::string& owner);
std::unique_ptr<ShopStore> make_returning_store(loop::Loop& loop, std::unique_ptr<ShopStore> below,
                                                const std::string& url);

}  // namespace sluice::orders
