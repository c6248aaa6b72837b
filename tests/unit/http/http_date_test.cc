#include "sluice/http/http_date.h"

#include <doctest/doctest.h>

#include <string>

using namespace sluice::http;

namespace {

constexpr int64_t kIn2026 = 1798761599;  // Thu, 31 Dec 2026 23:59:59 GMT

}  // namespace

TEST_CASE("http/http_date: dates are written as IMF-fixdate (RFC 9110 5.6.7)") {
  struct Row {
    int64_t seconds;
    std::string_view text;
  };
  for (const Row& row :
       {Row{784111777, "Sun, 06 Nov 1994 08:49:37 GMT"}, Row{0, "Thu, 01 Jan 1970 00:00:00 GMT"},
        Row{951782400, "Tue, 29 Feb 2000 00:00:00 GMT"},
        Row{1709251199, "Thu, 29 Feb 2024 23:59:59 GMT"},
        Row{1798761599, "Thu, 31 Dec 2026 23:59:59 GMT"},
        Row{4107542400, "Mon, 01 Mar 2100 00:00:00 GMT"}, Row{-5, "Thu, 01 Jan 1970 00:00:00 GMT"},
        Row{INT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT"}}) {
    char out[29];
    write_http_date(out, row.seconds);
    CHECK(std::string_view(out, 29) == row.text);
  }
}

TEST_CASE("http/http_date: all three forms are read (RFC 9110 5.6.7)") {
  struct Row {
    std::string_view text;
    int64_t seconds;
  };
  for (const Row& row : {
           Row{"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
           Row{"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
           Row{"Sun Nov  6 08:49:37 1994", 784111777},
           Row{"Sun Nov 16 08:49:37 1994", 784111777 + 10 * 86400},
           Row{"Sun Nov 06 08:49:37 1994", 784111777}, Row{"Thu, 01 Jan 1970 00:00:00 GMT", 0},
           Row{"Wed, 31 Dec 1969 23:59:59 GMT", -1},
           Row{"Tue, 29 Feb 2000 00:00:00 GMT", 951782400},
           Row{"Mon, 01 Mar 2100 00:00:00 GMT", 4107542400},
           Row{"Fri, 31 Dec 9999 23:59:59 GMT", 253402300799},
           Row{"Sat, 01 Jan 0000 00:00:00 GMT", -62167219200},
           Row{"Tue, 19 Jan 2038 03:14:08 GMT", int64_t{1} << 31},
           Row{"Thu, 31 Dec 1998 23:59:60 GMT", 915148799},  // a leap second
       }) {
    CAPTURE(row.text);
    CHECK(parse_http_date(row.text, kIn2026) == row.seconds);
  }
}

TEST_CASE("http/http_date: letters count in any case, the day's name need not fit (RFC 9111 4.2)") {
  for (std::string_view text : {"SUN, 06 NOV 1994 08:49:37 GMT", "sun, 06 nov 1994 08:49:37 gMT",
                                "sUNDAY, 06-nOV-94 08:49:37 gmt", "MON NOV  6 08:49:37 1994",
                                "Fri, 06 Nov 1994 08:49:37 GMT"}) {
    CAPTURE(text);
    CHECK(parse_http_date(text, kIn2026) == 784111777);
  }
}

TEST_CASE("http/http_date: anything else is no date (RFC 9110 5.6.7, RFC 9111 4.2)") {
  for (std::string_view text : {
           "",
           "0",
           "-1",
           "784111777",
           "Sun",
           "Sun, 06 Nov 1994 08:49:37",
           "Sun, 06 Nov 1994 08:49:37 UTC",  // GMT is the only zone
           "Sun, 06 Nov 1994 08:49:37 AEST",
           "Sun, 06 Nov 1994 08:49:37 GMT ",
           " Sun, 06 Nov 1994 08:49:37 GMT",
           "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
           "Sun 06 Nov 1994 08:49:37 GMT",
           "Sun, 06  Nov  1994 08:49:37 GMT",
           "Sun, 06-Nov-1994 08:49:37 GMT",
           "Sun, 06-Nov-94 08:49:37 GMT",
           "Sunday, 06 Nov 1994 08:49:37 GMT",
           "Sun, 06 Nov 1994 08.49.37 GMT",
           "Sun, 06 Nov 1994 8:49:37 GMT",
           "Sun, 6 Nov 1994 08:49:37 GMT",
           "Sun, 06 Nov 94 08:49:37 GMT",
           "Sun, 00 Nov 1994 08:49:37 GMT",
           "Sun, 31 Nov 1994 08:49:37 GMT",
           "Tue, 29 Feb 2023 00:00:00 GMT",
           "Thu, 29 Feb 2100 00:00:00 GMT",
           "Sun, 06 Nov 1994 24:00:00 GMT",
           "Sun, 06 Nov 1994 08:60:00 GMT",
           "Sun, 06 Nov 1994 08:49:61 GMT",
           "Sun, 06 Nov 1994 -8:49:37 GMT",
           "Sun, 06 Now 1994 08:49:37 GMT",
           "Sux, 06 Nov 1994 08:49:37 GMT",
           "Sun Nov 6 08:49:37 1994",
           "Sun Nov  6 08:49:37 1994 GMT",
           "Sun Nov   6 08:49:37 1994",
       }) {
    CAPTURE(text);
    CHECK_FALSE(parse_http_date(text, kIn2026));
  }
}

TEST_CASE("http/http_date: two digits never mean more than 50 years ahead (RFC 9110 5.6.7)") {
  const auto year_of = [](std::string_view digits, int64_t now) {
    const auto seconds =
        parse_http_date("Monday, 01-Jun-" + std::string(digits) + " 00:00:00 GMT", now);
    char out[29];
    write_http_date(out, seconds.value_or(0));
    return std::string(out + 12, 4);
  };
  CHECK(year_of("26", kIn2026) == "2026");
  CHECK(year_of("50", kIn2026) == "2050");
  CHECK(year_of("76", kIn2026) == "2076");
  CHECK(year_of("77", kIn2026) == "1977");
  CHECK(year_of("99", kIn2026) == "1999");
  constexpr int64_t kMay2026 = 1778000000;
  CHECK(year_of("76", kMay2026) == "1976");  // four weeks too far
  constexpr int64_t kIn2090 = 3800000000;
  CHECK(year_of("05", kIn2090) == "2105");
  CHECK(year_of("50", kIn2090) == "2050");
  CHECK(parse_http_date("Monday, 29-Feb-00 00:00:00 GMT", INT64_MIN) == 951782400);
  CHECK(parse_http_date("Monday, 01-Jun-00 00:00:00 GMT", INT64_MAX).has_value());
}

TEST_CASE("http/http_date: what is written reads back the same") {
  for (int64_t seconds = 0; seconds < 253402300799; seconds += 86400 * 97 + 12345) {
    char out[29];
    write_http_date(out, seconds);
    REQUIRE(parse_http_date({out, 29}, kIn2026) == seconds);
  }
}
