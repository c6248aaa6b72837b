#include "sluice/cache/policy_fields.h"

#include "policy_cases.h"

using namespace sluice;
using namespace sluice::cache;
using namespace sluice::cache::test;

TEST_CASE("cache/policy: fields that are not stored (RFC 9111 3.1, 5.2.2.4, 5.2.2.7)") {
  Judge judge;
  const auto plan = judge.store({{{"Cache-Control", "max-age=60, no-cache=\"a\", private=\"b, c\""},
                                  {"Connection", "d, keep-alive"},
                                  {"A", "1"},
                                  {"B", "1"},
                                  {"C", "1"},
                                  {"D", "1"},
                                  {"E", "1"},
                                  {"Keep-Alive", "1"},
                                  {"Proxy-Connection", "1"},
                                  {"Proxy-Authenticate", "1"},
                                  {"Proxy-Authentication-Info", "1"},
                                  {"Proxy-Authorization", "1"},
                                  {"TE", "1"},
                                  {"Transfer-Encoding", "chunked"},
                                  {"Upgrade", "1"},
                                  {"Age", "1"},
                                  {"Set-Cookie", "x=y"},
                                  {"Content-Length", "5"},
                                  {"Content-Encoding", "gzip"},
                                  {"Clear-Site-Data", "1"},
                                  {"CDN-Cache-Control", "max-age="},
                                  {"Date", kDateBefore}}});
  REQUIRE(plan.is_stored());
  std::string names;
  for (const http::Field& field : plan.fields) names += std::string(field.name) + " ";
  CHECK(names ==
        "Cache-Control E Set-Cookie Content-Length Content-Encoding Clear-Site-Data "
        "CDN-Cache-Control Date ");
  CHECK(values_of(plan.fields, "Date") == kDateBefore);
}

TEST_CASE("cache/policy: a stored response has a Date (RFC 9110 6.6.1)") {
  for (const FieldRows& dates :
       {FieldRows{{"Cache-Control", "max-age=60"}},
        FieldRows{{"Cache-Control", "max-age=60"}, {"Date", "foo"}},
        FieldRows{{"Cache-Control", "max-age=60"}, {"Date", kDateNow}, {"Date", kDateBefore}},
        FieldRows{{"Cache-Control", "max-age=60, private=\"date\""}, {"Date", kDateBefore}}}) {
    Judge judge;
    CHECK(values_of(judge.store({dates}).fields, "Date") == kDateNow);
  }
}

