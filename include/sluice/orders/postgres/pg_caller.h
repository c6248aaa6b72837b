// Calls on a PgPool that are made again: after conflicts with others, and reads also when the
// connection was lost.
//
// Owner: the store; thread: its loop's. Steps that are made again must not mind being made twice.
#pragma once

#include <functional>
#include <vector>

#include "sluice/base/random.h"
#include "sluice/loop/timer.h"
#include "sluice/orders/postgres/pg_pool.h"

namespace sluice::orders {

class PgCaller {
 public:
  using Done = PgConnection::Done;
  static constexpr int kMostTries = 20;

  PgCaller(loop::Loop& loop, PgPool& pool);
  PgCaller(const PgCaller&) = delete;
  PgCaller& operator=(const PgCaller&) = delete;

  // `done` comes once, later, with the rows or the last failure, which is logged.
  void read(PgSteps steps, TimePoint deadline, Done done);
  void write(PgSteps steps, TimePoint deadline, Done done);

  // Runs `call` on the loop after that time; not once the caller is destroyed.
  void later(Duration after, std::function<void()> call);
  // How long to wait before try number `tries` + 1: 1 to 50 ms, longer the more there were.
  Duration pause(int tries) noexcept;
  PgPool& pool() noexcept { return pool_; }

 private:
  struct Call {
    PgSteps steps;
    TimePoint deadline;
    Done done;
    bool is_read;
    int tries;
  };
  struct Delayed {
    TimePoint at;
    std::function<void()> call;
  };

  void run(Call call);
  void finish(Call call, PgReply reply);
  void on_timer() noexcept;

  loop::Loop& loop_;
  PgPool& pool_;
  Random random_;
  std::vector<Delayed> delayed_;
  loop::Timer timer_;
};

// Once, by who handles it.
void log_pg_failure(const char* what, const PgFailure& failure);

}  // namespace sluice::orders
