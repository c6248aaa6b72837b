// Looking things up in SQLite.
//
// Owner and thread: one thread (one of the store's readers, or a test). Each call sees one moment.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "sluice/base/error.h"
#include "sluice/orders/event_store.h"
#include "sluice/orders/key_store.h"
#include "sluice/orders/order.h"
#include "sluice/orders/sqlite/sqlite_db.h"

namespace sluice::orders {

class OrderReader {
 public:
  explicit OrderReader(Database db);
  ~OrderReader();
  OrderReader(const OrderReader&) = delete;
  OrderReader& operator=(const OrderReader&) = delete;

  Database& database() noexcept;
  Result<std::vector<Product>> products();
  Result<std::optional<Product>> product(std::string_view id);
  Result<std::optional<Order>> order(std::string_view id);
  // The verdict `sold_out`, if that is what the order would get now and its key is new.
  Result<std::optional<Placed>> find_sold_out(const NewOrder& order);
  Result<std::vector<Order>> orders_of(std::string_view user_id, int64_t most);
  // Counts all orders and their lines: takes as long as there are many.
  Result<Totals> totals(WallTime now = wall_now());
  Result<OutboxDepth> outbox_depth(WallTime now);
  // Whether an event waits that nobody holds.
  Result<bool> has_unsent(WallTime now);
  Result<std::vector<std::string>> placed_keys(const std::vector<std::string>& keys);
  Result<std::vector<PlacedKey>> keys_after(const PlacedKey& last, int64_t most);
  // As EventStore::recent_events() says.
  Result<std::vector<PlacedEvent>> recent_events(int64_t after, size_t most);
  Status ping();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sluice::orders
