#include "sluice/http/conditional.h"

#include <doctest/doctest.h>

#include <initializer_list>
#include <string_view>

#include "field_rows.h"

using namespace sluice::http;
using sluice::http::test::FieldRows;

namespace {

constexpr int64_t kNow = 1798761599;
constexpr int64_t kModified = 784111777;  // Sun, 06 Nov 1994 08:49:37 GMT
constexpr std::string_view kAtModified = "Sun, 06 Nov 1994 08:49:37 GMT";
constexpr std::string_view kBefore = "Sun, 06 Nov 1994 08:49:36 GMT";
constexpr std::string_view kAfter = "Sun, 06 Nov 1994 08:49:38 GMT";

Validators validators(std::string_view etag, std::optional<int64_t> last_modified = kModified) {
  return {parse_entity_tag(etag), last_modified, kModified + 100};
}

Precondition ask(const FieldRows& rows, const Validators& against, Method method = Method::get) {
  RequestHead request;
  request.method = method;
  request.fields = rows;
  return evaluate_preconditions(request, against, kNow);
}

}  // namespace

TEST_CASE("http/conditional: entity tags (RFC 9110 8.8.3)") {
  CHECK(parse_entity_tag("\"abc\"")->opaque == "abc");
  CHECK_FALSE(parse_entity_tag("\"abc\"")->is_weak);
  CHECK(parse_entity_tag("W/\"a,b\"")->opaque == "a,b");
  CHECK(parse_entity_tag("W/\"a\"")->is_weak);
  CHECK(parse_entity_tag("\"\"")->opaque == "");
  CHECK(parse_entity_tag("\"a\\\"")->opaque == "a\\");
  CHECK(parse_entity_tag("\"\xc3\xbc\"").has_value());
  for (std::string_view bad :
       {"", "abc", "\"", "\"abc", "abc\"", "w/\"a\"", "W\"a\"", "W\\\"a\"", "W/a", "W/", "W",
        "\"a b\"", "\"a\" ", "\"a\"x", "\"a\"\"b\"", "\"\x7f\"", "*", "'a'"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_entity_tag(bad));
  }
}

TEST_CASE("http/conditional: strong and weak comparison (RFC 9110 8.8.3.2)") {
  struct Row {
    EntityTag a, b;
    bool strongly, weakly;
  };
  for (const Row& row :
       {Row{{"1", true}, {"1", true}, false, true}, Row{{"1", true}, {"2", true}, false, false},
        Row{{"1", true}, {"1", false}, false, true}, Row{{"1", false}, {"1", false}, true, true}}) {
    CHECK(matches_strongly(row.a, row.b) == row.strongly);
    CHECK(matches_weakly(row.a, row.b) == row.weakly);
    CHECK(matches_weakly(row.b, row.a) == row.weakly);
  }
}

TEST_CASE("http/conditional: validators of a response (RFC 9110 8.8, RFC 9111 4.3.2)") {
  const FieldRows rows{{"ETag", "W/\"x\""}, {"Last-Modified", kAtModified}, {"Date", kAfter}};
  const auto all = validators_of(rows, 5);
  CHECK(all.etag->is_weak);
  CHECK(all.last_modified == kModified);
  CHECK(all.date == kModified + 1);
  const FieldRows bad_rows{{"ETag", "x"}, {"Last-Modified", "0"}, {"Date", "yesterday"}};
  const auto bad = validators_of(bad_rows, 5);
  CHECK_FALSE(bad.etag);
  CHECK_FALSE(bad.last_modified);
  CHECK(bad.date == 5);
  const FieldRows twice{{"ETag", "\"x\""}, {"ETag", "\"y\""}};
  CHECK_FALSE(validators_of(twice, 5).etag);
}

TEST_CASE("http/conditional: If-None-Match compares weakly (RFC 9110 13.1.2)") {
  struct Row {
    std::string_view value, etag;
    Precondition verdict;
  };
  using enum Precondition;
  for (const Row& row : {
           Row{"\"a\"", "\"a\"", not_modified},
           Row{"\"a\"", "W/\"a\"", not_modified},
           Row{"W/\"a\"", "\"a\"", not_modified},
           Row{"\"b\"", "\"a\"", proceed},
           Row{"\"a\"", "", proceed},
           Row{"\"a\", \"1\", \"2\"", "\"a\"", not_modified},
           Row{"\"1\" ,\t\"a\", \"2\"", "\"a\"", not_modified},
           Row{",, \"1\",,\"2\",\"a\",", "\"a\"", not_modified},
           Row{"\"1,\", \"a\"", "\"1\"", proceed},
           Row{"\"x, \"a\"", "\"a\"", proceed},
           Row{"*", "\"a\"", not_modified},
           Row{"*", "", not_modified},
           Row{"*, \"b\"", "\"a\"", proceed},  // "*" stands alone or is nothing
           Row{"a", "\"a\"", proceed},
           Row{"\"1\", a, \"a\"", "\"a\"", proceed},
           Row{"\"a\"b", "\"a\"", proceed},
           Row{"", "\"a\"", proceed},
       }) {
    CAPTURE(row.value);
    CHECK(ask({{"If-None-Match", row.value}}, validators(row.etag)) == row.verdict);
  }
  CHECK(ask({{"If-None-Match", "\"b\""}, {"If-None-Match", "\"a\""}}, validators("\"a\"")) ==
        not_modified);
  CHECK(ask({{"If-None-Match", "\"a\""}}, validators("\"a\""), Method::head) == not_modified);
  CHECK(ask({{"If-None-Match", "\"a\""}}, validators("\"a\""), Method::put) == failed);
  CHECK(ask({{"If-None-Match", "*"}}, validators("\"a\""), Method::put) == failed);
  CHECK(ask({{"If-None-Match", "\"b\""}}, validators("\"a\""), Method::put) == proceed);
}

