#include "sluice/http/range.h"

#include <doctest/doctest.h>

#include <string>

#include "field_rows.h"
#include "heads.h"

using namespace sluice;
using namespace sluice::http;
using namespace sluice::http::test;

namespace {

std::optional<RangeSpecs> parse(const FieldRows& rows, Method method = Method::get) {
  RequestHead request;
  request.method = method;
  request.fields = rows;
  return parse_range(request);
}
std::optional<RangeSpecs> parse(std::string_view value) { return parse({{"Range", value}}); }

std::string text(const ByteRanges& ranges) {
  std::string out;
  for (const ByteRange& range : ranges) {
    if (!out.empty()) out += ' ';
    out += std::to_string(range.first) + "-" + std::to_string(range.last);
  }
  return out;
}

// "0-1 5-9", "whole", "416" or "ignored".
std::string resolve(std::string_view value, uint64_t length) {
  const auto specs = parse(value);
  if (!specs) return "ignored";
  ByteRanges ranges;
  switch (resolve_ranges(*specs, length, ranges)) {
    case RangeVerdict::whole:
      return "whole";
    case RangeVerdict::unsatisfiable:
      return "416";
    case RangeVerdict::partial:
      break;
  }
  return text(ranges);
}

}  // namespace

TEST_CASE("http/range: ranges of a known length (RFC 9110 14.1.2)") {
  struct Row {
    std::string_view value;
    uint64_t length;
    std::string_view ranges;
  };
  for (const Row& row : {
           Row{"bytes=0-499", 10000, "0-499"},
           Row{"bytes=500-999", 10000, "500-999"},
           Row{"bytes=-500", 10000, "9500-9999"},
           Row{"bytes=9500-", 10000, "9500-9999"},
           Row{"bytes=0-0,-1", 10000, "0-0 9999-9999"},
           Row{"BYTES= 0-0 ,, 4-5 ", 10, "0-0 4-5"},
           Row{"bytes=0-99", 10, "0-9"},
           Row{"bytes=-99", 10, "0-9"},
           Row{"bytes=9-9", 10, "9-9"},
           Row{"bytes=10-", 10, "416"},
           Row{"bytes=-0", 10, "416"},
           Row{"bytes=10-20, 30-40", 10, "416"},
           Row{"bytes=10-20, 1-2", 10, "1-2"},
           Row{"bytes=0-", 0, "416"},
           Row{"bytes=-5", 0, "416"},
           Row{"bytes=99999999999999999999-", 10, "416"},
           Row{"bytes=1-99999999999999999999", 10, "1-9"},
           Row{"bytes=-99999999999999999999", 10, "0-9"},
           Row{"bytes=0-18446744073709551615", UINT64_MAX, "0-18446744073709551614"},
           // In the order asked for; joined where they overlap or touch (15.3.7.2).
           Row{"bytes=5-6, 0-1", 10, "5-6 0-1"},
           Row{"bytes=0-4, 2-6", 10, "0-6"},
           Row{"bytes=0-1, 2-3", 10, "0-3"},
           Row{"bytes=8-9, 0-1, 4-5, 1-4", 10, "8-9 0-5"},
           Row{"bytes=8-9, 0-1, 5-6, 2-4", 10, "8-9 0-6"},
           Row{"bytes=3-3, 7-7, 0-9", 10, "0-9"},
           Row{"bytes=4-5, 4-5, 4-5", 10, "4-5"},
           // The same bytes over and over (14.2).
           Row{"bytes=4-5, 4-5, 4-5, 4-5", 10, "whole"},
           Row{"bytes=0-,0-,0-,0-,0-", 10, "whole"},
       }) {
    CAPTURE(row.value);
    CHECK(resolve(row.value, row.length) == row.ranges);
  }
}

