#include "sluice/base/units.h"

#include <doctest/doctest.h>

#include <limits>

using namespace sluice;
using namespace std::chrono_literals;

TEST_CASE("base/units: durations as people write them") {
  struct Case {
    std::string_view text;
    std::optional<Duration> value;
  };
  for (const Case& c : {Case{"0", 0s},
                        {"0s", 0s},
                        {"5us", 5us},
                        {"500ms", 500ms},
                        {"30s", 30s},
                        {"5m", 5min},
                        {"2h", 2h},
                        {"1d", 24h},
                        {"106751d", 106751 * 24h},
                        {"106752d", std::nullopt},
                        {"99999999999999999999s", std::nullopt},
                        {"", std::nullopt},
                        {"5", std::nullopt},
                        {"s", std::nullopt},
                        {"-1s", std::nullopt},
                        {"+1s", std::nullopt},
                        {"1 s", std::nullopt},
                        {" 1s", std::nullopt},
                        {"1.5s", std::nullopt},
                        {"1S", std::nullopt},
                        {"1w", std::nullopt},
                        {"1h30m", std::nullopt}}) {
    CAPTURE(c.text);
    CHECK((parse_duration(c.text) == c.value));
  }
}

TEST_CASE("base/units: sizes as people write them") {
  struct Case {
    std::string_view text;
    std::optional<uint64_t> value;
  };
  for (const Case& c : {Case{"0", 0},
                        {"512B", 512},
                        {"16KiB", 16384},
                        {"8MiB", 8u << 20},
                        {"1GiB", 1u << 30},
                        {"10MB", 10'000'000},
                        {"1KB", 1000},
                        {"2GB", 2'000'000'000},
                        {"17179869183GiB", 17179869183ULL << 30},
                        {"17179869184GiB", std::nullopt},
                        {"1", std::nullopt},
                        {"1k", std::nullopt},
                        {"1kib", std::nullopt},
                        {"1 MiB", std::nullopt},
                        {"-1B", std::nullopt},
                        {"B", std::nullopt}}) {
    CAPTURE(c.text);
    CHECK(parse_size(c.text) == c.value);
  }
}

TEST_CASE("base/units: the shortest exact spelling is written") {
  CHECK(format_duration(0s) == "0");
  CHECK(format_duration(90s) == "90s");
  CHECK(format_duration(120s) == "2m");
  CHECK(format_duration(1500ms) == "1500ms");
  CHECK(format_duration(36h) == "36h");
  CHECK(format_duration(48h) == "2d");
  CHECK(format_duration(-5s) == "-5s");
  CHECK(format_duration(1500ns) == "1500ns");
  CHECK(format_duration(Duration::min()) == "-9223372036854775808ns");
  CHECK(format_size(0) == "0");
  CHECK(format_size(1) == "1B");
  CHECK(format_size(16384) == "16KiB");
  CHECK(format_size(1000) == "1KB");
  CHECK(format_size(10'000'000) == "10MB");
  CHECK(format_size(1u << 30) == "1GiB");
  CHECK(format_size(1025) == "1025B");
}

TEST_CASE("base/units: what is written is read back") {
  for (uint64_t value = 1; value < (uint64_t{1} << 62); value = value * 3 + 1) {
    CHECK(parse_size(format_size(value)) == value);
    const auto micros = static_cast<int64_t>(value % (std::numeric_limits<int64_t>::max() / 1000));
    CHECK((parse_duration(format_duration(Duration(micros * 1000))) == Duration(micros * 1000)));
  }
}
