// The way out: not ready any more, then no new connections, then what is in flight, then the end.
//
//   serving --TERM--> leaving --shutdown_delay--> draining --empty or drain_timeout--> stopping
//   any state --second TERM--> stopping
//
// Owner and thread: control. Each state is entered once, and told to `entered`.
#pragma once

#include <functional>
#include <string>

#include "sluice/admin/port.h"
#include "sluice/base/clock.h"
#include "sluice/loop/timer.h"

namespace sluice::server {

class Drain {
 public:
  using Phase = admin::Phase;
  struct Times {
    Duration delay{0};
    Duration timeout{0};
  };

  // `entered` is called with leaving, draining, stopping; `open` counts connections still open.
  Drain(loop::Loop& loop, std::function<void(Phase)> entered, std::function<uint32_t()> open);

  // The first call begins, the second ends it at once.
  void request(const std::string& why, const Times& times);
  // All workers are empty.
  void finished();
  bool is_under_way() const noexcept { return phase_ != Phase::serving; }

 private:
  void on_time() noexcept;
  void begin_draining();
  void stop(const char* why);
  void go(Phase to);

  loop::Loop& loop_;
  std::function<void(Phase)> entered_;
  std::function<uint32_t()> open_;
  Phase phase_ = Phase::serving;
  Times times_;
  TimePoint deadline_{};
  loop::Timer timer_;
};

}  // namespace sluice::server
