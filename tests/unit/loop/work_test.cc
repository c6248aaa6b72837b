#include "sluice/loop/work.h"

#include <doctest/doctest.h>
#include <signal.h>

#include <atomic>
#include <optional>
#include <thread>

#include "sluice/loop/poll.h"
#include "sluice/loop/resolver.h"
#include "sluice/loop/signals.h"
#include "support.h"

using namespace sluice;
using namespace sluice::loop;
using namespace sluice::loop::test;

using Answer = std::optional<Result<std::vector<SocketAddress>>>;

TEST_CASE("loop/resolver: localhost has addresses, each once, with the port") {
  Loop loop;
  Answer answer;
  auto lookup = resolve(loop, "localhost", 8080, [&](auto result) { answer.emplace(result); });
  CHECK_FALSE(answer);
  REQUIRE(run_until(loop, [&] { return answer.has_value(); }));
  REQUIRE(*answer);
  std::vector<SocketAddress> addresses = **answer;
  REQUIRE_FALSE(addresses.empty());
  for (size_t i = 0; i < addresses.size(); ++i) {
    CHECK(addresses[i].port() == 8080);
    for (size_t j = 0; j < i; ++j) CHECK_FALSE(addresses[i] == addresses[j]);
  }
}

TEST_CASE("loop/resolver: a number is answered without a look-up, but later") {
  Loop loop;
  Answer answer;
  auto lookup = resolve(loop, "::1", 53, [&](auto result) { answer.emplace(result); });
  CHECK_FALSE(answer);
  REQUIRE(run_until(loop, [&] { return answer.has_value(); }));
  std::vector<SocketAddress> addresses = **answer;
  REQUIRE(addresses.size() == 1);
  CHECK(addresses[0].to_string() == "[::1]:53");
}

TEST_CASE("loop/resolver: a name that cannot be is kDnsFailed with a text, later") {
  for (std::string name : {std::string("no-such-name.invalid"), std::string(300, 'x'),
                           std::string("white space"), std::string()}) {
    Loop loop;
    Answer answer;
    auto lookup = resolve(loop, name, 80, [&](auto result) { answer.emplace(result); });
    CHECK_FALSE(answer);
    REQUIRE(run_until(loop, [&] { return answer.has_value(); }));
    REQUIRE_FALSE(*answer);
    CHECK(answer->error().code() == Errc::kDnsFailed);
    CHECK_FALSE(std::string(answer->error().text()).empty());
  }
}

TEST_CASE("loop/resolver: a destroyed look-up never calls, and may be destroyed in its call") {
  Loop loop;
  int calls = 0;
  resolve(loop, "localhost", 80, [&](auto) { ++calls; }).reset();
  resolve(loop, "127.0.0.1", 80, [&](auto) { ++calls; }).reset();
  std::unique_ptr<Lookup> own;
  own = resolve(loop, "localhost", 80, [&](auto) {
    own.reset();
    ++calls;
  });
  REQUIRE(run_until(loop, [&] { return own == nullptr; }));
  loop.run();
  CHECK(calls == 1);
}

TEST_CASE("loop/work: runs elsewhere, and is done here") {
  Loop loop;
  std::thread::id here = std::this_thread::get_id(), there, back;
  int result = 0, seen = 0;
  auto work = run_work(
      loop,
      [&] {
        there = std::this_thread::get_id();
        result = 42;
      },
      [&] {
        back = std::this_thread::get_id();
        seen = result;
      });
  loop.run();
  CHECK(there != here);
  CHECK(back == here);
  CHECK(seen == 42);
}

TEST_CASE("loop/work: destroyed before, during or in its end") {
  Loop loop;
  std::atomic<bool> has_begun{false}, may_end{false};
  int calls = 0;
  auto running = run_work(
      loop,
      [&] {
        has_begun = true;
        while (!may_end) std::this_thread::yield();
      },
      [&] { ++calls; });
  while (!has_begun) std::this_thread::yield();
  running.reset();
  run_work(
      loop, [] {}, [&] { ++calls; })
      .reset();
  may_end = true;
  std::unique_ptr<Work> own;
  own = run_work(
      loop, [] {},
      [&] {
        own.reset();
        ++calls;
      });
  loop.run();
  CHECK(calls == 1);
}

