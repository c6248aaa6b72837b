// A small `make flash-sale`: what it sells, whatever is killed, and that it can tell when something
// is wrong.
#include <algorithm>
#include <filesystem>

#include "tests/e2e/harness/e2e.h"

using namespace e2e;

namespace {

constexpr milliseconds kLong = kPatience * 20;

Finished sell(const std::vector<std::string>& more) {
  const std::string build = std::filesystem::path(program("SLUICE")).parent_path();
  std::vector<std::string> words{"env",
                                 "BUILD=" + build,
                                 program("SLUICE_ROOT") + "/bench/flash-sale",
                                 "--units",
                                 "24",
                                 "--waves",
                                 "6",
                                 "--demand",
                                 "50",
                                 "--seconds",
                                 "0.5"};
  words.insert(words.end(), more.begin(), more.end());
  return run(words, kLong);
}

int64_t count(const Json& figures, const std::string& kind) {
  const Json& blows = figures.at("blows");
  return std::count_if(blows.begin(), blows.end(),
                       [&](const Json& blow) { return blow.at("kind") == kind; });
}

}  // namespace

TEST_CASE("e2e/flash_sale: exactly N are sold while backends, workers and Redis are killed") {
  const Finished done = sell({"--json", "--seed", "3"});
  INFO(done.err);
  REQUIRE(done.exit_code == 0);
  const Json figures = Json::parse(done.out);
  CHECK(figures.at("orders") == 24);
  CHECK(figures.at("units_sold") == 24);
  CHECK(figures.at("buyers") == 24 * 50);
  CHECK(figures.at("handled") == 24 * 3);
  CHECK(figures.at("drift") == 0);
  CHECK(figures.at("bad").empty());
  for (const char* kind : {"backend", "worker", "redis"}) CHECK(count(figures, kind) == 3);
}

TEST_CASE("e2e/flash_sale: PostgreSQL is killed as well") {
  const Finished done = sell({"--json", "--seed", "4", "--db", "postgres"});
  INFO(done.err);
  REQUIRE(done.exit_code == 0);
  const Json figures = Json::parse(done.out);
  CHECK(figures.at("units_sold") == 24);
  CHECK(count(figures, "database") == 3);
}

TEST_CASE("e2e/flash_sale: a sale that cannot be is refused with a word") {
  const Finished odd = sell({"--units", "25"});
  CHECK(odd.exit_code == 2);
  CHECK(odd.err.find("--units is a multiple of --waves") != std::string::npos);
  const Finished few = sell({"--waves", "2"});
  CHECK(few.exit_code == 2);
}
