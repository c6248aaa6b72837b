#include "sluice/server/drain.h"

#include <doctest/doctest.h>

#include <vector>

#include "sluice/base/log.h"

namespace sluice::server {
namespace {

using admin::Phase;
using std::chrono::milliseconds;

struct Fixture {
  Fixture() { set_log_level(LogLevel::off); }
  ~Fixture() { set_log_level(LogLevel::info); }

  // Turns the loop until `phase` was entered; false when it is not within five seconds.
  bool reaches(Phase phase) {
    const TimePoint deadline = monotonic_now() + std::chrono::seconds(5);
    while (entered.empty() || entered.back() < phase) {
      if (monotonic_now() > deadline) return false;
      loop.run_once(true);
    }
    return entered.back() == phase;
  }

  loop::Loop loop;
  uint32_t open = 1;
  std::vector<Phase> entered;
  Drain drain{loop, [this](Phase phase) { entered.push_back(phase); }, [this] { return open; }};
};

TEST_CASE_FIXTURE(Fixture,
                  "server/drain: without a delay it stops accepting at once, and ends when empty") {
  CHECK_FALSE(drain.is_under_way());
  drain.request("SIGTERM", {milliseconds(0), std::chrono::seconds(60)});
  CHECK(drain.is_under_way());
  CHECK(entered == std::vector{Phase::leaving, Phase::draining});
  open = 0;
  drain.finished();
  CHECK(entered.back() == Phase::stopping);
}

TEST_CASE_FIXTURE(Fixture, "server/drain: the delay passes before it stops accepting") {
  drain.request("SIGTERM", {milliseconds(30), std::chrono::seconds(60)});
  CHECK(entered == std::vector{Phase::leaving});
  const TimePoint before = monotonic_now();
  CHECK(reaches(Phase::draining));
  CHECK(monotonic_now() - before >= milliseconds(20));
}

TEST_CASE_FIXTURE(Fixture, "server/drain: the deadline ends it with connections open") {
  drain.request("SIGTERM", {milliseconds(0), milliseconds(30)});
  CHECK(reaches(Phase::stopping));
}

TEST_CASE_FIXTURE(Fixture,
                  "server/drain: a second signal ends it at once, a third is nothing new") {
  drain.request("SIGTERM", {std::chrono::seconds(60), std::chrono::seconds(60)});
  drain.request("SIGINT", {std::chrono::seconds(60), std::chrono::seconds(60)});
  CHECK(entered == std::vector{Phase::leaving, Phase::stopping});
  drain.request("SIGINT", {});
  drain.finished();
  CHECK(entered.size() == 2);
}

}  // namespace
}  // namespace sluice::server
