#include "sluice/stats/prometheus.h"

#include <doctest/doctest.h>

#include <limits>

using namespace sluice;
using namespace sluice::stats;
using namespace std::chrono_literals;

TEST_CASE("stats/prometheus: families and samples of each kind") {
  PrometheusWriter out;
  out.family("sluice_a_total", MetricType::counter, "Some \"help\"\nwith \\ in it");
  out.sample({}, uint64_t{18446744073709551615u});
  out.sample({{"pool", "orders"}, {"code", "200"}}, uint64_t{7});
  out.sample_raw("x=\"y\"", 1);
  out.family("sluice_b", MetricType::gauge, "b");
  out.sample({}, int64_t{-3});
  out.sample({}, 0.1);
  out.sample({}, std::numeric_limits<double>::infinity());
  out.sample({}, std::numeric_limits<double>::quiet_NaN());
  CHECK(out.take() ==
        "# HELP sluice_a_total Some \"help\"\\nwith \\\\ in it\n"
        "# TYPE sluice_a_total counter\n"
        "sluice_a_total 18446744073709551615\n"
        "sluice_a_total{pool=\"orders\",code=\"200\"} 7\n"
        "sluice_a_total{x=\"y\"} 1\n"
        "# HELP sluice_b b\n"
        "# TYPE sluice_b gauge\n"
        "sluice_b -3\n"
        "sluice_b 0.1\n"
        "sluice_b +Inf\n"
        "sluice_b NaN\n");
}

TEST_CASE("stats/prometheus: label values are escaped, and what is not UTF-8 is replaced") {
  struct Case {
    std::string_view in, out;
  };
  for (const Case& c : {Case{"plain", "plain"},
                        {"a\"b\\c\nd", "a\\\"b\\\\c\\nd"},
                        {"Zürich € 😀", "Zürich € 😀"},
                        {"\xff", "\xEF\xBF\xBD"},
                        {"a\xC3", "a\xEF\xBF\xBD"},
                        {"\xC0\xAF", "\xEF\xBF\xBD\xEF\xBF\xBD"},
                        {"\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
                        {"\xF4\x90\x80\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"}}) {
    PrometheusWriter out;
    out.family("x", MetricType::gauge, "h");
    out.sample({{"l", c.in}}, uint64_t{1});
    const std::string expected = "x{l=\"" + std::string(c.out) + "\"} 1\n";
    CHECK(out.text().substr(out.text().find("x{")) == expected);
  }
}

TEST_CASE("stats/prometheus: a histogram has its buckets, +Inf, sum and count") {
  Histogram histogram;
  histogram.record(3ms);
  histogram.record(20s);
  PrometheusWriter out;
  out.family("h_seconds", MetricType::histogram, "h");
  out.histogram({{"route", "r"}}, histogram.snapshot());
  out.histogram({}, histogram.snapshot());
  const std::string& text = out.text();
  for (const char* line :
       {"h_seconds_bucket{route=\"r\",le=\"0.0025\"} 0\n",
        "h_seconds_bucket{route=\"r\",le=\"0.005\"} 1\n",
        "h_seconds_bucket{route=\"r\",le=\"10\"} 1\n",
        "h_seconds_bucket{route=\"r\",le=\"+Inf\"} 2\n", "h_seconds_sum{route=\"r\"} 20.003\n",
        "h_seconds_count{route=\"r\"} 2\n", "h_seconds_bucket{le=\"1\"} 1\n",
        "h_seconds_sum 20.003\n", "h_seconds_count 2\n"}) {
    CAPTURE(line);
    CHECK(text.find(line) != std::string::npos);
  }
}
