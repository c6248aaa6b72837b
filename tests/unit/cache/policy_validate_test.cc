#include "sluice/cache/policy_validate.h"

#include <deque>
#include <vector>

#include "policy_cases.h"

using namespace sluice;
using namespace sluice::cache;
using namespace sluice::cache::test;

namespace {

constexpr std::string_view kModified = "Sun, 06 Nov 1994 08:00:00 GMT";

// Stored responses that live as long as this; each came a second after the one before.
class Shelf {
 public:
  Shelf(std::initializer_list<FieldRows> rows) {
    for (const FieldRows& one : rows) {
      rows_.push_back(one);
      lists_.push_back(rows_.back().list());
      stored_.push_back({lists_.back(), kNow + std::chrono::seconds(stored_.size())});
    }
  }
  std::span<const Stored> all() const { return stored_; }
  const Stored& operator[](size_t i) const { return stored_[i]; }

 private:
  std::deque<FieldRows> rows_;
  std::deque<http::FieldList> lists_;
  std::vector<Stored> stored_;
};

}  // namespace

TEST_CASE("cache/policy: conditions of our own (RFC 9111 4.3.1)") {
  struct Row {
    Shelf shelf;
    std::optional<size_t> matching;
    std::string_view if_none_match, if_modified_since;
    StoredSet asked;
  };
  const std::initializer_list<Row> rows = {
      {{{}}, 0, "", "", 0},
      {{{{"ETag", "\"a\""}}}, 0, "\"a\"", "", 1},
      {{{{"ETag", "W/\"a\""}}}, 0, "W/\"a\"", "", 1},
      {{{{"Last-Modified", kModified}}}, 0, "", kModified, 1},
      {{{{"ETag", "\"a\""}, {"Last-Modified", kModified}}}, 0, "\"a\"", kModified, 1},
      {{{{"ETag", "a"}}}, 0, "", "", 0},
      {{{{"Last-Modified", "x"}}}, 0, "", "", 0},
      {{{{"ETag", "\"a\""}, {"ETag", "\"b\""}}}, 0, "", "", 0},
      // the one that matches first, all of them named
      {{{{"ETag", "\"a\""}}, {{"ETag", "\"b\""}}}, 1, "\"b\", \"a\"", "", 3},
      {{{{"ETag", "\"a\""}}, {{"X", "1"}}, {{"ETag", "\"c\""}}}, {}, "\"a\", \"c\"", "", 5},
      // a date only for one that matches, and only where no other is asked about
      {{{{"Last-Modified", kModified}}}, {}, "", "", 0},
      {{{{"Last-Modified", kModified}}, {{"X", "1"}}}, 0, "", kModified, 1},
      {{{{"Last-Modified", kModified}}, {{"ETag", "\"b\""}}}, 0, "\"b\"", "", 2},
  };
  int i = 0;
  for (const Row& row : rows) {
    CAPTURE(i);
    Judge judge;
    const auto got = conditions_for(row.shelf.all(), row.matching, judge.arena);
    CHECK(got.if_none_match == row.if_none_match);
    CHECK(got.if_modified_since == row.if_modified_since);
    CHECK(got.asked == row.asked);
    ++i;
  }
}

TEST_CASE("cache/policy: tags without end do not make a request without end") {
  const std::string tag = "\"" + std::string(3000, 'a') + "\"";
  const Shelf shelf{{{"ETag", tag}}, {{"ETag", tag}}, {{"ETag", "\"b\""}}};
  Judge judge;
  const auto got = conditions_for(shelf.all(), 1, judge.arena);
  CHECK(got.asked == 0b110);
  CHECK(got.if_none_match.size() == tag.size() + 5);
}

TEST_CASE("cache/policy: If-Range and combining need a strong validator (RFC 9111 3.4)") {
  const Shelf shelf{
      {{"ETag", "\"a\""}, {"Last-Modified", kModified}, {"Date", kDateNow}},
      {{"ETag", "W/\"a\""}, {"Last-Modified", kModified}, {"Date", kDateNow}},
      {{"Last-Modified", kModified}, {"Date", kDateNow}},
      {{"Last-Modified", kModified}, {"Date", kModified}},
      {},
      {{"ETag", "\"a\""}},
      {{"ETag", "\"b\""}, {"Last-Modified", kModified}, {"Date", kDateNow}},
  };
  CHECK(range_condition(shelf[0]) == "\"a\"");
  CHECK(range_condition(shelf[1]) == "");
  CHECK(range_condition(shelf[2]) == kModified);
  CHECK(range_condition(shelf[3]) == "");
  CHECK(range_condition(shelf[4]) == "");

  CHECK(may_combine(shelf[0], shelf[5]));
  CHECK(may_combine(shelf[2], shelf[2]));
  CHECK_FALSE(may_combine(shelf[0], shelf[6]));
  CHECK_FALSE(may_combine(shelf[0], shelf[2]));
  CHECK_FALSE(may_combine(shelf[1], shelf[1]));
  CHECK_FALSE(may_combine(shelf[3], shelf[3]));
  CHECK_FALSE(may_combine(shelf[2], shelf[3]));
  CHECK_FALSE(may_combine(shelf[4], shelf[4]));
}

