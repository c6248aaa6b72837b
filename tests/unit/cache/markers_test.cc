#include "sluice/cache/markers.h"

#include <doctest/doctest.h>

#include <memory>

namespace sluice::cache {
namespace {

using std::chrono::seconds;

constexpr Hash128 kKey{1, 100};
constexpr Hash128 kSameRow{1 + 8192, 200};
const TimePoint kNow{seconds(1000)};

}  // namespace

TEST_CASE("cache/markers: a marker holds for its time, and its reason is known after that") {
  const auto markers = std::make_unique<Markers>();
  CHECK_FALSE(markers->find(kKey, kNow));
  markers->set(kKey, NoStoreReason::kPrivate, kNow, seconds(10));
  CHECK(markers->has(kKey, kNow + seconds(9)));
  CHECK_FALSE(markers->has(kKey, kNow + seconds(10)));
  REQUIRE(markers->find(kKey, kNow + seconds(4)));
  CHECK((markers->find(kKey, kNow + seconds(4))->left == seconds(6)));
  REQUIRE(markers->find(kKey, kNow + seconds(40)));
  CHECK((markers->find(kKey, kNow + seconds(40))->left == Duration{0}));
  CHECK(markers->find(kKey, kNow + seconds(40))->reason == NoStoreReason::kPrivate);
  markers->clear(kKey);
  CHECK_FALSE(markers->find(kKey, kNow));
}

TEST_CASE("cache/markers: a reason without a time makes nobody go alone, and ends no marker") {
  const auto markers = std::make_unique<Markers>();
  markers->set(kKey, NoStoreReason::kStatus, kNow, Duration{0});
  CHECK_FALSE(markers->has(kKey, kNow));
  CHECK(markers->find(kKey, kNow)->reason == NoStoreReason::kStatus);
  markers->set(kKey, NoStoreReason::kNoStore, kNow, seconds(10));
  markers->set(kKey, NoStoreReason::kStatus, kNow, Duration{0});
  CHECK(markers->has(kKey, kNow));
  CHECK(markers->find(kKey, kNow)->reason == NoStoreReason::kNoStore);
}

TEST_CASE("cache/markers: of two keys in one row the newer one counts") {
  const auto markers = std::make_unique<Markers>();
  markers->set(kKey, NoStoreReason::kNoStore, kNow, seconds(10));
  markers->set(kSameRow, NoStoreReason::kVary, kNow, seconds(10));
  CHECK_FALSE(markers->has(kKey, kNow));
  CHECK_FALSE(markers->find(kKey, kNow));
  CHECK(markers->has(kSameRow, kNow));
  markers->clear(kKey);
  CHECK(markers->has(kSameRow, kNow));
}

}  // namespace sluice::cache
