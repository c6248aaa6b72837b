#include "sluice/http/cache_control.h"

#include <doctest/doctest.h>

#include "field_rows.h"

using namespace sluice::http;
using sluice::http::test::FieldRows;

namespace {

using Maybe = std::optional<Seconds>;
constexpr Seconds operator""_s(unsigned long long n) { return Seconds(n); }

ResponseDirectives response(std::string_view value) {
  return parse_response_directives(FieldRows{{"Cache-Control", value}});
}
RequestDirectives request(std::string_view value) {
  return parse_request_directives(FieldRows{{"Cache-Control", value}});
}
std::optional<ResponseDirectives> targeted(std::string_view value) {
  return parse_targeted_directives(FieldRows{{"CDN-Cache-Control", value}}, "cdn-cache-control");
}

}  // namespace

TEST_CASE("http/cache_control: arguments of max-age (RFC 9111 5.2.2.1, 4.2.1, 1.2.2)") {
  struct Row {
    std::string_view value;
    Maybe max_age;
  };
  for (const Row& row : {
           Row{"", {}},
           Row{"public", {}},
           Row{"max-age=3600", 3600_s},
           Row{"MaX-aGe=3600", 3600_s},
           Row{"max-age=\"3600\"", 3600_s},
           Row{"max-age=003600", 3600_s},
           Row{"max-age=0", 0_s},
           Row{",, ,max-age=1 ,", 1_s},
           Row{"foobar, max-age=3600", 3600_s},
           Row{"foo=bar;baz, max-age=3600", 3600_s},
           Row{"max-age=2147483647", 2147483647_s},
           Row{"max-age=2147483648", kMostDelta},
           Row{"max-age=2147483649", kMostDelta},
           Row{"max-age=99999999999999999999999999999999", kMostDelta},
           // An argument that is no number: stale.
           Row{"max-age", 0_s},
           Row{"max-age=", 0_s},
           Row{"max-age=\"\"", 0_s},
           Row{"max-age=-3600", 0_s},
           Row{"max-age=+3600", 0_s},
           Row{"max-age=3600.0", 0_s},
           Row{"max-age=3600.5", 0_s},
           Row{"max-age='3600'", 0_s},
           Row{"max-age=a3600", 0_s},
           Row{"max-age=3600a", 0_s},
           Row{"max-age=36 00", 0_s},
           Row{"max-age=3600;x=1", 0_s},
           Row{"max-age =3600", 0_s},
           Row{"max-age= 3600", 0_s},
           Row{"max-age:3600", 0_s},
           Row{"max-age=\"3600", 0_s},
           Row{"max-age=\"36\\00\"", 0_s},
           Row{"max-age=\"36\"00", 0_s},
           // Of several the shortest.
           Row{"max-age=3600, max-age=1800", 1800_s},
           Row{"max-age=1, max-age=1800", 1_s},
           Row{"max-age=1800, max-age=x", 0_s},
           // What stands in quotes is no directive.
           Row{"extension=\"max-age=3600\", max-age=1", 1_s},
           Row{"max-age=1, extension=\"max-age=3600\"", 1_s},
           Row{"extension=\"a, max-age=3600\"", {}},
           Row{"extension=\"a\\\", max-age=3600\", max-age=2", 2_s},
           Row{"x-max-age=1", {}},
       }) {
    CAPTURE(row.value);
    CHECK(response(row.value).max_age == row.max_age);
  }
}

TEST_CASE(
    "http/cache_control: all lines are one list, the most restrictive holds (RFC 9111 4.2.1)") {
  const auto merged = parse_response_directives(FieldRows{{"cache-control", "max-age=3600, public"},
                                                          {"Expires", "0"},
                                                          {"Cache-Control", "s-maxage=1"},
                                                          {"CACHE-CONTROL", "max-age=1800"}});
  CHECK(merged.is_present);
  CHECK(merged.max_age == 1800_s);
  CHECK(merged.s_maxage == 1_s);
  CHECK(merged.is_public);
  CHECK_FALSE(parse_response_directives(FieldRows{{"Expires", "0"}}).is_present);
  CHECK(response("").is_present);
}

