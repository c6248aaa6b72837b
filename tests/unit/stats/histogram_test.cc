#include "sluice/stats/histogram.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "sluice/base/random.h"

using namespace sluice;
using namespace sluice::stats;
using namespace std::chrono_literals;

TEST_CASE("stats/histogram: every duration is in the bucket that says so") {
  for (size_t i = 0; i < buckets::kCount; ++i) {
    CAPTURE(i);
    CHECK(buckets::index_of(buckets::start_of(i)) == i);
    if (i > 0) CHECK(buckets::index_of(buckets::start_of(i) - 1ns) == i - 1);
  }
}

TEST_CASE("stats/histogram: from 10 us on a bucket is at most 3.2 % wide") {
  for (size_t i = buckets::index_of(10us); i + 1 < buckets::kCount; ++i) {
    const double start = to_seconds(buckets::start_of(i));
    const double width = to_seconds(buckets::start_of(i + 1)) - start;
    CAPTURE(i);
    CHECK(width / start <= 0.032);
  }
}

TEST_CASE("stats/histogram: what is outside goes to the first or last bucket") {
  CHECK(buckets::index_of(Duration(-5)) == 0);
  CHECK(buckets::index_of(0ns) == 0);
  CHECK(buckets::index_of(1h) == buckets::kCount - 1);
  CHECK(buckets::index_of(Duration::max()) == buckets::kCount - 1);
  CHECK(buckets::index_of(Duration::min()) == 0);
}

TEST_CASE("stats/histogram: an empty one has no quantiles") {
  const HistogramSnapshot empty = Histogram().snapshot();
  CHECK(empty.count() == 0);
  CHECK((empty.quantile(0.5) == 0ns));
  CHECK((empty.mean() == 0ns));
}

TEST_CASE("stats/histogram: quantiles are within 2 % of the sorted truth") {
  Random random(5);
  Histogram histogram;
  std::vector<Duration> all;
  for (int i = 0; i < 20'000; ++i) {
    // Spread over five decades from 10 us.
    const uint64_t scale = uint64_t{1} << random.below(17);
    const Duration d = Duration(static_cast<int64_t>((10'000 + random.below(10'000)) * scale));
    all.push_back(d);
    histogram.record(d);
  }
  std::sort(all.begin(), all.end());
  const HistogramSnapshot snapshot = histogram.snapshot();
  CHECK(snapshot.count() == all.size());
  for (double q : {0.0, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    CAPTURE(q);
    const size_t rank =
        std::max<size_t>(1, static_cast<size_t>(q * static_cast<double>(all.size())));
    CHECK(to_ms(snapshot.quantile(q)) == doctest::Approx(to_ms(all[rank - 1])).epsilon(0.02));
  }
}

TEST_CASE("stats/histogram: sum and mean are exact, and a negative duration adds nothing") {
  Histogram histogram;
  histogram.record(1ms);
  histogram.record(3ms);
  histogram.record(Duration(-1));
  const HistogramSnapshot snapshot = histogram.snapshot();
  CHECK((snapshot.sum() == 4ms));
  CHECK(snapshot.count() == 3);
}

TEST_CASE("stats/histogram: export bounds are cumulative, near ones within 2 %") {
  Histogram histogram;
  for (Duration d : {Duration(500us), Duration(980us), Duration(1030us), Duration(2400us),
                     Duration(9s), Duration(11s), Duration(2h)}) {
    histogram.record(d);
  }
  const auto counts = histogram.snapshot().cumulative();
  CHECK(counts[0] == 2);   // 1 ms
  CHECK(counts[1] == 4);   // 2.5 ms
  CHECK(counts[11] == 4);  // 5 s
  CHECK(counts[12] == 5);  // 10 s
  CHECK(std::is_sorted(counts.begin(), counts.end()));
}

TEST_CASE("stats/histogram: merge adds, since subtracts") {
  Histogram a, b;
  a.record(1ms);
  b.record(100ms);
  b.record(100ms);
  HistogramSnapshot both = a.snapshot();
  both.merge(b.snapshot());
  CHECK(both.count() == 3);
  CHECK((both.sum() == 201ms));
  CHECK(to_ms(both.quantile(0.9)) == doctest::Approx(100).epsilon(0.02));
  const HistogramSnapshot before = b.snapshot();
  b.record(1s);
  const HistogramSnapshot later = b.snapshot().since(before);
  CHECK(later.count() == 1);
  CHECK((later.sum() == 1s));
  CHECK(to_ms(later.quantile(0.5)) == doctest::Approx(1000).epsilon(0.02));
}
