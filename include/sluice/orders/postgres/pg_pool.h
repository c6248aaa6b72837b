// A few connections to one PostgreSQL, and a bounded queue of batches that wait for one.
//
// Owner: the store. Thread: its loop's. A batch is run by whichever connection is free. While there
// has been no connection for kDownAfter, what is asked fails at once; before that it waits, so that
// a server which restarts is not noticed.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "sluice/orders/postgres/pg_connection.h"

namespace sluice::orders {

class PgPool final : private PgEvents {
 public:
  static constexpr size_t kRoom = 4096;
  static constexpr Duration kDownAfter = std::chrono::milliseconds(500);

  PgPool(loop::Loop& loop, PgAddress address);
  PgPool(const PgPool&) = delete;
  PgPool& operator=(const PgPool&) = delete;

  void start();
  // `done` comes once, later, unless the pool is destroyed first.
  void run(PgSteps steps, TimePoint deadline, PgConnection::Done done);

  size_t waiting() const noexcept { return waiting_.size(); }
  size_t connections() const noexcept { return connections_.size(); }
  bool is_up() const noexcept;
  const PgAddress& address() const noexcept { return address_; }

 private:
  struct Call {
    PgSteps steps;
    TimePoint deadline;
    PgConnection::Done done;
    PgFault fault;  // when it is over before it was run
  };

  void on_pg_ready(PgConnection& connection) noexcept override;
  void on_pg_lost(PgConnection& connection, std::string_view why) noexcept override;
  void on_timer() noexcept;
  PgConnection* free_connection() noexcept;
  void wait(Call call);

  loop::Loop& loop_;
  const PgAddress address_;
  std::vector<std::unique_ptr<PgConnection>> connections_;
  std::deque<Call> waiting_;
  loop::Timer timer_;       // of the first deadline among them
  TimePoint down_since_{};  // the first failure since there was a connection; not set: up, or new
};

}  // namespace sluice::orders