TEST_CASE("http/cache_control: response directives without arguments (RFC 9111 5.2.2, RFC 8246)") {
  const auto all = response(
      "no-store, No-Cache, private, public, must-revalidate, proxy-revalidate, must-understand,"
      "no-transform, immutable, stale-while-revalidate=30, stale-if-error=60");
  CHECK(all.no_store);
  CHECK(all.no_cache);
  CHECK(all.is_private);
  CHECK(all.is_public);
  CHECK(all.must_revalidate);
  CHECK(all.proxy_revalidate);
  CHECK(all.must_understand);
  CHECK(all.no_transform);
  CHECK(all.is_immutable);
  CHECK(all.stale_while_revalidate == 30_s);
  CHECK(all.stale_if_error == 60_s);
  const auto none = response("no-stor, no-storee, nostore, publi, x");
  CHECK_FALSE(none.no_store);
  CHECK_FALSE(none.is_public);
  CHECK_FALSE(none.stale_if_error);
}

TEST_CASE("http/cache_control: malformed ones forbid but do not loosen (RFC 9111 4.2.1)") {
  for (std::string_view value :
       {"no-store=1", "no-store x", "no-store =", "no-store=\"", "a=\"b, no-store", "no-store;x"}) {
    CAPTURE(value);
    CHECK(response(value).no_store);
  }
  CHECK_FALSE(response("public=1").is_public);
  CHECK_FALSE(response("public x").is_public);
  CHECK_FALSE(response("immutable=\"\"").is_immutable);
  CHECK_FALSE(response("must-understand=1").must_understand);
  CHECK(response("stale-while-revalidate").stale_while_revalidate == 0_s);
  CHECK(response("stale-if-error=60, stale-if-error=x").stale_if_error == 0_s);
}

TEST_CASE("http/cache_control: no-cache and private with names (RFC 9111 5.2.2.4, 5.2.2.7)") {
  const auto named = response("no-cache=\"a, Set-Cookie\", max-age=1, private=\"b\", no-cache=c");
  CHECK_FALSE(named.no_cache);
  CHECK_FALSE(named.is_private);
  CHECK(named.no_cache_fields.names("A"));
  CHECK(named.no_cache_fields.names("set-cookie"));
  CHECK(named.no_cache_fields.names("c"));
  CHECK_FALSE(named.no_cache_fields.names("b"));
  CHECK_FALSE(named.no_cache_fields.names(""));
  CHECK_FALSE(named.no_cache_fields.names("set-cooki"));
  CHECK(named.private_fields.names("b"));
  CHECK(named.max_age == 1_s);
  CHECK(response("no-cache=\"a\", no-cache").no_cache);
  for (std::string_view unnamed :
       {"no-cache=\"\"", "no-cache=\" , \"", "no-cache=\"a b\"", "no-cache=\"a\\b\"",
        "no-cache=", "no-cache=\"a", "no-cache=\"a\"b",
        "no-cache=a, no-cache=b, no-cache=c, no-cache=d, no-cache=e"}) {
    CAPTURE(unnamed);
    CHECK(response(unnamed).no_cache);
  }
}

TEST_CASE("http/cache_control: request directives (RFC 9111 5.2.1, RFC 5861 4)") {
  const auto all = request(
      "max-age=1, min-fresh=3, no-cache, no-store, ONLY-if-cached, "
      "no-transform,stale-if-error=\"4\"");
  CHECK(all.max_age == 1_s);
  CHECK(all.min_fresh == 3_s);
  CHECK(all.no_cache);
  CHECK(all.no_store);
  CHECK(all.only_if_cached);
  CHECK(all.no_transform);
  CHECK(all.stale_if_error == 4_s);
  CHECK_FALSE(all.max_stale);
  CHECK(request("max-stale=1000").max_stale == 1000_s);
  CHECK(request("max-stale").max_stale == kMostDelta);
  CHECK(request("max-stale, max-stale=5").max_stale == 5_s);
  CHECK(request("max-stale=x").max_stale == 0_s);
  CHECK(request("max-stale=").max_stale == 0_s);
  CHECK(request("max-age=x").max_age == 0_s);
  CHECK(request("min-fresh=5, min-fresh=9").min_fresh == 9_s);
  CHECK(request("min-fresh=x").min_fresh == kMostDelta);
  CHECK(request("no-cache=\"x\"").no_cache);
  const auto none = request("nothing-to-see-here");
  CHECK(none.is_present);
  CHECK_FALSE(none.no_cache);
  CHECK_FALSE(none.max_age);
}

