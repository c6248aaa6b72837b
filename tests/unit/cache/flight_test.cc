// Those who wait for one fill, on loops of their own threads.
#include "sluice/cache/flight.h"

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "entries.h"

using namespace sluice;
using namespace sluice::cache;
using namespace sluice::cache::test;

namespace {

struct Waiter final : FlightWaiter {
  std::function<void()> told = [] {};
  int count = 0;
  void on_flight_progress() noexcept override {
    ++count;
    told();
  }
};

// An entry whose body grows.
struct Filling {
  Ref<Body> body;
  Ref<Entry> entry;
};

Filling make_filling(MemoryBudget& budget, const Key& key) {
  Filling made;
  made.body = Body::make(budget, std::nullopt);
  REQUIRE(made.body);
  const EntryPart part{0, made.body};
  EntrySpec spec;
  spec.key = key;
  spec.status = 200;
  spec.reason = "OK";
  spec.parts = {&part, 1};
  made.entry = Entry::make(budget, spec);
  REQUIRE(made.entry);
  return made;
}

void turn(loop::Loop& loop) {
  for (int i = 0; i < 4; ++i) loop.run_once(false);
}

}  // namespace

TEST_CASE("cache/flight: the first of a key fetches, others join it until it is finished") {
  Memory memory;
  Flights flights(1);
  const Key key = memory.key("/a"), other = memory.key("/b");
  Flights::Joined first = flights.join(key, 0);
  CHECK(first.is_first);
  CHECK_FALSE(flights.join(key, 0).is_first);
  CHECK(flights.join(key, 0).flight.get() == first.flight.get());
  Flights::Joined second = flights.join(other, 0);
  CHECK(second.is_first);
  CHECK(flights.count() == 2);
  flights.finish(*first.flight);
  first.flight->end(Flight::State::refused);
  Flights::Joined again = flights.join(key, 0);
  CHECK(again.is_first);
  CHECK(again.flight.get() != first.flight.get());
  flights.finish(*again.flight);
  flights.finish(*second.flight);
  CHECK(flights.count() == 0);
}

TEST_CASE("cache/flight: keys of one hash are kept apart by their texts") {
  Memory memory;
  Flights flights(1);
  const Key key = memory.key("/a");
  Key twin = memory.key("/b");
  twin.hash = key.hash;
  Flights::Joined first = flights.join(key, 0), second = flights.join(twin, 0);
  CHECK(second.is_first);
  CHECK(flights.join(twin, 0).flight.get() == second.flight.get());
  flights.finish(*second.flight);
  CHECK_FALSE(flights.join(key, 0).is_first);
  flights.finish(*first.flight);
}

TEST_CASE("cache/flight: who waits is told once a turn, however much came") {
  Memory memory;
  MemoryBudget budget(1 << 20);
  loop::Loop loop;
  auto flight = Ref<Flight>::adopt(new Flight(memory.key("/a"), 0, 1));
  Waiter waiter;
  REQUIRE(flight->wait(waiter, loop, 0));
  CHECK(waiter.is_waiting());
  turn(loop);
  CHECK(waiter.count == 0);
  Filling filling = make_filling(budget, memory.key("/a"));
  flight->grow(filling.entry);
  for (int i = 0; i < 10; ++i) flight->note_growth();
  CHECK(waiter.count == 0);  // never inside the call
  turn(loop);
  CHECK(waiter.count == 1);
  CHECK(flight->state() == Flight::State::growing);
  flight->note_growth();
  turn(loop);
  CHECK(waiter.count == 2);
  REQUIRE(filling.body->complete());
  flight->end(Flight::State::stored);
  turn(loop);
  CHECK(waiter.count == 3);
  CHECK(flight->is_over());
  waiter.leave();
  CHECK_FALSE(waiter.is_waiting());
}

TEST_CASE("cache/flight: what happens while they are told is told again") {
  Memory memory;
  loop::Loop loop;
  auto flight = Ref<Flight>::adopt(new Flight(memory.key("/a"), 0, 1));
  Waiter waiter;
  waiter.told = [&] {
    if (waiter.count == 1) flight->end(Flight::State::failed, Error(Errc::kResponseIncomplete));
  };
  REQUIRE(flight->wait(waiter, loop, 0));
  flight->note_growth();
  turn(loop);
  CHECK(waiter.count == 2);
  CHECK(flight->error().code() == Errc::kResponseIncomplete);
}

