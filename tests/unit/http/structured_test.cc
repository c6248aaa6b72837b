#include "sluice/http/structured.h"

#include <doctest/doctest.h>

#include <string>

#include "field_rows.h"
#include "heads.h"

using namespace sluice::http;
using namespace sluice::http::test;

namespace {

using Kind = StructuredItem::Kind;

// "key:kind:text" of each member, or "bad".
std::string dictionary(std::string_view line) {
  StructuredReader reader(line);
  StructuredMember member;
  std::string out;
  while (reader.next(member)) {
    out.append(member.key).append(":").append(std::to_string(static_cast<int>(member.value.kind)));
    out.append(":");
    const bool is_number = member.value.kind == Kind::integer || member.value.kind == Kind::boolean;
    out.append(is_number ? std::to_string(member.value.integer) : std::string(member.value.text));
    out.append(" ");
  }
  CHECK_FALSE(reader.next(member));
  return reader.has_failed() ? "bad" : out;
}

}  // namespace

TEST_CASE("http/structured: dictionaries (RFC 9651 4.2.2)") {
  struct Row {
    std::string_view line, members;
  };
  for (const Row& row : {
           Row{"", ""},
           Row{"   ", ""},
           Row{"a", "a:5:1 "},
           Row{"a, b=?0,\tc=?1", "a:5:1 b:5:0 c:5:1 "},
           Row{"a=1;x;y=2;*z=\"q\", b;p", "a:0:1 b:5:1 "},
           Row{"*a_-.*0=-15", "*a_-.*0:0:-15 "},
           Row{"a=999999999999999", "a:0:999999999999999 "},
           Row{"a=\"x\\\"y\\\\\"", "a:2:x\\\"y\\\\ "},
           Row{"a=tok/en:x, b=*", "a:3:tok/en:x b:3:* "},
           Row{"a=(1 \"b\" c;d);e, f=()", "a:8: f:8: "},
           Row{" a=1 ", "a:0:1 "},
       }) {
    CAPTURE(row.line);
    CHECK(dictionary(row.line) == row.members);
  }
  for (std::string_view good : {"a=1.5", "a=-123456789012.123", "a=:aGk=:", "a=::", "a=@-15",
                                "a=%\"f%c3%bc\"", "a=%\"\"", "a=(  1   2 )", "a;  b=1;c"}) {
    CAPTURE(good);
    CHECK(dictionary(good) != "bad");
  }
}

TEST_CASE("http/structured: any fault spoils the field (RFC 9651 4.2)") {
  for (std::string_view bad : {"A=1",
                               "a =1",
                               "a= 1",
                               "a=",
                               "a,",
                               "a,,b",
                               ",a",
                               "a b",
                               "a=1 b",
                               "1a",
                               "-a",
                               "a=1.",
                               "a=1.2345",
                               "a=1234567890123.1",
                               "a=1000000000000000",
                               "a=--1",
                               "a=-",
                               "a=\"x",
                               "a=\"x\\",
                               "a=\"x\\y\"",
                               "a=\"\x80\"",
                               "a=\"\t\"",
                               "a=?",
                               "a=?2",
                               "a=:x",
                               "a=:%:",
                               "a=@1.5",
                               "a=@",
                               "a=%",
                               "a=%\"",
                               "a=%\"%C3\"",
                               "a=%\"%c\"",
                               "a=%\"x",
                               "a=(",
                               "a=(1",
                               "a=(1\t2)",
                               "a=(1\"2\")",
                               "a=(1,2)",
                               "a=((1))",
                               "a;",
                               "a;=1",
                               "a;b=",
                               "\ta",
                               "a=&"}) {
    CAPTURE(bad);
    CHECK(dictionary(bad) == "bad");
  }
}

TEST_CASE("http/structured: lists of strings (RFC 9651 4.2.1, RFC 9875 2)") {
  Memory memory;
  const auto read = [&](const FieldRows& rows) {
    return parse_string_list(rows, "cache-groups", memory.arena);
  };
  const auto groups = read({{"Cache-Groups", "\"a\", \"b, c\";x=1 ,\"q\\\"\\\\\""},
                            {"Other", "?"},
                            {"cache-groups", "\"\""}});
  REQUIRE(groups);
  REQUIRE(groups->size() == 4);
  CHECK((*groups)[0] == "a");
  CHECK((*groups)[1] == "b, c");
  CHECK((*groups)[2] == "q\"\\");
  CHECK((*groups)[3] == "");
  CHECK(read({{"Other", "x"}})->empty());
  for (std::string_view bad :
       {"a", "\"a\", b", "\"a\" \"b\"", "\"a\",", "1", "(\"a\")", "\"a", ",\"a\"", "\"a\";X"}) {
    CAPTURE(bad);
    CHECK_FALSE(read({{"Cache-Groups", bad}}));
  }
  CHECK_FALSE(read({{"Cache-Groups", "\"a\""}, {"Cache-Groups", "b"}}));
}
