#include "sluice/cache/flight.h"

#include <utility>

#include "sluice/base/check.h"

namespace sluice::cache {

// Waiting -----------------------------------------------------------------------------------------

Flight::Flight(const Key& key, uint64_t started, uint32_t workers)
    : key_text_(key.text),
      hash_(key.hash),
      started_(started),
      workers_(workers),
      seats_(std::make_unique<Seat[]>(workers)) {}

bool Flight::wait(FlightWaiter& waiter, loop::Loop& loop, uint32_t worker) noexcept {
  SL_CHECK(!waiter.is_waiting() && worker < workers_);
  if (waiting_.fetch_add(1, std::memory_order_relaxed) >= kMostWaiters) {
    waiting_.fetch_sub(1, std::memory_order_relaxed);
    return false;
  }
  Seat& seat = seats_[worker];
  waiter.flight_ = this;
  waiter.worker_ = worker;
  ref();
  seat.waiters.push_back(waiter);
  seat.loop.store(&loop, std::memory_order_relaxed);
  // In one order with state_: either the filling worker sees who waits, or who waits sees what the
  // filling worker has done.
  seat.count.fetch_add(1, std::memory_order_seq_cst);
  return true;
}

void FlightWaiter::leave() noexcept {
  if (flight_ == nullptr) return;
  Flight* flight = std::exchange(flight_, nullptr);
  ListNode<FlightWaiter>::unlink();
  flight->seats_[worker_].count.fetch_sub(1, std::memory_order_relaxed);
  flight->waiting_.fetch_sub(1, std::memory_order_relaxed);
  flight->unref();
}

// Telling -----------------------------------------------------------------------------------------

void Flight::grow(Ref<Entry> entry) noexcept {
  SL_CHECK(state() == State::asking);
  entry_ = std::move(entry);
  set(State::growing);
  wake();
}

void Flight::end(State state, Error error, int status) noexcept {
  SL_CHECK(state > State::growing && !is_over());
  SL_CHECK(state != State::stored || entry_);
  error_ = error;
  status_ = status;
  set(state);
  wake();
}

void Flight::wake() noexcept {
  for (uint32_t i = 0; i < workers_; ++i) {
    Seat& seat = seats_[i];
    if (seat.count.load(std::memory_order_seq_cst) == 0 || seat.is_told.exchange(true)) continue;
    loop::Loop* loop = seat.loop.load(std::memory_order_relaxed);
    loop->post([self = Ref<Flight>(this), &seat] { self->tell(seat); });
  }
}

// Each who waits now, once; any of them may leave, and others may come, inside the calls.
void Flight::tell(Seat& seat) noexcept {
  seat.is_told.store(false);
  List<FlightWaiter> told;
  told.splice_back(seat.waiters);
  while (FlightWaiter* waiter = told.pop_front()) {
    seat.waiters.push_back(*waiter);
    waiter->on_flight_progress();
  }
}

// The table ---------------------------------------------------------------------------------------

Flights::Joined Flights::join(const Key& key, uint64_t now) {
  Shard& shard = shards_[key.hash.high % kShards];
  const std::lock_guard lock(shard.mutex);
  auto [at, end] = shard.flights.equal_range(key.hash.low);
  for (; at != end; ++at) {
    if (at->second->key_text() == key.text) return {Ref<Flight>(at->second), false};
  }
  auto flight = Ref<Flight>::adopt(new Flight(key, now, workers_));
  shard.flights.emplace(key.hash.low, flight.get());
  flight->ref();
  count_.fetch_add(1, std::memory_order_relaxed);
  return {std::move(flight), true};
}

void Flights::retire(Flight& flight) noexcept {
  Shard& shard = shards_[flight.hash().high % kShards];
  {
    const std::lock_guard lock(shard.mutex);
    auto [at, end] = shard.flights.equal_range(flight.hash().low);
    while (at != end && at->second != &flight) ++at;
    if (at == end) return;
    shard.flights.erase(at);
  }
  count_.fetch_sub(1, std::memory_order_relaxed);
  flight.unref();
}

}  // namespace sluice::cache
