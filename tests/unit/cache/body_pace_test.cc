#include "src/cache/body_pace.h"

#include <doctest/doctest.h>

using namespace sluice;
using namespace sluice::cache;
using std::chrono::milliseconds;

namespace {
constexpr uint64_t kMiB = 1024 * 1024;
constexpr Duration kBudget = milliseconds(20);
}  // namespace

TEST_CASE("cache/body_pace: long bodies are in time until they turn out not to be") {
  BodyPace pace;
  CHECK(pace.is_in_time(15 * kMiB, kBudget));
  for (int i = 0; i < 10; ++i) pace.note_late(5 * kMiB, kBudget);  // 250 MiB/s
  CHECK_FALSE(pace.is_in_time(15 * kMiB, kBudget));
  CHECK(pace.is_in_time(4 * kMiB, kBudget));
  CHECK(pace.is_in_time(15 * kMiB, 5 * kBudget));
}

TEST_CASE("cache/body_pace: one stall alone changes little, and what is short always goes") {
  BodyPace pace;
  for (int i = 0; i < 10; ++i) pace.note_whole(8 * kMiB, milliseconds(10));
  pace.note_late(0, kBudget);
  CHECK(pace.is_in_time(8 * kMiB, kBudget));
  for (int i = 0; i < 100; ++i) pace.note_late(0, kBudget);
  CHECK_FALSE(pace.is_in_time(2 * kMiB, kBudget));
  CHECK(pace.is_in_time(BodyPace::kShort, kBudget));
}

TEST_CASE("cache/body_pace: now and then it is tried again, and so found to be faster") {
  BodyPace pace;
  for (int i = 0; i < 50; ++i) pace.note_late(0, kBudget);
  int tries = 0;
  for (int i = 0; i < 640; ++i) {
    if (!pace.may_try(8 * kMiB, kBudget)) continue;
    ++tries;
    pace.note_whole(8 * kMiB, milliseconds(5));
    if (pace.is_in_time(8 * kMiB, kBudget)) break;
  }
  CHECK(tries > 0);
  CHECK(tries < 5);
  CHECK(pace.is_in_time(8 * kMiB, kBudget));
}

TEST_CASE("cache/body_pace: the round trip of what is short says nothing of the pace") {
  BodyPace pace;
  for (int i = 0; i < 50; ++i) pace.note_whole(4096, milliseconds(1));
  CHECK(pace.is_in_time(15 * kMiB, kBudget));
}
