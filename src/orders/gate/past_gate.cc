#include "past_gate.h"

#include <utility>

#include "sluice/base/check.h"

namespace sluice::orders {

void PastGate::enter(Go go) {
  if (inside_ < kAtOnce) {
    ++inside_;
    return go(Ok{});
  }
  if (waiting_.size() >= kWaiting) {
    return go(Error(Errc::kQueueFull, "the stock gate is away, and too many orders wait"));
  }
  waiting_.push_back({loop_.now() + kPatience, std::move(go)});
  if (!timer_.is_set()) timer_.set(waiting_.front().until);
}

void PastGate::leave() {
  SL_CHECK(inside_ > 0);
  --inside_;
  if (waiting_.empty()) return;
  const Go go = std::move(waiting_.front().go);
  waiting_.pop_front();
  ++inside_;
  go(Ok{});
}

void PastGate::on_timer() noexcept {
  timer_.cancel();
  const TimePoint now = loop_.now();
  while (!waiting_.empty() && waiting_.front().until <= now) {
    const Go go = std::move(waiting_.front().go);
    waiting_.pop_front();
    go(Error(Errc::kQueueTimeout, "the stock gate is away, and others were first"));
  }
  if (!waiting_.empty()) timer_.set(waiting_.front().until);
}

}  // namespace sluice::orders
