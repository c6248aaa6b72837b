#include "sluice/base/strings.h"

#include <doctest/doctest.h>

#include <limits>

using namespace sluice;

TEST_CASE("base/strings: comparing without case touches ASCII letters only") {
  CHECK(equals_ignore_case("Content-Length", "content-LENGTH"));
  CHECK(!equals_ignore_case("abc", "abcd"));
  CHECK(!equals_ignore_case("[", "{"));
  CHECK(!equals_ignore_case("\xc4", "\xe4"));
  CHECK(equals_ignore_case("", ""));
  CHECK(lower("ÄBc-Z") == "Äbc-z");
}

TEST_CASE("base/strings: trim takes spaces and tabs, nothing else (RFC 9110 5.6.3)") {
  struct Case {
    std::string_view in, out;
  };
  for (const Case& c :
       {Case{"", ""}, {" \t ", ""}, {" a b\t", "a b"}, {"a", "a"}, {"\na ", "\na"}}) {
    CAPTURE(c.in);
    CHECK(trim(c.in) == c.out);
  }
}

TEST_CASE("base/strings: a decimal is digits only and fits") {
  struct Case {
    std::string_view in;
    std::optional<uint64_t> out;
  };
  for (const Case& c : {Case{"0", 0},
                        {"007", 7},
                        {"18446744073709551615", std::numeric_limits<uint64_t>::max()},
                        {"18446744073709551616", std::nullopt},
                        {"", std::nullopt},
                        {"+1", std::nullopt},
                        {"-1", std::nullopt},
                        {" 1", std::nullopt},
                        {"1 ", std::nullopt},
                        {"1,1", std::nullopt},
                        {"0x1", std::nullopt}}) {
    CAPTURE(c.in);
    CHECK(parse_decimal(c.in) == c.out);
  }
}

TEST_CASE("base/strings: a written decimal is read back") {
  for (uint64_t value :
       {uint64_t{0}, uint64_t{9}, uint64_t{10}, std::numeric_limits<uint64_t>::max()}) {
    char out[20];
    CHECK(parse_decimal({out, write_decimal(out, value)}) == value);
  }
}

TEST_CASE("base/strings: hexadecimal digits") {
  CHECK(hex_value('0') == 0);
  CHECK(hex_value('f') == 15);
  CHECK(hex_value('A') == 10);
  CHECK(hex_value('g') == -1);
  CHECK(hex_value('\0') == -1);
}

TEST_CASE("base/strings: list elements are trimmed and empty ones skipped (RFC 9110 5.6.1)") {
  std::string seen;
  const auto note = [&seen](std::string_view item) {
    seen.append(item).append(";");
    return item != "stop";
  };
  CHECK(for_each_element(" gzip, ,,chunked\t,", note));
  CHECK(seen == "gzip;chunked;");
  seen.clear();
  CHECK(!for_each_element("a, stop, b", note));
  CHECK(seen == "a;stop;");
  CHECK(for_each_element("", note));
}

TEST_CASE("base/strings: split keeps empty parts") {
  CHECK(split("a,,b", ',') == std::vector<std::string_view>{"a", "", "b"});
  CHECK(split("", ',') == std::vector<std::string_view>{""});
  CHECK(split("a,", ',') == std::vector<std::string_view>{"a", ""});
}

TEST_CASE("base/strings: nearest finds what was meant, or nothing") {
  const std::vector<std::string_view> keys = {"listeners", "routes",  "pools", "timeouts",
                                              "health",    "balance", "tls",   "cache"};
  struct Case {
    std::string_view word;
    std::optional<std::string_view> meant;
  };
  for (const Case& c : {Case{"lisenrs", "listeners"},
                        {"route", "routes"},
                        {"Routes", "routes"},
                        {"tmieouts", "timeouts"},
                        {"blance", "balance"},
                        {"tsl", "tls"},
                        {"helth", "health"},
                        {"", std::nullopt},
                        {"x", std::nullopt},
                        {"certificate", std::nullopt}}) {
    CAPTURE(c.word);
    CHECK(nearest(c.word, keys) == c.meant);
  }
  CHECK(nearest("a", {}) == std::nullopt);
}
