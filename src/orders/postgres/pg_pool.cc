#include "sluice/orders/postgres/pg_pool.h"

#include <algorithm>
#include <utility>

#include "sluice/base/log.h"

namespace sluice::orders {

PgPool::PgPool(loop::Loop& loop, PgAddress address)
    : loop_(loop),
      address_(std::move(address)),
      timer_(loop::Timer::make<&PgPool::on_timer>(loop_, this)) {
  PgEvents& events = *this;
  for (size_t i = 0; i < address_.connections; ++i) {
    connections_.push_back(std::make_unique<PgConnection>(loop_, address_, events));
  }
}

void PgPool::start() {
  for (const auto& connection : connections_) connection->start();
}

bool PgPool::is_up() const noexcept {
  return std::ranges::any_of(connections_, [](const auto& each) { return each->is_up(); });
}

void PgPool::run(PgSteps steps, TimePoint deadline, PgConnection::Done done) {
  if (PgConnection* connection = free_connection(); connection != nullptr) {
    return connection->run(steps, deadline, std::move(done));
  }
  const TimePoint now = loop_.now();
  PgFault fault = PgFault::kNoTurn;
  if (down_since_ != TimePoint{} && now - down_since_ >= kDownAfter) {
    fault = PgFault::kDown;
  } else if (waiting_.size() >= kRoom) {
    fault = PgFault::kFull;
  }
  wait({std::move(steps), fault == PgFault::kNoTurn ? deadline : now, std::move(done), fault});
}

PgConnection* PgPool::free_connection() noexcept {
  const auto found = std::ranges::find_if(
      connections_, [](const auto& each) { return each->state() == PgConnection::State::kReady; });
  return found == connections_.end() ? nullptr : found->get();
}

void PgPool::wait(Call call) {
  if (!timer_.is_set() || call.deadline < timer_.deadline()) timer_.set(call.deadline);
  waiting_.push_back(std::move(call));
}

// One that is over already waits only to be told so.
void PgPool::on_pg_ready(PgConnection& connection) noexcept {
  down_since_ = TimePoint{};
  const TimePoint now = loop_.now();
  const auto next =
      std::ranges::find_if(waiting_, [now](const Call& call) { return call.deadline > now; });
  if (next == waiting_.end()) return;
  Call call = std::move(*next);
  waiting_.erase(next);
  connection.run(call.steps, call.deadline, std::move(call.done));
}

void PgPool::on_pg_lost(PgConnection&, std::string_view why) noexcept {
  static LogLimiter limiter;
  log_limited(limiter, LogLevel::warn, "postgres", "{}: {}", address_.text, why);
  if (!is_up() && down_since_ == TimePoint{}) down_since_ = loop_.now();
}

void PgPool::on_timer() noexcept {
  const TimePoint now = loop_.now();
  const auto is_over = [now](const Call& call) { return call.deadline <= now; };
  std::deque<Call> over;
  for (Call& call : waiting_) {
    if (is_over(call)) over.push_back(std::move(call));
  }
  std::erase_if(waiting_, [&](const Call& call) { return is_over(call); });
  TimePoint next{};
  for (const Call& call : waiting_) {
    next = next == TimePoint{} ? call.deadline : std::min(next, call.deadline);
  }
  if (next != TimePoint{}) timer_.set(next);
  const bool is_down = !is_up();
  for (Call& call : over) {
    PgReply reply;
    const bool is_waiting = call.fault == PgFault::kNoTurn;
    reply.failure.fault = is_waiting && is_down ? PgFault::kDown : call.fault;
    call.done(std::move(reply));
  }
}

}  // namespace sluice::orders