TEST_CASE("http/range: Range that does not count (RFC 9110 14.2)") {
  for (std::string_view bad :
       {"",           "bytes",         "bytes=",        "bytes=,",      "bytes=-",    "bytes=a-b",
        "bytes=1",    "bytes=2-1",     "bytes=1-2-3",   "bytes=1 -2",   "bytes=1- 2", "bytes=0-1;x",
        "bytes=+1-2", "bytes=0x1-2",   "bytes=--1",     "bytes=0-1, x", "bytes =0-1", "items=0-1",
        "bytes 0-1",  "bytes=\"0-1\"", "bytes=0-1, 5-2"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse(bad));
  }
  CHECK_FALSE(parse({{"Range", "bytes=0-1"}, {"Range", "bytes=2-3"}}));
  CHECK_FALSE(parse({{"Accept", "x"}}));
  CHECK_FALSE(parse({{"Range", "bytes=0-1"}}, Method::head));
  CHECK_FALSE(parse({{"Range", "bytes=0-1"}}, Method::post));
}

TEST_CASE("http/range: at most 64 ranges") {
  std::string value = "bytes=";
  std::string ranges;
  for (int i = 0; i < 64; ++i) {
    const std::string at = std::to_string(i * 2);
    value += at + "-" + at + ",";
    ranges += (ranges.empty() ? "" : " ") + at + "-" + at;
  }
  CHECK(resolve(value, 1000) == ranges);
  CHECK(resolve(value + "500-", 1000) == "ignored");
}

TEST_CASE("http/range: Content-Range (RFC 9110 14.4)") {
  struct Row {
    std::string_view value;
    std::optional<ByteRange> range;
    std::optional<uint64_t> length;
  };
  for (const Row& row : {
           Row{"bytes 42-1233/1234", ByteRange{42, 1233}, 1234},
           Row{"bytes 0-0/*", ByteRange{0, 0}, {}},
           Row{"bytes */1234", {}, 1234},
           Row{"bytes */0", {}, 0},
       }) {
    CAPTURE(row.value);
    const auto range = parse_content_range(row.value);
    REQUIRE(range);
    CHECK(range->range.has_value() == row.range.has_value());
    if (row.range) {
      CHECK(range->range->first == row.range->first);
      CHECK(range->range->last == row.range->last);
    }
    CHECK(range->length == row.length);
    char out[kMostContentRange];
    CHECK(std::string_view(out, write_content_range(out, *range)) == row.value);
  }
  CHECK(parse_content_range("Bytes 1-2/3").has_value());
  for (std::string_view bad :
       {"", "bytes", "bytes ", "bytes 1-2", "bytes 2-1/5", "bytes 0-5/5", "bytes */*", "bytes */",
        "bytes 0-1/", "bytes 0-/5", "bytes -1/5", "bytes 0-1/5 ", "bytes  0-1/5", "bytes=0-1/5",
        "items 0-1/5", "bytes a-b/c", "bytes 0-1/-5", "bytes 0-99999999999999999999/*",
        "bytes 0-1/5, bytes 2-3/5"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_content_range(bad));
  }
  char out[kMostContentRange];
  CHECK(write_content_range(out, {ByteRange{UINT64_MAX - 2, UINT64_MAX - 1}, UINT64_MAX}) <=
        sizeof(out));
}

TEST_CASE(
    "http/range: the frame of several parts, its size known before (RFC 9110 14.6, 15.3.7.2)") {
  Memory memory;
  const std::string_view content = "0123456789abcdef";
  ByteRanges ranges;
  REQUIRE(resolve_ranges(*parse("bytes=0-1, -3"), content.size(), ranges) == RangeVerdict::partial);
  const auto body_of = [&](const MultipartRanges& frame) {
    return memory.written([&](ChainWriter& out) {
      for (const ByteRange& range : ranges) {
        frame.write_part_head(range, out);
        out.write(content.substr(range.first, range.size()));
      }
      frame.write_end(out);
    });
  };
  const MultipartRanges typed("B0", "text/plain", content.size());
  CHECK(body_of(typed) ==
        "\r\n--B0\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/16\r\n\r\n01"
        "\r\n--B0\r\nContent-Type: text/plain\r\nContent-Range: bytes 13-15/16\r\n\r\ndef"
        "\r\n--B0--\r\n");
  CHECK(typed.body_size(ranges) == body_of(typed).size());
  const MultipartRanges untyped("B0", "", content.size());
  CHECK(untyped.body_size(ranges) == body_of(untyped).size());
  CHECK(body_of(untyped).find("Content-Type") == std::string::npos);
}
