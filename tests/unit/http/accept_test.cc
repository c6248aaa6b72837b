#include "sluice/http/accept.h"

#include <doctest/doctest.h>

#include <string>

#include "field_rows.h"
#include "heads.h"
#include "sluice/base/strings.h"

using namespace sluice::http;
using namespace sluice::http::test;

namespace {

std::string normal(const FieldRows& rows, std::string_view name) {
  Memory memory;
  const auto text = normal_selecting_field(rows, name, memory.arena);
  return text ? std::string(*text) : "absent";
}
std::string normal_of(std::string_view name, std::string_view value) {
  return normal({{name, value}}, name);
}
std::string encoding(std::string_view value) { return normal_of("Accept-Encoding", value); }
std::string language(std::string_view value) { return normal_of("accept-language", value); }

}  // namespace

TEST_CASE("http/accept: Accept-Encoding in one spelling (RFC 9111 4.1, RFC 9110 12.5.3)") {
  struct Row {
    std::string_view value, normal;
  };
  for (const Row& row : {
           Row{"gzip, br", "br,gzip"},
           Row{"br,gzip", "br,gzip"},
           Row{" GZIP ;q=1.0 ,\tBr; Q=1.000", "br,gzip"},
           Row{"gzip;q=0.500, br;q=0.5, zstd", "zstd,br;q=0.5,gzip;q=0.5"},
           Row{"gzip;q=0.125, br;q=0.12", "gzip;q=0.125,br;q=0.12"},
           Row{"gzip;q=0.001", "gzip;q=0.001"},
           Row{"gzip;q=0.01", "gzip;q=0.01"},
           Row{"gzip;q=0.101", "gzip;q=0.101"},
           Row{"gzip, gzip, GZIP", "gzip"},
           Row{"gzip, , br,", "br,gzip"},
           Row{"", ""},
           Row{",", ""},
           // Refused ones: the same as unlisted, unless "*" or identity makes a difference.
           Row{"gzip, br;q=0", "gzip"},
           Row{"gzip, br;q=0.000", "gzip"},
           Row{"gzip;q=0", ""},
           Row{"gzip, identity;q=0", "gzip,identity;q=0"},
           Row{"*, gzip;q=0", "*,gzip;q=0"},
           Row{"gzip, *;q=0", "gzip,*;q=0"},
           // What does not parse is only trimmed.
           Row{"gzip;q=2 ,  br", "gzip;q=2,br"},
           Row{"gzip;q=0.1234", "gzip;q=0.1234"},
           Row{"gzip;q=1.001", "gzip;q=1.001"},
           Row{"gzip;q=", "gzip;q="},
           Row{"gzip;level=1", "gzip;level=1"},
           Row{"gzip;q=1;q=0", "gzip;q=1;q=0"},
           Row{"g zip", "g zip"},
       }) {
    CAPTURE(row.value);
    CHECK(encoding(row.value) == row.normal);
  }
  CHECK(normal({{"Accept-Encoding", "gzip"}, {"Via", "x"}, {"accept-encoding", "br"}},
               "ACCEPT-ENCODING") == "br,gzip");
  CHECK(normal({{"Accept", "gzip"}}, "accept-encoding") == "absent");
}

TEST_CASE("http/accept: Accept-Language in one spelling (RFC 9111 4.1, RFC 9110 12.5.4)") {
  CHECK(language("en, de") == "de,en");
  CHECK(language("de, en") == "de,en");
  CHECK(language("eN, De") == "de,en");
  CHECK(language(" en ,   de") == "de,en");
  CHECK(language("fr;q=0.5, de;q=1.0") == "de,fr;q=0.5");
  CHECK(language("en-GB, en;q=0.80, *;q=0.1") == "en-gb,en;q=0.8,*;q=0.1");
  CHECK(language("en, en-gb;q=0") == "en,en-gb;q=0");  // less than "en"
}

TEST_CASE("http/accept: a field with very many members keeps its order") {
  std::string value, expected;
  for (int i = 40; i > 0; --i) {
    value += "a" + std::to_string(i) + " , ";
    expected += (expected.empty() ? "a" : ",a") + std::to_string(i);
  }
  CHECK(encoding(value) == expected + ",");
}