TEST_CASE("cache/policy: what a 304 changes of the stored fields (RFC 9111 3.2, 4.3.4)") {
  struct Row {
    FieldRows stored, fresh;
    std::string_view name, result;
  };
  const std::initializer_list<Row> rows = {
      {{{"X-A", "1"}}, {}, "X-A", "1"},
      {{{"X-A", "1"}}, {{"x-a", "2"}}, "X-A", "2"},
      {{{"X-A", "1"}, {"X-A", "2"}}, {{"X-A", "3"}}, "X-A", "3"},
      {{{"X-A", "1"}}, {{"X-A", "2"}, {"X-A", "3"}}, "X-A", "2|3"},
      {{{"X-A", "1"}}, {{"X-B", "2"}}, "X-B", "2"},
      {{{"Cache-Control", "max-age=1"}},
       {{"Cache-Control", "max-age=9"}},
       "Cache-Control",
       "max-age=9"},
      {{{"Expires", "1"}}, {{"Expires", "2"}}, "Expires", "2"},
      {{{"Set-Cookie", "a=b"}}, {{"Set-Cookie", "a=c"}}, "Set-Cookie", "a=c"},
      // 7.3: that client's, not to be given to all.
      {{}, {{"Set-Cookie", "a=c"}}, "Set-Cookie", ""},
      {{{"Set-Cookie2", "a=b"}}, {{"Set-Cookie2", "a=c"}}, "Set-Cookie2", "a=c"},
      {{{"Content-Type", "a/b"}}, {{"Content-Type", "c/d"}}, "Content-Type", "c/d"},
      {{{"Content-Location", "/a"}}, {{"Content-Location", "/b"}}, "Content-Location", "/b"},
      {{{"Content-Foo", "1"}}, {{"Content-Foo", "2"}}, "Content-Foo", "2"},
      {{{"Last-Modified", "1"}}, {{"Last-Modified", "2"}}, "Last-Modified", "2"},
      {{{"X-Forwarded-A", "1"}}, {{"X-Forwarded-B", "2"}}, "X-Forwarded-A", "1"},
      // These describe the stored bytes.
      {{{"Content-Length", "5"}}, {{"Content-Length", "10"}}, "Content-Length", "5"},
      {{{"Content-Encoding", "gzip"}}, {{"Content-Encoding", "br"}}, "Content-Encoding", "gzip"},
      {{{"Content-Range", "1"}}, {{"Content-Range", "2"}}, "Content-Range", "1"},
      {{{"Content-MD5", "1"}}, {{"Content-MD5", "2"}}, "Content-MD5", "1"},
      {{{"ETag", "\"a\""}}, {{"ETag", "\"b\""}}, "ETag", "\"a\""},
      {{}, {{"Content-Length", "10"}}, "Content-Length", ""},
      // 3.1: what would not be stored does not update.
      {{{"X-A", "1"}}, {{"X-A", "2"}, {"Connection", "x-a"}}, "X-A", "1"},
      {{}, {{"Keep-Alive", "5"}}, "Keep-Alive", ""},
      {{}, {{"Transfer-Encoding", "chunked"}}, "Transfer-Encoding", ""},
      // Age and Date are the 304's, or none.
      {{{"Date", kDateBefore}}, {{"Date", kDateNow}}, "Date", kDateNow},
      {{{"Date", kDateBefore}}, {}, "Date", ""},
      {{}, {{"Age", "5"}}, "Age", "5"},
  };
  int i = 0;
  for (const Row& row : rows) {
    CAPTURE(i);
    Judge judge;
    CHECK(values_of(update_fields(row.stored, row.fresh, judge.arena), row.name) == row.result);
    ++i;
  }
}

TEST_CASE("cache/policy: after a 304 freshness starts anew (RFC 9111 4.3.4)") {
  Judge judge;
  judge.is_update = true;
  const FieldRows stored{{"Cache-Control", "max-age=2"}, {"Date", kDateBefore}, {"ETag", "\"a\""}};
  const auto updated = [&](const FieldRows& fresh) {
    const auto fields = update_fields(stored, fresh, judge.arena);
    http::RequestHead request;
    request.method = http::Method::get;
    http::ResponseHead response;
    response.status = 200;
    response.fields = http::FieldList(fields);
    return judge_store({.request = request,
                        .url = kUrl,
                        .response = response,
                        .sent = kNow,
                        .came = kNow,
                        .is_update = true},
                       {}, judge.arena);
  };
  const auto silent = updated({});
  CHECK(silent.times.freshness == 2_s);
  CHECK(silent.times.initial_age == 0_s);
  CHECK(values_of(silent.fields, "Date") == kDateNow);
  CHECK(updated({{"Cache-Control", "max-age=9"}, {"Age", "3"}}).times.initial_age == 3_s);
  CHECK(updated({{"Cache-Control", "max-age=9"}}).times.freshness == 9_s);
  CHECK(updated({{"Cache-Control", "private"}}).refused == NoStoreReason::kPrivate);
}

TEST_CASE("cache/policy: what goes out with a 304 of our own (RFC 9110 15.4.5)") {
  const FieldRows tagged{{"ETag", "\"a\""}};
  const FieldRows untagged{{"Last-Modified", kDateNow}};
  const auto goes = [](std::string_view name, const FieldRows& fields) {
    return is_sent_with_304({name, "x", http::field_id(name)}, fields);
  };
  for (std::string_view name : {"Cache-Control", "Content-Location", "Date", "ETag", "Expires",
                                "Vary", "Set-Cookie", "Access-Control-Allow-Origin"}) {
    CAPTURE(name);
    CHECK(goes(name, tagged));
  }
  for (std::string_view name : {"Content-Type", "Content-Length", "content-encoding",
                                "Content-Language", "Content-Range", "Content-MD5"}) {
    CAPTURE(name);
    CHECK_FALSE(goes(name, tagged));
  }
  CHECK_FALSE(goes("Last-Modified", tagged));
  CHECK(goes("Last-Modified", untagged));
}