TEST_CASE("loop/work: a loop waits at its end for work that runs") {
  std::atomic<bool> has_begun{false}, may_end{false}, has_ended{false};
  std::thread release;
  {
    Loop loop;
    auto work = run_work(
        loop,
        [&] {
          has_begun = true;
          while (!may_end) std::this_thread::yield();
          has_ended = true;
        },
        [] {});
    while (!has_begun) std::this_thread::yield();
    work.reset();
    release = std::thread([&] { may_end = true; });
  }
  CHECK(has_ended);
  release.join();
}

TEST_CASE("loop/poll: tells readable and writable, level-triggered") {
  Loop loop;
  int fds[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
  {
    int reads = 0, writes = 0;
    Poll poll(loop, fds[0], [&](bool readable, bool writable) {
      reads += readable;
      writes += writable;
    });
    settle(loop);
    CHECK(reads + writes == 0);
    poll.want(false, true);
    REQUIRE(run_until(loop, [&] { return writes >= 2; }));
    CHECK(reads == 0);
    poll.want(true, false);
    writes = 0;
    settle(loop);
    CHECK(reads + writes == 0);
    REQUIRE(::send(fds[1], "x", 1, 0) == 1);
    REQUIRE(run_until(loop, [&] { return reads >= 2; }));
    poll.want(false, false);
    reads = 0;
    settle(loop);
    CHECK(reads == 0);
    CHECK_FALSE(loop.run_once(false));
  }
  ::close(fds[0]);
  ::close(fds[1]);
}

TEST_CASE("loop/poll: an error on the descriptor wakes whoever waits, again and again") {
  Loop loop;
  TcpFds fds;
  {
    int reads = 0;
    Poll poll(loop, fds.one, [&](bool readable, bool) { reads += readable; });
    poll.want(true, false);
    reset_and_close(fds.other);
    REQUIRE(run_until(loop, [&] { return reads >= 3; }));
  }
  ::close(fds.one);
}

TEST_CASE("loop/poll: destroyed inside its callback, the descriptor closed after it") {
  Loop loop;
  int fds[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
  std::string kept(100, 'k');  // the callback's own state outlives the Poll
  std::unique_ptr<Poll> poll;
  size_t seen = 0;
  poll = std::make_unique<Poll>(loop, fds[0], [&, kept](bool, bool) {
    poll.reset();
    ::close(fds[0]);
    seen = kept.size();
  });
  poll->want(true, true);
  REQUIRE(run_until(loop, [&] { return seen == 100; }));
  settle(loop);
  ::close(fds[1]);
}

TEST_CASE("loop/signals: come as events, and not any more once destroyed") {
  Loop loop;
  std::vector<int> got;
  auto signals = std::make_unique<Signals>(loop, std::initializer_list<int>{SIGUSR1, SIGUSR2},
                                           [&](int number) { got.push_back(number); });
  raise(SIGUSR1);
  REQUIRE(run_until(loop, [&] { return got.size() == 1; }));
  raise(SIGUSR2);
  REQUIRE(run_until(loop, [&] { return got.size() == 2; }));
  CHECK(got == std::vector<int>{SIGUSR1, SIGUSR2});
  // Another one keeps the handler in place.
  bool is_other_told = false;
  std::unique_ptr<Signals> other;
  other = std::make_unique<Signals>(loop, std::initializer_list<int>{SIGUSR1}, [&](int) {
    other.reset();
    is_other_told = true;
  });
  signals.reset();
  raise(SIGUSR1);
  REQUIRE(run_until(loop, [&] { return is_other_told; }));
  CHECK(got.size() == 2);
}
