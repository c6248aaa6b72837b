#include "sluice/server/worker.h"

#include <doctest/doctest.h>

namespace sluice::server {
namespace {

TEST_CASE("server/worker: a connection goes elsewhere above 1.25 times the mean") {
  struct Case {
    const char* what;
    std::vector<uint32_t> connections;
    size_t mine;
    bool hand_over;
    size_t to;
  };
  const Case cases[] = {
      {"one worker keeps all", {100}, 0, false, 0},
      {"even", {50, 50, 50}, 1, false, 0},
      {"exactly 1.25 times the mean", {125, 75}, 0, false, 0},
      {"just above", {126, 74}, 0, true, 1},
      {"the least loaded gets it", {40, 9, 5, 10}, 0, true, 2},
      {"the least loaded keeps its own", {40, 9, 5, 10}, 2, false, 0},
      {"a difference of three is not worth a wake-up", {3, 0}, 0, false, 0},
      {"one of four is", {4, 0}, 0, true, 1},
  };
  for (const Case& c : cases) {
    CAPTURE(c.what);
    const LoadVerdict verdict = judge_load(c.mine, c.connections);
    CHECK(verdict.hand_over == c.hand_over);
    if (c.hand_over) CHECK(verdict.to == c.to);
  }
}

}  // namespace
}  // namespace sluice::server
