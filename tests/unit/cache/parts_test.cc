#include "sluice/cache/parts.h"

#include <doctest/doctest.h>

#include <array>
#include <string>
#include <vector>

#include "entries.h"

using namespace sluice;
using namespace sluice::cache;
using namespace sluice::cache::test;

namespace {

const std::string kText = "0123456789abcdefghij";

struct Run {
  uint64_t first = 0;
  uint64_t end = 0;
  bool operator==(const Run&) const = default;
};
using Runs = std::vector<Run>;

// Parts of kText.
class Shelf {
 public:
  explicit Shelf(const Runs& runs) {
    for (const Run& run : runs) parts_.push_back(part(run));
  }
  EntryPart part(const Run& run) {
    EntryPart made{run.first, Body::copy_of(budget_, kText.substr(run.first, run.end - run.first))};
    REQUIRE(made.body);
    return made;
  }
  std::span<const EntryPart> all() const { return parts_; }
  MemoryBudget& budget() { return budget_; }

 private:
  MemoryBudget budget_{1 << 20};
  std::vector<EntryPart> parts_;
};

Runs runs_of(std::span<const EntryPart> parts, uint64_t length) {
  Runs runs;
  for (size_t i = 0; i < parts.size(); ++i) {
    runs.push_back({parts[i].first, end_of_part(parts, i, length)});
  }
  return runs;
}

}  // namespace

TEST_CASE("cache/parts: what is missing is asked for by one range (RFC 9111 3.3)") {
  struct Row {
    Runs parts;
    std::optional<Run> missing;
  };
  const Row rows[] = {
      {{{0, 20}}, std::nullopt},        {{{0, 5}}, Run{5, 20}},
      {{{5, 20}}, Run{0, 5}},           {{{5, 10}}, Run{0, 20}},
      {{{0, 5}, {10, 20}}, Run{5, 10}}, {{{0, 5}, {8, 12}, {15, 20}}, Run{5, 15}},
      {{{0, 5}, {8, 12}}, Run{5, 20}},  {{{0, 12}, {8, 20}}, std::nullopt},
  };
  for (const Row& row : rows) {
    const Shelf shelf(row.parts);
    const auto missing = missing_range(shelf.all(), 20);
    CHECK(missing.has_value() == row.missing.has_value());
    CHECK(has_gaps(shelf.all(), 20) == row.missing.has_value());
    if (missing && row.missing) CHECK(Run{missing->first, missing->last + 1} == *row.missing);
  }
}

TEST_CASE("cache/parts: a range is covered by parts that touch or overlap, by nothing less") {
  const Shelf shelf(Runs{{2, 6}, {6, 9}, {8, 12}, {15, 20}});
  struct Row {
    uint64_t first, last;
    bool is_covered;
  };
  const Row rows[] = {{2, 11, true},   {2, 2, true},    {3, 8, true},   {11, 11, true},
                      {15, 19, true},  {19, 19, true},  {1, 3, false},  {2, 12, false},
                      {11, 15, false}, {12, 14, false}, {0, 19, false}, {19, 20, false}};
  for (const Row& row : rows) {
    CAPTURE(row.first);
    CAPTURE(row.last);
    CHECK(covers(shelf.all(), 20, {row.first, row.last}) == row.is_covered);
  }
}

TEST_CASE(
    "cache/parts: parts are merged in order, overlaps are cut, bodies shared (RFC 9111 3.4)") {
  struct Row {
    Runs parts;
    Run added;
    Runs merged;
  };
  const Row rows[] = {
      {{}, {3, 7}, {{3, 7}}},
      {{{0, 5}}, {5, 20}, {{0, 5}, {5, 20}}},
      {{{5, 20}}, {0, 5}, {{0, 5}, {5, 20}}},
      {{{0, 5}, {10, 20}}, {5, 10}, {{0, 5}, {5, 10}, {10, 20}}},
      {{{0, 8}}, {5, 12}, {{0, 5}, {5, 12}}},
      {{{5, 12}}, {0, 8}, {{0, 5}, {5, 12}}},
      {{{0, 20}}, {5, 12}, {{0, 20}}},
      {{{5, 12}}, {5, 12}, {{5, 12}}},
      {{{5, 12}}, {5, 14}, {{5, 14}}},
      {{{5, 12}}, {3, 12}, {{3, 12}}},
      {{{2, 4}, {6, 8}, {10, 12}}, {1, 13}, {{1, 13}}},
      {{{2, 4}, {6, 8}, {10, 12}}, {3, 11}, {{2, 3}, {3, 10}, {10, 12}}},
      {{{2, 4}, {6, 8}}, {10, 12}, {{2, 4}, {6, 8}, {10, 12}}},
  };
  for (const Row& row : rows) {
    Shelf shelf(row.parts);
    const EntryPart added = shelf.part(row.added);
    std::array<EntryPart, kMostParts> out;
    const auto count =
        merge_parts(shelf.all(), added, {row.added.first, row.added.end - 1}, out.data());
    REQUIRE(count);
    const std::span<const EntryPart> merged(out.data(), *count);
    CHECK((runs_of(merged, 20) == row.merged));
    for (const EntryPart& part : merged) {
      bool is_shared = part.body == added.body;
      for (const EntryPart& old : shelf.all()) is_shared |= part.body == old.body;
      CHECK(is_shared);
    }
  }
}