TEST_CASE("cache/policy: which variants of others may become the answer by a 304 (RFC 9111 4.1)") {
  const auto may = [](const FieldRows& stored, const FieldRows& request) {
    const http::FieldList fields = stored;
    return may_select({fields, kNow}, request);
  };
  const FieldRows gzip{{"ETag", "\"a\""}, {"Content-Encoding", "gzip"}};
  CHECK(may({{"ETag", "\"a\""}}, {}));
  CHECK_FALSE(may({{"ETag", "W/\"a\""}}, {}));
  CHECK_FALSE(may({{"Last-Modified", kModified}}, {}));
  CHECK_FALSE(may(gzip, {}));
  CHECK(may(gzip, {{"Accept-Encoding", "br, gzip"}}));
  CHECK_FALSE(may(gzip, {{"Accept-Encoding", "br"}}));
}

TEST_CASE("cache/policy: what an answer to a validation means (RFC 9111 4.3.3)") {
  using enum ValidationAnswer;
  CHECK(answer_of(304) == not_modified);
  for (int status : {200, 206, 301, 404, 410, 416, 501, 505}) CHECK(answer_of(status) == replaced);
  for (int status : {500, 502, 503, 504}) CHECK(answer_of(status) == failed);
}

TEST_CASE("cache/policy: which stored responses a 304 updates (RFC 9111 4.3.4)") {
  const Shelf shelf{
      {{"ETag", "\"a\""}},
      {{"ETag", "W/\"b\""}},
      {{"ETag", "\"a\""}},
      {{"ETag", "\"b\""}},
      {{"Last-Modified", kModified}},
      {{"Last-Modified", kModified}, {"ETag", "\"c\""}},
      {},
  };
  struct Row {
    FieldRows not_modified;
    StoredSet asked, selected;
  };
  const std::initializer_list<Row> rows = {
      // asked about one: it is that one
      {{{"ETag", "\"a\""}}, 0b1, 0b1},
      {{}, 0b1, 0b1},
      {{{"ETag", "\"x\""}}, 0b1, 0b1},
      {{{"ETag", "W/\"a\""}}, 0b1, 0b1},
      // a strong validator: all that have the same
      {{{"ETag", "\"a\""}}, 0b1111, 0b101},
      {{{"ETag", "\"b\""}}, 0b1111, 0b1000},
      {{{"ETag", "\"x\""}}, 0b1111, 0},
      {{{"ETag", "\"x\""}, {"Last-Modified", kModified}}, 0b1111, 0},
      // a weak one: the most recent that corresponds
      {{{"ETag", "W/\"b\""}}, 0b1111, 0b1000},
      {{{"ETag", "W/\"a\""}}, 0b1111, 0b100},
      {{{"ETag", "W/\"x\""}}, 0b1111, 0},
      {{{"Last-Modified", kModified}}, 0b110001, 0b100000},
      {{{"Last-Modified", kDateNow}}, 0b110001, 0},
      // none: nobody can tell
      {{}, 0b1111, 0},
  };
  int i = 0;
  for (const Row& row : rows) {
    CAPTURE(i);
    const http::FieldList fields = row.not_modified;
    CHECK(select_stored(shelf.all(), row.asked, {fields, kNow}) == row.selected);
    ++i;
  }
}

TEST_CASE("cache/policy: what HEAD says of a stored response to GET (RFC 9111 4.3.5)") {
  struct Row {
    FieldRows stored, head;
    std::optional<uint64_t> length;
    HeadEffect effect;
  };
  using enum HeadEffect;
  const std::initializer_list<Row> rows = {
      {{}, {}, {}, update},
      {{{"ETag", "\"a\""}}, {}, 5, update},
      {{{"ETag", "\"a\""}}, {{"ETag", "\"a\""}}, 5, update},
      {{{"ETag", "\"a\""}}, {{"ETag", "\"b\""}}, 5, mark_stale},
      {{{"ETag", "\"a\""}}, {{"ETag", "W/\"a\""}}, 5, mark_stale},
      {{}, {{"ETag", "\"a\""}}, 5, mark_stale},
      {{{"Last-Modified", kModified}}, {{"Last-Modified", kModified}}, 5, update},
      {{{"Last-Modified", kModified}}, {{"Last-Modified", kDateNow}}, 5, mark_stale},
      {{}, {{"Content-Length", "5"}}, 5, update},
      {{}, {{"Content-Length", "6"}}, 5, mark_stale},
      {{}, {{"Content-Length", "x"}}, 5, mark_stale},
      {{}, {{"Content-Length", "6"}}, {}, update},
  };
  int i = 0;
  for (const Row& row : rows) {
    CAPTURE(i);
    const http::FieldList stored = row.stored, head = row.head;
    CHECK(judge_head({stored, kNow}, row.length, {head, kNow}) == row.effect);
    ++i;
  }
}
