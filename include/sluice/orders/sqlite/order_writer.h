// Taking stock and writing orders in SQLite, inside transactions that the caller begins and
// commits: several orders may share one.
//
// Owner and thread: one thread (the store's writer, or a test).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "sluice/base/clock.h"
#include "sluice/base/error.h"
#include "sluice/orders/order.h"
#include "sluice/orders/sqlite/event_writer.h"
#include "sluice/orders/sqlite/sqlite_db.h"

namespace sluice::orders {

class OrderWriter {
 public:
  explicit OrderWriter(Database db);
  ~OrderWriter();
  OrderWriter(const OrderWriter&) = delete;
  OrderWriter& operator=(const OrderWriter&) = delete;

  // BEGIN IMMEDIATE: from here to the end no other process writes. Fails at once when one does.
  Status begin();
  // What was done since begin() is durable when this returns Ok.
  Status commit();
  void rollback();
  Database& database() noexcept;
  // The other side of the same connection, for the same transactions.
  EventWriter& events() noexcept;

  // Each changes either all that it is about or nothing. An Error after which
  // database().is_in_transaction() is false has undone the whole transaction.
  Result<Placed> place(const NewOrder& order, WallTime now);
  Result<std::optional<Product>> restock(std::string_view product_id, int64_t quantity,
                                         WallTime now);
  // Forgets keys that are older than kKeyLife, some hundred in one call.
  Status forget_old_keys(WallTime now);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sluice::orders