TEST_CASE("cache/parts: no more than an entry may have") {
  MemoryBudget budget(1 << 20);
  std::vector<EntryPart> parts;
  const auto part = [&](uint64_t first) { return EntryPart{first, Body::copy_of(budget, "x")}; };
  for (size_t i = 0; i < kMostParts; ++i) parts.push_back(part(10 * i));
  std::array<EntryPart, kMostParts> out;
  CHECK_FALSE(merge_parts(parts, part(5), {5, 5}, out.data()));
  CHECK_FALSE(merge_parts(parts, part(1000), {1000, 1000}, out.data()));
  CHECK(merge_parts(parts, part(20), {20, 20}, out.data()) == kMostParts);
}

TEST_CASE("cache/parts: what grows is taken for what it will be") {
  Shelf shelf(Runs{{0, 5}, {10, 20}});
  const EntryPart growing{5, Body::make(shelf.budget(), 5)};
  std::array<EntryPart, kMostParts> out;
  const auto count = merge_parts(shelf.all(), growing, {5, 9}, out.data());
  REQUIRE(count);
  const std::span<const EntryPart> merged(out.data(), *count);
  CHECK_FALSE(has_gaps(merged, 20));
  growing.body->fail();
  CHECK(has_gaps(merged, 20));

  const EntryPart alone{0, Body::make(shelf.budget(), std::nullopt)};
  CHECK_FALSE(has_gaps({&alone, 1}, std::nullopt));
}

TEST_CASE("cache/parts: what is stored of a whole is one body, if it is small") {
  const Shelf shelf(Runs{{0, 8}, {5, 12}, {12, 20}});
  MemoryBudget budget(64 << 20);
  Memory memory;
  EntrySpec spec;
  spec.key = memory.key("/");
  spec.status = 200;
  spec.complete_length = 20;
  spec.parts = shelf.all();
  const Ref<Entry> whole = settled(budget, Entry::make(budget, spec));
  REQUIRE(whole);
  CHECK(whole->is_whole());
  CHECK(text_of(*whole) == kText);

  spec.complete_length = 21;
  const Ref<Entry> incomplete = Entry::make(budget, spec);
  CHECK(settled(budget, incomplete) == incomplete);
  const EntryPart large[] = {{0, Body::copy_of(budget, std::string(200'000, 'x'))},
                             {150'000, Body::copy_of(budget, std::string(200'000, 'y'))}};
  spec.complete_length = 350'000;
  spec.parts = large;
  const Ref<Entry> several = Entry::make(budget, spec);
  CHECK(settled(budget, several) == several);

  const EntryPart tail{7, Body::make(budget, std::nullopt)};
  CHECK(tail.body->append("789"));
  tail.body->complete();
  spec.complete_length = 10;
  spec.parts = {&tail, 1};
  const Ref<Entry> part = settled(budget, Entry::make(budget, spec));
  CHECK(part->parts()[0].first == 7);
  CHECK(part->parts()[0].body != tail.body);  // without what it had room for
  CHECK(part->complete_length() == 10);
}

TEST_CASE("cache/parts: a 206 belongs where Content-Range says, if its size agrees") {
  struct Row {
    http::ContentRange said;
    std::optional<uint64_t> size;
    bool is_strong;
    std::optional<Run> placed;
    uint64_t length = 0;
  };
  const http::ByteRange middle{2, 5}, last{4, 9};
  const Row rows[] = {
      {{middle, 10}, 4, true, Run{2, 6}, 10},
      {{middle, 10}, 4, false, Run{2, 6}, 10},
      {{middle, 10}, std::nullopt, true, Run{2, 6}, 10},
      {{middle, std::nullopt}, 4, true, std::nullopt},  // nobody knows what is missing
      {{std::nullopt, 10}, 4, true, std::nullopt},
      {{middle, 10}, 3, false, std::nullopt},
      {{middle, 10}, 5, false, std::nullopt},
      {{last, 10}, 6, true, Run{4, 10}, 10},
      {{last, 10}, 5, true, std::nullopt},  // could be combined, at the wrong places
      {{last, 10}, 5, false, Run{4, 9}, 9},
      {{last, 10}, 7, false, std::nullopt},
      {{last, 10}, 0, false, std::nullopt},
      // It would be stored as a whole response of half the bytes (RFC 9111 3.3).
      {{http::ByteRange{0, 9}, 10}, 5, false, std::nullopt},
      {{http::ByteRange{0, 9}, 10}, 10, false, Run{0, 10}, 10},
  };
  for (const Row& row : rows) {
    const auto placed = place_part(row.said, row.size, row.is_strong);
    CHECK(placed.has_value() == row.placed.has_value());
    if (!placed || !row.placed) continue;
    CHECK(Run{placed->range.first, placed->range.last + 1} == *row.placed);
    CHECK(placed->length == row.length);
  }
}
