#include "sluice/loop/timer.h"

#include <doctest/doctest.h>

#include <memory>
#include <vector>

#include "src/loop/timer_wheel.h"
#include "support.h"

using namespace sluice;
using namespace sluice::loop;
using namespace sluice::loop::test;
using namespace std::chrono_literals;

namespace {

// A wheel on a clock of its own. Timer::set() hangs a timer on its loop's wheel; hang() takes it
// over.
struct FakeTime final : TimerWheel::Driver {
  explicit FakeTime(Duration tick) : wheel(tick, *this) {}
  void arm(TimePoint at) noexcept override { armed = at; }
  void disarm() noexcept override { armed = TimePoint{}; }

  // Goes on to when the wheel asked to be woken; false when it did not ask.
  bool step() {
    if (armed == TimePoint{}) return false;
    now = std::max(now, armed);
    ++wakes;
    wheel.advance(now);
    return true;
  }

  TimePoint now{Duration(1'000'000'007)};
  TimePoint armed{};
  int wakes = 0;
  TimerWheel wheel;
};

struct Entry {
  Entry(Loop& loop, FakeTime& on, std::vector<int>& out, int number)
      : time(on), fired(out), id(number), timer(Timer::make<&Entry::fire>(loop, this)) {}
  void hang(Duration after) {
    deadline = time.now + after;
    timer.set(deadline);
    time.wheel.hang(timer, time.now);
  }
  void fire() noexcept {
    fired.push_back(id);
    fired_at = time.now;
    if (action) action();
  }

  FakeTime& time;
  std::vector<int>& fired;
  int id;
  std::function<void()> action;
  TimePoint deadline{}, fired_at{};
  Timer timer;
};

struct Alarm {
  explicit Alarm(Loop& loop) : timer(Timer::make<&Alarm::ring>(loop, this)) {}
  void ring() noexcept {
    ++rings;
    rang_at = monotonic_now();
    if (action) action();
  }
  int rings = 0;
  TimePoint rang_at{};
  std::function<void()> action;
  Timer timer;
};

}  // namespace

TEST_CASE("loop/timer: never early, at most a tick late, near or beyond a revolution") {
  Loop loop;
  FakeTime time(10ms);
  std::vector<int> fired;
  std::vector<std::unique_ptr<Entry>> entries;
  const Duration kAfter[] = {0ms,     1ns,    1ms,    10ms, 11ms,  100ms,  5110ms,
                             5119ms,  5120ms, 5121ms, 6s,   10s,   60s,    3600s,
                             10240ms, 24h,    9999ms, 512s, 511ms, 4321ms, 77ms};
  for (Duration after : kAfter) {
    int id = static_cast<int>(entries.size());
    entries.push_back(std::make_unique<Entry>(loop, time, fired, id));
    entries.back()->hang(after);
  }
  while (time.step()) {
  }
  CHECK(fired.size() == entries.size());
  CHECK(time.wheel.size() == 0);
  TimePoint last{};
  for (int id : fired) {
    const Entry& entry = *entries[static_cast<size_t>(id)];
    CHECK(entry.fired_at >= entry.deadline);
    CHECK(entry.fired_at - entry.deadline <= 20ms);  // one set for now waits for the next tick
    CHECK(entry.fired_at >= last);
    last = entry.fired_at;
  }
}

TEST_CASE("loop/timer: a deadline of 60 s wakes the process a dozen times, not each tick") {
  Loop loop;
  FakeTime time(10ms);
  std::vector<int> fired;
  Entry entry(loop, time, fired, 1);
  entry.hang(60s);
  while (time.step()) {
  }
  CHECK(fired.size() == 1);
  CHECK(time.wakes <= 13);
}

TEST_CASE("loop/timer: a later deadline costs no list operation, and holds") {
  Loop loop;
  FakeTime time(10ms);
  std::vector<int> fired;
  Entry entry(loop, time, fired, 1);
  entry.hang(50ms);
  TimePoint armed = time.armed;
  for (int i = 0; i < 100; ++i) entry.timer.set(time.now + 1s + i * 1ms);
  CHECK(time.armed == armed);
  CHECK(time.wheel.size() == 1);
  REQUIRE(time.step());
  CHECK(fired.empty());
  while (time.step()) {
  }
  CHECK(fired.size() == 1);
  CHECK(entry.fired_at >= TimePoint{Duration(1'000'000'007)} + 1099ms);
  CHECK(time.wakes == 2);
}

TEST_CASE("loop/timer: an earlier deadline moves the entry") {
  Loop loop;
  FakeTime time(10ms);
  std::vector<int> fired;
  Entry entry(loop, time, fired, 1);
  entry.hang(4s);
  entry.hang(30ms);
  CHECK(time.wheel.size() == 1);
  REQUIRE(time.step());
  CHECK(fired.size() == 1);
  CHECK(entry.fired_at - entry.deadline <= 10ms);
  CHECK_FALSE(time.step());
}

TEST_CASE("loop/timer: a cancelled entry is unlinked when it comes up; one destroyed, at once") {
  Loop loop;
  FakeTime time(10ms);
  std::vector<int> fired;
  Entry cancelled(loop, time, fired, 1);
  cancelled.hang(50ms);
  cancelled.timer.cancel();
  CHECK_FALSE(cancelled.timer.is_set());
  {
    Entry destroyed(loop, time, fired, 2);
    destroyed.hang(20ms);
    CHECK(time.wheel.size() == 2);
  }
  CHECK(time.wheel.size() == 1);
  while (time.step()) {
  }
  CHECK(fired.empty());
  CHECK(time.wheel.size() == 0);
  cancelled.hang(20ms);
  REQUIRE(time.step());
  CHECK(fired == std::vector<int>{1});
}

TEST_CASE("loop/timer: with the last entry destroyed nothing is armed") {
  Loop loop;
  FakeTime time(10ms);
  std::vector<int> fired;
  {
    Entry entry(loop, time, fired, 1);
    entry.hang(1s);
    CHECK(time.armed != TimePoint{});
  }
  CHECK(time.armed == TimePoint{});
}

TEST_CASE("loop/timer: set from the callback, for itself and for others") {
  Loop loop;
  FakeTime time(10ms);
  std::vector<int> fired;
  Entry first(loop, time, fired, 1), second(loop, time, fired, 2);
  first.action = [&] {
    if (fired.size() < 5) first.hang(0ms);
    if (fired.size() == 1) second.hang(6s);
  };
  first.hang(20ms);
  while (time.step()) {
  }
  CHECK(fired == std::vector<int>{1, 1, 1, 1, 1, 2});
  CHECK(second.fired_at >= second.deadline);
}

TEST_CASE("loop/timer: one callback destroys another due timer") {
  Loop loop;
  FakeTime time(10ms);
  std::vector<int> fired;
  Entry first(loop, time, fired, 1);
  auto second = std::make_unique<Entry>(loop, time, fired, 2);
  first.action = [&] { second.reset(); };
  first.hang(15ms);
  second->hang(15ms);
  while (time.step()) {
  }
  CHECK(fired == std::vector<int>{1});
}

TEST_CASE(
    "loop/timer: after a long sleep everything due fires once, in order, and the rest waits") {
  Loop loop;
  FakeTime time(10ms);
  std::vector<int> fired;
  Entry a(loop, time, fired, 1), b(loop, time, fired, 2), c(loop, time, fired, 3);
  c.hang(5s);
  a.hang(20ms);
  b.hang(3s);
  Entry far(loop, time, fired, 4);
  far.hang(100s);
  time.now += 90s;
  time.wheel.advance(time.now);
  CHECK(fired == std::vector<int>{1, 2, 3});
  while (time.step()) {
  }
  CHECK(fired.size() == 4);
  CHECK(far.fired_at >= far.deadline);
}

TEST_CASE("loop/timer: an entry hung late in a revolution gets a whole one of its own") {
  Loop loop;
  FakeTime time(10ms);
  std::vector<int> fired;
  Entry early(loop, time, fired, 1), late(loop, time, fired, 2);
  early.hang(5s);
  time.now += 4900ms;  // nothing was due, so the wheel was not called
  late.hang(4s);
  while (time.step()) {
  }
  CHECK(fired == std::vector<int>{1, 2});
  CHECK(time.wakes == 2);
  CHECK(late.fired_at >= late.deadline);
}

TEST_CASE("loop/timer: a near entry moved far away leaves the wheel of 1 ms") {
  Loop loop;
  FakeTime fine_time(1ms), time(10ms);
  TimerWheel fine(1ms, fine_time);
  TimerWheel coarse(10ms, time, &fine);
  Alarm alarm(loop);
  TimePoint now{Duration(1'000'000'007)};
  alarm.timer.set(now + 20ms);
  coarse.hang(alarm.timer, now);
  CHECK(fine.size() == 1);
  alarm.timer.set(now + 60s);
  now = fine_time.armed;
  fine.advance(now);
  CHECK(fine.size() == 0);
  CHECK(coarse.size() == 1);
  while (coarse.size() == 1) coarse.advance(now = time.armed);
  CHECK(alarm.rings == 1);
  CHECK(now >= TimePoint{Duration(1'000'000'007)} + 60s);
  CHECK(now <= TimePoint{Duration(1'000'000'007)} + 60s + 10ms);
}

TEST_CASE("loop/timer: on a real loop, never early, and run() ends when none is left") {
  Loop loop;
  std::vector<std::unique_ptr<Alarm>> alarms;
  std::vector<TimePoint> deadlines;
  for (int ms : {1, 3, 7, 30, 99, 101, 130}) {
    alarms.push_back(std::make_unique<Alarm>(loop));
    alarms.back()->timer.set_after(ms * 1ms);
    deadlines.push_back(alarms.back()->timer.deadline());
  }
  loop.run();
  for (size_t i = 0; i < alarms.size(); ++i) {
    CHECK(alarms[i]->rings == 1);
    CHECK(alarms[i]->rang_at >= deadlines[i]);
    CHECK_FALSE(alarms[i]->timer.is_set());
  }
}

TEST_CASE("loop/timer: a deadline that has passed fires in a turn, not inside set()") {
  Loop loop;
  Alarm alarm(loop);
  alarm.timer.set(loop.now() - 5s);
  CHECK(alarm.rings == 0);
  loop.run();
  CHECK(alarm.rings == 1);
}

TEST_CASE("loop/timer: a periodic timer on a real loop") {
  Loop loop;
  Alarm alarm(loop);
  alarm.action = [&] {
    if (alarm.rings < 5) alarm.timer.set_after(2ms);
  };
  TimePoint begin = monotonic_now();
  alarm.timer.set_after(2ms);
  loop.run();
  CHECK(alarm.rings == 5);
  CHECK(alarm.rang_at - begin >= 10ms);
}

TEST_CASE("loop/timer: a turn that ended late does not keep a due timer from firing") {
  struct SlowEnd final : Loop::TurnEnd {
    explicit SlowEnd(Loop& on) : loop(on) {}
    void on_turn_end() noexcept override {
      TimePoint from = loop.now();
      while (monotonic_now() - from < 10ms) {
      }
    }
    Loop& loop;
  };
  Loop loop;
  SlowEnd slow(loop);
  Alarm alarm(loop);
  alarm.timer.set_after(3ms);
  loop.at_turn_end(slow);
  loop.run();
  CHECK(alarm.rings == 1);
}