TEST_CASE("http/cache_control: Pragma counts only without Cache-Control (RFC 9111 5.4)") {
  CHECK(parse_request_directives(FieldRows{{"Pragma", "no-cache"}}).no_cache);
  CHECK(parse_request_directives(FieldRows{{"Pragma", "x=\",\""}, {"pragma", "x,No-Cache"}})
            .no_cache);
  CHECK_FALSE(parse_request_directives(FieldRows{{"Pragma", "x=\"no-cache\""}}).no_cache);
  CHECK_FALSE(parse_request_directives(FieldRows{{"Pragma", "foo"}}).no_cache);
  CHECK_FALSE(
      parse_request_directives(FieldRows{{"Pragma", "no-cache"}, {"Cache-Control", "max-age=9"}})
          .no_cache);
}

TEST_CASE("http/cache_control: a targeted field is a dictionary (RFC 9213 2.1)") {
  const auto good = targeted(
      "max-age=60, foobar;x=1, no-store=?0, must-revalidate=?1;a, s-maxage=5,"
      "private=\"Set-Cookie, b\", stale-if-error=600000000000000");
  REQUIRE(good);
  CHECK(good->max_age == 60_s);
  CHECK(good->s_maxage == 5_s);
  CHECK_FALSE(good->no_store);
  CHECK(good->must_revalidate);
  CHECK(good->private_fields.names("set-cookie"));
  CHECK_FALSE(good->is_private);
  CHECK(good->stale_if_error == kMostDelta);
  CHECK(targeted("none").has_value());  // says nothing, but is there (section 3.1)
  CHECK(targeted("private")->is_private);
  CHECK(targeted("no-cache=a")->no_cache_fields.names("a"));
  CHECK(targeted("no-cache=(a b)")->no_cache);
  CHECK(targeted("no-store=5")->no_store);
  CHECK_FALSE(targeted("public=5")->is_public);
  CHECK(targeted("max-age=-1")->max_age == 0_s);
  CHECK(targeted("max-age=99999999999")->max_age == kMostDelta);
  CHECK(targeted("max-age=10, max-age=20")->max_age == 10_s);
}

TEST_CASE("http/cache_control: a bad targeted field is ignored (RFC 9213 2.1)") {
  for (std::string_view value :
       {"", "max-age=10000, &&&&&", "max-age=\"10000\"", "max-age=10.0", "max-age", "MaX-aGe=3600",
        "max-age =100", "max-age= 100", "max-age=100,", "max-age=100 no-store", "no-store,,a",
        "max-age=1000000000000000", "a=\"x, no-store", "=1"}) {
    CAPTURE(value);
    CHECK_FALSE(targeted(value));
  }
  CHECK_FALSE(parse_targeted_directives(FieldRows{{"Cache-Control", "max-age=1"}}, "x-target"));
  CHECK(parse_targeted_directives(FieldRows{{"x-target", "max-age=1"}, {"X-Target", "no-store"}},
                                  "x-target")
            ->no_store);
  CHECK_FALSE(parse_targeted_directives(FieldRows{{"x-target", "max-age=1"}, {"X-Target", "&"}},
                                        "x-target"));
}

TEST_CASE("http/cache_control: Age (RFC 9111 5.1)") {
  struct Row {
    std::string_view value;
    Seconds age;
    bool is_bad;
  };
  for (const Row& row : {
           Row{"0", 0_s, false},
           Row{"7200", 7200_s, false},
           Row{"99999999999999999999", kMostDelta, false},
           Row{"7200,0", 7200_s, false},  // the first member holds
           Row{"0,7200", 0_s, false},
           Row{"0, 0", 0_s, true},  // two lines combined on the way
           Row{"3600, 3600", 0_s, true},
           Row{"", 0_s, true},
           Row{"abc", 0_s, true},
           Row{"-7200", 0_s, true},
           Row{"7200.0", 0_s, true},
           Row{"7200;foo=bar", 0_s, true},
           Row{",7200", 0_s, true},
       }) {
    CAPTURE(row.value);
    const ReceivedAge age = parse_age(FieldRows{{"Age", row.value}});
    CHECK(age.age == row.age);
    CHECK(age.is_bad == row.is_bad);
  }
  CHECK(parse_age(FieldRows{{"Age", "0"}, {"Age", "7200"}}).is_bad);
  CHECK(parse_age(FieldRows{{"Age", "7200"}, {"Age", "7200"}}).is_bad);
  CHECK_FALSE(parse_age(FieldRows{{"Date", "0"}}).is_bad);
}
