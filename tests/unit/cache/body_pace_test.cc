#include "src/cache/body_pace.h"

#include <doctest/doctest.h>

using namespace sluice;
using namespace sluice::cache;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {
constexpr uint64_t kMiB = 1024 * 1024;
constexpr Duration kBudget = milliseconds(20);
const TimePoint kNow{seconds(1000)};
}  // namespace

TEST_CASE("cache/body_pace: long bodies are in time until they turn out not to be") {
  BodyPace pace;
  CHECK(pace.is_in_time(15 * kMiB, kBudget, kNow));
  for (int i = 0; i < 20; ++i) pace.note_late(15 * kMiB, 5 * kMiB, kBudget, kNow);  // 250 MiB/s
  CHECK_FALSE(pace.is_in_time(15 * kMiB, kBudget, kNow));
  CHECK(pace.is_in_time(4 * kMiB, kBudget, kNow));
  CHECK(pace.is_in_time(15 * kMiB, 5 * kBudget, kNow));
}

TEST_CASE("cache/body_pace: one stall alone changes little, and what is short always goes") {
  BodyPace pace;
  for (int i = 0; i < 10; ++i) pace.note_whole(8 * kMiB, milliseconds(10), kNow);
  pace.note_late(8 * kMiB, 0, kBudget, kNow);
  CHECK(pace.is_in_time(8 * kMiB, kBudget, kNow));
  for (int i = 0; i < 100; ++i) pace.note_late(8 * kMiB, 0, kBudget, kNow);
  CHECK_FALSE(pace.is_in_time(2 * kMiB, kBudget, kNow));
  CHECK(pace.is_in_time(BodyPace::kShort, kBudget, kNow));
}

TEST_CASE("cache/body_pace: a slow spell is forgotten, though nobody measures meanwhile") {
  BodyPace pace;
  for (int i = 0; i < 100; ++i) pace.note_late(8 * kMiB, kMiB / 2, kBudget, kNow);  // 25 MiB/s
  CHECK_FALSE(pace.is_in_time(8 * kMiB, kBudget, kNow + seconds(5)));
  CHECK(pace.is_in_time(8 * kMiB, kBudget, kNow + seconds(60)));
}

TEST_CASE("cache/body_pace: what is short says nothing of the pace, in time or late") {
  BodyPace pace;
  for (int i = 0; i < 50; ++i) pace.note_whole(4096, milliseconds(1), kNow);
  for (int i = 0; i < 50; ++i) pace.note_late(kMiB / 2, 0, kBudget, kNow);
  CHECK(pace.is_in_time(15 * kMiB, kBudget, kNow));
}
