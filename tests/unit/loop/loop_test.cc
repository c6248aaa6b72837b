#include "sluice/loop/loop.h"

#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "support.h"

using namespace sluice;
using namespace sluice::loop;
using namespace sluice::loop::test;

namespace {

struct Counted final : Buried {
  explicit Counted(int& count) : gone(count) {}
  ~Counted() override { ++gone; }
  int& gone;
  std::function<void()> last;
  void dispose() noexcept override {
    if (last) last();
    delete this;
  }
};

struct Hook final : Loop::TurnEnd {
  std::function<void()> action;
  int calls = 0;
  void on_turn_end() noexcept override {
    ++calls;
    if (action) action();
  }
};

}  // namespace

TEST_CASE("loop/loop: with nothing to wait for run() returns") {
  Loop loop;
  loop.run();
  CHECK_FALSE(loop.run_once(true));
}

TEST_CASE("loop/loop: stop() before run() counts, once") {
  Loop loop;
  loop.set_resident(true);
  loop.stop();
  loop.run();
  int ran = 0;
  loop.post([&] {
    ++ran;
    loop.stop();
  });
  loop.run();
  CHECK(ran == 1);
}

TEST_CASE("loop/loop: a resident loop ends by stop() only, from another thread too") {
  Loop loop;
  loop.set_resident(true);
  std::thread other([&] { loop.stop(); });
  loop.run();
  other.join();
}

TEST_CASE("loop/loop: posted tasks run in order, and what they post runs too") {
  Loop loop;
  std::vector<int> order;
  loop.post([&] {
    order.push_back(1);
    loop.post([&] { order.push_back(3); });
  });
  loop.post([&] { order.push_back(2); });
  CHECK(order.empty());
  loop.run();
  CHECK(order == std::vector<int>{1, 2, 3});
}

TEST_CASE("loop/loop: tasks from threads all run, each thread's in its order") {
  Loop loop;
  loop.set_resident(true);
  constexpr int kThreads = 3, kTasks = 2000;
  int next[kThreads] = {};
  int done = 0;
  bool is_in_order = true;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kTasks; ++i) {
        loop.post([&, t, i] {
          is_in_order = is_in_order && next[t]++ == i;
          if (++done == kThreads * kTasks) loop.stop();
        });
      }
    });
  }
  loop.run();
  for (auto& thread : threads) thread.join();
  CHECK(done == kThreads * kTasks);
  CHECK(is_in_order);
}

TEST_CASE("loop/loop: tasks that never ran are destroyed with the loop") {
  auto held = std::make_shared<int>(0);
  {
    Loop loop;
    loop.post([held] { ++*held; });
    CHECK(held.use_count() == 2);
  }
  CHECK(held.use_count() == 1);
  CHECK(*held == 0);
}

TEST_CASE("loop/loop: a buried object goes after the callback, also when buried by a burial") {
  Loop loop;
  int gone = 0;
  loop.post([&] {
    auto* first = new Counted(gone);
    first->last = [&] { loop.bury(new Counted(gone)); };
    loop.bury(first);
    CHECK(gone == 0);
  });
  loop.run();
  CHECK(gone == 2);
}

TEST_CASE("loop/loop: what is buried outside of run() goes with the loop") {
  int gone = 0;
  {
    Loop loop;
    loop.bury(new Counted(gone));
    CHECK(gone == 0);
  }
  CHECK(gone == 1);
}

TEST_CASE("loop/loop: an object is buried inside a stream's event") {
  struct Connection final : Buried, StreamEvents {
    Connection(Loop& on, std::unique_ptr<Stream> over, int& count)
        : loop(on), stream(std::move(over)), gone(count) {}
    ~Connection() override { ++gone; }
    void on_read(Slice) noexcept override {
      loop.bury(this);
      CHECK(gone == 0);
    }
    void on_eof() noexcept override {}
    void on_drained() noexcept override {}
    void on_broken(Error) noexcept override {}
    Loop& loop;
    std::unique_ptr<Stream> stream;
    int& gone;
  };
  Loop loop;
  RawPair pair(loop);
  int gone = 0;
  auto* connection = new Connection(loop, std::move(pair.stream), gone);
  connection->stream->start(connection);
  pair.send("x");
  REQUIRE(run_until(loop, [&] { return gone == 1; }));
}

