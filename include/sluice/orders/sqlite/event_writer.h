// The outbox, the inbox and an order's further way in SQLite, inside transactions that the caller
// begins and commits: several calls may share one.
//
// Owner and thread: the OrderWriter of the same connection (or a test). Dies before the Database.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sluice/base/clock.h"
#include "sluice/base/error.h"
#include "sluice/orders/event_store.h"
#include "sluice/orders/sqlite/sqlite_db.h"

namespace sluice::orders {

class EventWriter {
 public:
  explicit EventWriter(Database& db);
  ~EventWriter();
  EventWriter(const EventWriter&) = delete;
  EventWriter& operator=(const EventWriter&) = delete;

  // Into the outbox, with what it tells of.
  Status add(const Event& event);
  Result<std::vector<TakenEvent>> take_unsent(size_t most, Duration lease, WallTime now);
  Status mark_sent(const std::vector<std::string>& event_ids, WallTime now);
  Status give_back(const std::vector<std::string>& event_ids, WallTime until);

  // Changes either all that it is about or nothing, as OrderWriter::place().
  Result<Applied> apply(const Event& event, const Handling& handling, WallTime now);
  Status park(const Event& event, const std::string& consumer, const std::string& reason,
              WallTime now);
  // Forgets sent events of long ago, some hundred in one call.
  Status forget_old_events(WallTime now);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sluice::orders
