#include "sluice/server/changes.h"

#include <doctest/doctest.h>

namespace sluice::server {
namespace {

config::Config sample() {
  config::Config config;
  config.listeners.resize(1);
  config.listeners[0].name = "web";
  config.pools.resize(1);
  config.pools[0].name = "orders";
  config.routes.resize(1);
  return config;
}

TEST_CASE("server/changes: a reload tells what it changed, by name") {
  const config::Config before = sample();
  CHECK(describe_changes(before, before) == "nothing changed");

  config::Config now = sample();
  now.listeners[0].name = "front";
  now.pools[0].max_in_flight = 5;
  now.pools.emplace_back().name = "static";
  now.routes[0].name = "r";
  now.drain_timeout = std::chrono::seconds(1);
  CHECK(describe_changes(before, now) ==
        "listener front opened; listener web drained; pool orders changed; pool static added; "
        "routes changed; drain_timeout changed");
}

TEST_CASE("server/changes: the place in the file is no change") {
  const config::Config before = sample();
  config::Config now = sample();
  now.pools[0].place.line = 99;
  CHECK(describe_changes(before, now) == "nothing changed");
}

TEST_CASE("server/changes: workers need a restart and say so") {
  const config::Config before = sample();
  config::Config now = sample();
  CHECK(describe_restart(before, now).empty());
  now.workers = 4;
  CHECK(describe_restart(before, now) == "workers: auto to 4 needs a restart");
}

}  // namespace
}  // namespace sluice::server