TEST_CASE("loop/loop: a turn-end hook runs once, before the burial of the same turn") {
  Loop loop;
  Hook hook;
  int gone = 0, gone_at_hook = -1;
  hook.action = [&] { gone_at_hook = gone; };
  loop.post([&] {
    loop.bury(new Counted(gone));
    loop.at_turn_end(hook);
    loop.at_turn_end(hook);
    CHECK(hook.calls == 0);
  });
  loop.run();
  CHECK(hook.calls == 1);
  CHECK(gone_at_hook == 0);
  CHECK(gone == 1);
}

TEST_CASE("loop/loop: a hook asked for outside of run() keeps the loop until it ran") {
  Loop loop;
  Hook hook;
  loop.at_turn_end(hook);
  loop.run();
  CHECK(hook.calls == 1);
}

TEST_CASE("loop/loop: a destroyed hook is forgotten") {
  Loop loop;
  Hook first;
  auto second = std::make_unique<Hook>();
  int calls = 0;
  second->action = [&] { ++calls; };
  first.action = [&] { second.reset(); };
  loop.at_turn_end(first);
  loop.at_turn_end(*second);
  loop.run();
  CHECK(first.calls == 1);
  CHECK(calls == 0);
}

TEST_CASE("loop/loop: a hook that asks for itself again and again does not hold up the loop") {
  Loop loop;
  Hook hook;
  bool is_over = false;
  hook.action = [&] {
    if (!is_over) loop.at_turn_end(hook);
  };
  Timer timer(
      loop, [](void* flag) noexcept { *static_cast<bool*>(flag) = true; }, &is_over);
  timer.set_after(std::chrono::milliseconds(5));
  loop.at_turn_end(hook);
  loop.run();
  CHECK(is_over);
  CHECK(hook.calls > 16);
}

TEST_CASE("loop/loop: now() stands still within a callback and goes on between turns") {
  Loop loop;
  TimePoint first, second;
  bool is_still = false;
  loop.post([&] {
    first = loop.now();
    while (monotonic_now() - first < std::chrono::milliseconds(3)) {
    }
    is_still = loop.now() == first;
    loop.post([&] { second = loop.now(); });
  });
  loop.run();
  CHECK(is_still);
  CHECK(second - first >= std::chrono::milliseconds(3));
  TimePoint outside = loop.now();
  CHECK(outside <= monotonic_now());
}

TEST_CASE("loop/loop: latest() is now(), or what the clock was read to be since") {
  Loop loop;
  loop.post([&] {
    const TimePoint turn = loop.now();
    CHECK(loop.latest() == turn);
    while (monotonic_now() == turn) {
    }
    const TimePoint read = loop.read_clock();
    CHECK(read > turn);
    CHECK(loop.latest() == read);
    CHECK(loop.now() == turn);
    loop.post([&loop, read] { CHECK(loop.latest() >= read); });
  });
  loop.run();
}

TEST_CASE("loop/loop: now() in an event is not the time before the wait") {
  Loop loop;
  RawPair pair(loop);
  Recorder events;
  pair.stream->start(&events);
  TimePoint sent, seen;
  events.when_read = [&](const Slice&) { seen = loop.now(); };
  std::thread sender;
  loop.post([&] {
    loop.now();
    sender = std::thread([&] {
      TimePoint begin = monotonic_now();
      while ((sent = monotonic_now()) - begin < std::chrono::milliseconds(5)) {
      }
      ::send(pair.fd, "x", 1, 0);
    });
  });
  REQUIRE(run_until(loop, [&] { return events.reads == 1; }));
  sender.join();
  CHECK(seen >= sent);
}

TEST_CASE("loop/loop: a busy callback shows in take_lag()") {
  Loop loop;
  Timer timer(
      loop,
      [](void*) noexcept {
        TimePoint begin = monotonic_now();
        while (monotonic_now() - begin < std::chrono::milliseconds(20)) {
        }
      },
      nullptr);
  timer.set_after(std::chrono::milliseconds(2));
  loop.run();
  CHECK(loop.take_lag() >= std::chrono::milliseconds(20));
  CHECK(loop.take_lag() == Duration{});
}
