#include "sluice/base/log.h"

#include <doctest/doctest.h>

#include <string>

#include "sluice/base/log_ring.h"
#include "tests/unit/base/helpers.h"

using namespace sluice;
using namespace std::chrono_literals;

namespace {

// This thread's lines go to a ring while it lives.
class Captured {
 public:
  explicit Captured(size_t capacity = 64 * 1024) : ring_(capacity) { log_attach(&ring_); }
  ~Captured() { log_attach(nullptr); }
  Captured(const Captured&) = delete;
  Captured& operator=(const Captured&) = delete;
  std::string take() {
    const LogRing::Spans spans = ring_.peek();
    std::string text = std::string(spans.first).append(spans.second);
    ring_.release(spans);
    return text;
  }
  LogRing& ring() { return ring_; }

 private:
  LogRing ring_;
};

TimePoint at(Duration since) { return TimePoint(1h) + since; }

}  // namespace

TEST_CASE(
    "base/log: a line has level, component and text, and a level below the set one is not made") {
  Captured log;
  log_info("worker", "{} of {}", 1, 2);
  log_debug("worker", "hidden");
  log_error("x", "y");
  CHECK(log.take() == "info worker: 1 of 2\nerror x: y\n");
  set_log_level(LogLevel::debug);
  log_debug("worker", "shown");
  set_log_level(LogLevel::off);
  log_error("worker", "hidden");
  set_log_level(LogLevel::info);
  CHECK(log.take() == "debug worker: shown\n");
}

TEST_CASE("base/log: control bytes cannot forge a line") {
  Captured log;
  log_warn("http", "target {}", "/a\r\ninfo fake: \x1b[31m\x7f");
  CHECK(log.take() == "warn http: target /a\\x0d\\x0ainfo fake: \\x1b[31m\\x7f\n");
}

TEST_CASE("base/log: an endless text is cut, a full ring drops and counts") {
  Captured log(16 * 1024);
  log_info("x", "{}", std::string(100'000, '\n'));
  CHECK(log.ring().dropped() == 1);  // escaped it is longer than half of the ring
  log_info("x", "{}", std::string(100'000, 'y'));
  CHECK(log.take() == "info x: " + std::string(4096, 'y') + "\n");
}

TEST_CASE("base/log: without a ring a line goes to stderr") {
  const test::Death death = test::die_in_child([] { log_info("start", "hello"); });
  CHECK(death.output.ends_with("info start: hello\n"));
}

TEST_CASE("base/log: repeats within a second are counted and told with the next line") {
  Captured log;
  LogLimiter limiter;
  const auto say = [&](std::string_view text, Duration when) {
    log_line_limited(limiter, LogLevel::warn, "accept", text, at(when));
  };
  say("no descriptors", 0ms);
  say("no descriptors", 1ms);
  say("no descriptors", 999ms);
  CHECK(log.take() == "warn accept: no descriptors\n");
  say("no descriptors", 1000ms);
  CHECK(log.take() == "warn accept: no descriptors (2 more)\n");
  say("no descriptors", 2001ms);
  CHECK(log.take() == "warn accept: no descriptors\n");
}

TEST_CASE("base/log: different lines of a site pass, but only four a second") {
  Captured log;
  LogLimiter limiter;
  for (int i = 0; i < 100; ++i) {
    log_line_limited(limiter, LogLevel::warn, "c", std::to_string(i), at(0ms));
  }
  CHECK(log.take() == "warn c: 0\nwarn c: 1\nwarn c: 2\nwarn c: 3\n");
  log_line_limited(limiter, LogLevel::warn, "c", "next", at(2s));
  CHECK(log.take() == "warn c: next (96 more)\n");
}

TEST_CASE("base/log: log_limited formats and respects the level") {
  Captured log;
  static LogLimiter limiter;
  for (int i = 0; i < 3; ++i) log_limited(limiter, LogLevel::info, "c", "n={}", 7);
  log_limited(limiter, LogLevel::debug, "c", "n={}", 8);
  CHECK(log.take() == "info c: n=7\n");
}