TEST_CASE("cache/flight: inside a call any may leave and others may come") {
  Memory memory;
  loop::Loop loop;
  auto flight = Ref<Flight>::adopt(new Flight(memory.key("/a"), 0, 1));
  Waiter first, second, third, late;
  for (Waiter* each : {&first, &second, &third}) REQUIRE(flight->wait(*each, loop, 0));
  first.told = [&] {
    second.leave();
    first.leave();
    if (!late.is_waiting()) REQUIRE(flight->wait(late, loop, 0));
  };
  flight->note_growth();
  turn(loop);
  CHECK(first.count == 1);
  CHECK(second.count == 0);
  CHECK(third.count == 1);
  CHECK(late.count == 0);  // looks at the state itself
  flight->note_growth();
  turn(loop);
  CHECK(first.count == 1);
  CHECK(third.count == 2);
  CHECK(late.count == 1);
}

TEST_CASE("cache/flight: a waiter that goes away has left, and nobody is told after all left") {
  Memory memory;
  loop::Loop loop;
  auto flight = Ref<Flight>::adopt(new Flight(memory.key("/a"), 0, 1));
  {
    Waiter waiter;
    REQUIRE(flight->wait(waiter, loop, 0));
    flight->note_growth();  // told, but gone before the turn comes
  }
  turn(loop);
  flight->end(Flight::State::refused);
  turn(loop);
  CHECK(flight->state() == Flight::State::refused);
}

TEST_CASE("cache/flight: waiters are bounded, and a place that was left can be taken") {
  Memory memory;
  loop::Loop loop;
  auto flight = Ref<Flight>::adopt(new Flight(memory.key("/a"), 0, 1));
  std::vector<Waiter> waiters(Flight::kMostWaiters);
  size_t placed = 0;
  for (Waiter& waiter : waiters) placed += flight->wait(waiter, loop, 0) ? 1 : 0;
  CHECK(placed == waiters.size());
  Waiter more;
  CHECK_FALSE(flight->wait(more, loop, 0));
  CHECK_FALSE(more.is_waiting());
  waiters.front().leave();
  CHECK(flight->wait(more, loop, 0));
}

TEST_CASE("cache/flight: two loops in two threads read all of a body that a third fills") {
  constexpr int kPieces = 2000;
  const std::string piece(100, 'x');
  for (int round = 0; round < 20; ++round) {
    Memory memory;
    MemoryBudget budget(16 << 20);
    auto flight = Ref<Flight>::adopt(new Flight(memory.key("/a"), 0, 2));
    Filling filling = make_filling(budget, memory.key("/a"));
    std::atomic<int> ready{0};
    std::atomic<uint64_t> read[2] = {0, 0};
    const auto follow = [&](uint32_t worker) {
      loop::Loop loop;
      loop.set_resident(true);
      Waiter waiter;
      uint64_t seen = 0;
      waiter.told = [&] {
        if (flight->state() == Flight::State::asking) return;
        seen = flight->entry()->parts()[0].body->size();
        if (!flight->is_over()) return;
        waiter.leave();
        loop.stop();
      };
      if (!flight->wait(waiter, loop, worker)) return;
      ++ready;
      waiter.told();  // what came before is not told
      if (waiter.is_waiting()) loop.run();
      read[worker] = seen;
    };
    {
      std::jthread one(follow, 0), two(follow, 1);
      if (round % 2 == 0) {  // else they come while it grows, or after
        while (ready < 2) std::this_thread::yield();
      }
      flight->grow(filling.entry);
      for (int i = 0; i < kPieces; ++i) {
        CHECK(filling.body->append(piece));
        flight->note_growth();
      }
      CHECK(filling.body->complete());
      flight->end(Flight::State::stored);
    }
    CHECK(read[0] == kPieces * piece.size());
    CHECK(read[1] == kPieces * piece.size());
  }
}