TEST_CASE("http/accept: other fields lose white space and lines only (RFC 9111 4.1)") {
  struct Row {
    std::string_view value, normal;
  };
  for (const Row& row : {
           Row{"1,2", "1,2"},
           Row{"1, 2", "1,2"},
           Row{" 1 \t,\t 2 ", "1,2"},
           Row{"a  b \t c", "a b c"},
           Row{"A, a", "A,a"},
           Row{"2, 1", "2,1"},
           Row{"a,,b", "a,,b"},
           Row{"\"x  ,  y\" , z", "\"x  ,  y\",z"},
           Row{"\"x\\\"  y\"  z", "\"x\\\"  y\" z"},
           Row{"\"x  y", "\"x  y"},
           Row{"\"x\\", "\"x\\"},
           Row{"", ""},
       }) {
    CAPTURE(row.value);
    // Field values come without white space at their ends.
    const auto value = sluice::trim(row.value);
    CHECK(normal_of("Foo", value) == row.normal);
    CHECK(normal_of("Foo", row.normal) == row.normal);
  }
  CHECK(normal({{"Foo", "1"}, {"Bar", "x"}, {"foo", "2"}}, "foo") == "1,2");
  CHECK(normal({{"Foo", "\"a"}, {"Foo", "b  c\"  d"}}, "foo") == "\"a,b  c\" d");
  CHECK(normal({{"Bar", "x"}}, "foo") == "absent");
  CHECK(normal({{"Foo", ""}}, "foo") == "");
}

TEST_CASE("http/accept: codings that a client takes unasked (RFC 9110 12.5.3)") {
  struct Row {
    std::string_view accepted, codings;
    bool is_taken;
  };
  for (const Row& row : {
           Row{"gzip, br", "gzip", true},
           Row{"gzip, br", "GZIP", true},
           Row{"gzip, br", "br, gzip", true},
           Row{"gzip", "br, gzip", false},
           Row{"gzip;q=0", "gzip", false},
           Row{"*", "zstd", true},
           Row{"*;q=0.5, zstd;q=0", "zstd", false},
           Row{"gzip", "", true},
           Row{"gzip", "identity", true},
           Row{"gzip, identity;q=0", "", false},
           Row{"gzip, *;q=0", "", false},
           Row{"identity", "gzip", false},
       }) {
    CAPTURE(row.accepted);
    CAPTURE(row.codings);
    CHECK(accepts_codings(FieldRows{{"Accept-Encoding", row.accepted}}, row.codings) ==
          row.is_taken);
  }
  CHECK(accepts_codings(FieldRows{}, ""));
  CHECK_FALSE(accepts_codings(FieldRows{}, "gzip"));  // who says nothing mostly knows none
}

TEST_CASE("http/accept: the weight of a language (RFC 4647 3.3.1, RFC 9110 12.5.4)") {
  struct Row {
    std::string_view accepted, tags;
    int weight;
    bool is_best;
  };
  for (const Row& row : {
           Row{"fr;q=0.5, de;q=1.0", "de", 1000, true},
           Row{"fr;q=0.5, de;q=1.0", "fr", 500, false},
           Row{"fr;q=0.5, de;q=1.0", "en", 0, false},
           Row{"fr;q=0.5, de;q=1.0", "en, FR", 500, false},
           Row{"de", "de-CH", 0, false},  // not what an endpoint with a page in "de" would send
           Row{"de-ch", "de-CH", 1000, true},
           Row{"de-ch", "de", 0, false},
           Row{"d", "de", 0, false},
           Row{"en, en-gb;q=0.2", "en-GB", 200, false},
           Row{"en;q=0.2, en-gb", "en", 200, false},
           Row{"*;q=0.3, en", "de", 0, false},
           Row{"*", "de", 0, false},
           Row{"*;q=0.3, en", "en", 1000, true},
           Row{"en;q=0.1, *", "en", 100, false},
           Row{"en;q=0, *", "en", 0, false},
           Row{"en;q=0.7", "en", 700, true},
           Row{"en;q=x, de;q=0.5", "en", 0, false},
           Row{"", "en", 0, false},
           Row{"en", "", 0, false},
       }) {
    CAPTURE(row.accepted);
    CAPTURE(row.tags);
    const FieldRows rows{{"Accept-Language", row.accepted}};
    const LanguageWeight weight = weigh_language(rows, row.tags);
    CHECK(weight.weight == row.weight);
    CHECK(weight.is_best() == row.is_best);
  }
  CHECK(weigh_language(FieldRows{{"Accept-Language", "fr;q=0.5"}, {"Accept-Language", "de"}}, "fr")
            .best == 1000);
  CHECK(weigh_language(FieldRows{{"Accept", "x"}}, "en").is_best());
}
