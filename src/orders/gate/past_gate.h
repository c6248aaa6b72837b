// The way past the gate while it is away: a few orders at a time go to the database, some wait for
// their turn, and the rest is refused.
//
// Owner: the gated store; thread: its loop's. `go` is called once with the verdict, inside enter()
// if there is room; leave() ends what was let go.
#pragma once

#include <deque>
#include <functional>

#include "sluice/base/error.h"
#include "sluice/loop/timer.h"

namespace sluice::orders {

class PastGate {
 public:
  static constexpr size_t kAtOnce = 16;
  static constexpr size_t kWaiting = 512;
  static constexpr Duration kPatience = std::chrono::seconds(1);

  using Go = std::function<void(Status)>;

  explicit PastGate(loop::Loop& loop)
      : loop_(loop), timer_(loop::Timer::make<&PastGate::on_timer>(loop, this)) {}
  PastGate(const PastGate&) = delete;
  PastGate& operator=(const PastGate&) = delete;

  void enter(Go go);
  void leave();

 private:
  struct Waiting {
    TimePoint until;
    Go go;
  };

  void on_timer() noexcept;

  loop::Loop& loop_;
  size_t inside_ = 0;
  std::deque<Waiting> waiting_;  // all wait equally long, so the first is over first
  loop::Timer timer_;
};

}  // namespace sluice::orders
