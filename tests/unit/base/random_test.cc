#include "sluice/base/random.h"

#include <doctest/doctest.h>

#include <set>

#include "sluice/base/hash.h"

using namespace sluice;

TEST_CASE("base/random: the sequence of a seed never changes") {
  Random a(42), b(42), c(43);
  CHECK(a.next() == 1546998764402558742ULL);
  CHECK(a.next() == 6990951692964543102ULL);
  b.next();
  b.next();
  CHECK(a.next() == b.next());
  CHECK(a.next() != c.next());
}

TEST_CASE("base/random: below is in range, hits all, and evenly") {
  Random random(7);
  int hits[10] = {};
  for (int i = 0; i < 100'000; ++i) ++hits[random.below(10)];
  for (int count : hits) CHECK((count > 9'500 && count < 10'500));
  for (int i = 0; i < 100; ++i) CHECK(random.below(1) == 0);
  const uint64_t huge = ~0ULL - 5;
  for (int i = 0; i < 100; ++i) CHECK(random.below(huge) < huge);
}

TEST_CASE("base/random: unit is in [0, 1)") {
  Random random(7);
  double sum = 0;
  for (int i = 0; i < 10'000; ++i) {
    const double u = random.unit();
    CHECK((u >= 0 && u < 1));
    sum += u;
  }
  CHECK(sum / 10'000 == doctest::Approx(0.5).epsilon(0.02));
}

TEST_CASE("base/random: two generators seeded by the kernel differ") {
  CHECK(Random().next() != Random().next());
}

TEST_CASE("base/hash: known values, a seed that matters, and no collision of small keys") {
  CHECK(hash64("") == 0x2d06800538d394c2ULL);  // XXH3's published value of the empty input
  CHECK(hash64("a") != hash64("a", 1));
  std::set<uint64_t> seen;
  for (uint64_t a = 0; a < 100; ++a) {
    for (uint64_t b = 0; b < 100; ++b) seen.insert(mix64(a, b));
  }
  CHECK(seen.size() == 10'000);
}