TEST_CASE("http/conditional: If-Modified-Since (RFC 9110 13.1.3)") {
  using enum Precondition;
  const auto since = [](std::string_view date, const Validators& against,
                        Method method = Method::get) {
    return ask({{"If-Modified-Since", date}}, against, method);
  };
  CHECK(since(kAtModified, validators("")) == not_modified);
  CHECK(since(kAfter, validators("")) == not_modified);
  CHECK(since(kBefore, validators("")) == proceed);
  CHECK(since("Sunday, 06-Nov-94 08:49:37 GMT", validators("")) == not_modified);
  CHECK(since("Sun Nov  6 08:49:37 1994", validators("")) == not_modified);
  CHECK(since(kAfter, validators(""), Method::head) == not_modified);
  CHECK(since(kAfter, validators(""), Method::post) == none);
  CHECK(since("yesterday", validators("")) == none);
  CHECK(since("0", validators("")) == none);
  CHECK(ask({{"If-Modified-Since", kAfter}, {"If-Modified-Since", kAfter}}, validators("")) ==
        none);
  // Without Last-Modified the Date is what counts (RFC 9111 section 4.3.2).
  CHECK(since(kAfter, validators("", std::nullopt)) == proceed);
  CHECK(since("Sun, 06 Nov 1994 08:51:17 GMT", validators("", std::nullopt)) == not_modified);
  CHECK(since(kAfter, Validators{}) == none);
}

TEST_CASE("http/conditional: precedence (RFC 9110 13.2.2)") {
  using enum Precondition;
  const auto stored = validators("\"a\"");
  struct Row {
    FieldRows rows;
    Precondition verdict;
    Method method = Method::get;
  };
  const std::initializer_list<Row> rows = {
      {{{"If-None-Match", "\"a\""}, {"If-Modified-Since", kBefore}}, not_modified},
      {{{"If-None-Match", "\"b\""}, {"If-Modified-Since", kAfter}}, proceed},
      {{{"If-Match", "\"a\""}}, proceed},
      {{{"If-Match", "\"b\", \"a\""}}, proceed, Method::put},
      {{{"If-Match", "*"}}, proceed, Method::delete_},
      {{{"If-Match", "\"b\""}}, failed},
      {{{"If-Match", "W/\"a\""}}, failed},
      {{{"If-Match", "\"b\""}, {"If-None-Match", "\"a\""}}, failed},
      {{{"If-Match", "\"a\""}, {"If-None-Match", "\"a\""}}, not_modified},
      {{{"If-Match", "\"a\""}, {"If-Unmodified-Since", kBefore}}, proceed},
      {{{"If-Unmodified-Since", kBefore}}, failed},
      {{{"If-Unmodified-Since", kAtModified}}, proceed},
      {{{"If-Unmodified-Since", kAfter}}, proceed, Method::put},
      {{{"If-Unmodified-Since", "x"}}, none},
      {{{"If-Unmodified-Since", kAfter}, {"If-Modified-Since", kAfter}}, not_modified},
      {{{"Accept", "*/*"}}, none},
  };
  int i = 0;
  for (const Row& row : rows) {
    CAPTURE(i);
    CHECK(ask(row.rows, stored, row.method) == row.verdict);
    ++i;
  }
  CHECK(ask({{"If-Unmodified-Since", kBefore}}, validators("\"a\"", std::nullopt)) == none);
  CHECK(has_origin_precondition(FieldRows{{"if-match", "x"}}));
  CHECK(has_origin_precondition(FieldRows{{"if-unmodified-since", "x"}}));
  CHECK_FALSE(has_origin_precondition(FieldRows{{"if-none-match", "x"}}));
}

TEST_CASE("http/conditional: If-Range compares strongly (RFC 9110 13.1.5, 8.8.2.2)") {
  const auto holds = [](std::string_view value, const Validators& against) {
    const FieldRows rows{{"If-Range", value}};
    return if_range_holds(rows, against, kNow);
  };
  CHECK(if_range_holds(FieldRows{{"Range", "bytes=0-"}}, {}, kNow));
  CHECK(holds("\"a\"", validators("\"a\"")));
  CHECK_FALSE(holds("\"b\"", validators("\"a\"")));
  CHECK_FALSE(holds("W/\"a\"", validators("W/\"a\"")));
  CHECK_FALSE(holds("\"a\"", validators("W/\"a\"")));
  CHECK_FALSE(holds("\"a\", \"b\"", validators("\"a\"")));
  CHECK_FALSE(holds("\"a\"", validators("")));
  CHECK_FALSE(holds("a", validators("\"a\"")));
  CHECK(holds(kAtModified, validators("\"a\"")));
  CHECK_FALSE(holds(kAfter, validators("\"a\"")));
  CHECK_FALSE(holds(kBefore, validators("\"a\"")));
  CHECK_FALSE(holds(kAtModified, validators("\"a\"", std::nullopt)));
  CHECK_FALSE(holds(kAtModified, {std::nullopt, kModified, kModified}));  // weak: the same second
  CHECK(holds(kAtModified, {std::nullopt, kModified, kModified + 1}));
  CHECK_FALSE(if_range_holds(FieldRows{{"If-Range", "\"a\""}, {"If-Range", "\"a\""}},
                             validators("\"a\""), kNow));
}
