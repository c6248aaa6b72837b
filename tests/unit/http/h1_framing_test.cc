#include "sluice/http/h1_framing.h"

#include <string>

#include "heads.h"

using namespace sluice;
using namespace sluice::http;
using namespace sluice::http::test;

namespace {

// Feeds `bytes` one more at a time.
Result<size_t> scan_bytewise(std::string_view bytes, const HeadLimits& limits) {
  HeadScanner scanner;
  for (size_t size = 0; size <= bytes.size(); ++size) {
    auto end = scanner.scan(bytes.substr(0, size), limits);
    if (!end || *end != 0) return end;
  }
  return size_t{0};
}

void check_scan(std::string_view bytes, size_t length, Errc code,
                const HeadLimits& limits = kLimits) {
  CAPTURE(std::string(bytes.substr(0, 80)));
  const auto whole = HeadScanner().scan(bytes, limits);
  const auto bytewise = scan_bytewise(bytes, limits);
  CHECK(whole.error().code() == code);
  CHECK(bytewise.error().code() == code);
  if (code != Errc::kNone) return;
  CHECK(*whole == length);
  CHECK(*bytewise == length);
  for (size_t split = 0; split <= bytes.size(); ++split) {
    HeadScanner scanner;
    const auto first = scanner.scan(bytes.substr(0, split), limits);
    REQUIRE(first);
    if (*first != 0) {
      CHECK(*first == length);
    } else {
      CHECK(*scanner.scan(bytes, limits) == length);
    }
  }
}

}  // namespace

TEST_CASE("http/h1_framing: the end of a head is found however its bytes come") {
  check_scan("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27, Errc::kNone);
  check_scan("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n\r\n", 27, Errc::kNone);
  check_scan("GET / HTTP/1.1\r\nHost: a\r\n", 0, Errc::kNone);
  check_scan("GET / HTTP/1.1\r\nHost: a\r\n\r", 0, Errc::kNone);
  check_scan("\r\n", 2, Errc::kNone);
  check_scan("", 0, Errc::kNone);
  check_scan("GET / HTTP/1.1\r\n\r\n", 18, Errc::kNone);
  check_scan("GET / HTTP/1.1\r\nA: " + std::string(300, 'v') + "\r\n\r\nrest", 323, Errc::kNone);
}

TEST_CASE("http/h1_framing: a bare LF and a NUL are refused at once (RFC 9112 2.2)") {
  check_scan("GET / HTTP/1.1\n", 0, Errc::kBadRequest);
  check_scan("\n", 0, Errc::kBadRequest);
  check_scan("GET / HTTP/1.1\r\nHost: a\n\r\n\r\n", 0, Errc::kBadRequest);
  check_scan("GET / HTTP/1.1\r\nHost: a\r\n\n", 0, Errc::kBadRequest);
  check_scan(std::string_view("GET /\0", 6), 0, Errc::kBadRequest);
  check_scan(std::string_view("\0", 1), 0, Errc::kBadRequest);
}

TEST_CASE("http/h1_framing: a head over the limits is refused before it is complete") {
  const HeadLimits limits{.head = 1000, .fields = 10, .target = 100};
  check_scan(std::string(2000, 'a'), 0, Errc::kTargetTooLong, limits);
  check_scan("GET /" + std::string(400, 'a') + " HTTP/1.1\r\n", 0, Errc::kTargetTooLong, limits);
  check_scan("GET / HTTP/1.1\r\nA: " + std::string(2000, 'a'), 0, Errc::kHeadTooLarge, limits);
  const std::string exact = "GET / HTTP/1.1\r\nA: " + std::string(1000 - 19 - 4, 'a') + "\r\n\r\n";
  check_scan(exact, 1000, Errc::kNone, limits);
  check_scan("GET / HTTP/1.1\r\nA: " + std::string(1000 - 18 - 4, 'a') + "\r\n\r\n", 0,
             Errc::kHeadTooLarge, limits);
  check_scan(exact + std::string(5000, 'b'), 1000, Errc::kNone, limits);
}

TEST_CASE("http/h1_framing: empty lines before a request are counted (RFC 9112 2.2)") {
  CHECK(leading_empty_lines("\r\n\r\nGET") == 4);
  CHECK(leading_empty_lines("\r\n\rGET") == 2);
  CHECK(leading_empty_lines("\nGET") == 0);
  CHECK(leading_empty_lines("\r") == 0);
  CHECK(leading_empty_lines("") == 0);
}

TEST_CASE("http/h1_framing: request lines have one form only (RFC 9112 3)") {
  struct Row {
    std::string_view line;
    Errc code;
  };
  const Row rows[] = {
      {"GET / HTTP/1.1", Errc::kNone},
      {"get / HTTP/1.1", Errc::kNone},
      {"M!x / HTTP/1.0", Errc::kNone},
      {"", Errc::kBadRequest},
      {"GET", Errc::kBadRequest},
      {"GET ", Errc::kBadRequest},
      {"GET /", Errc::kBadRequest},  // HTTP/0.9
      {"GET / ", Errc::kBadRequest},
      {"GET  / HTTP/1.1", Errc::kBadRequest},
      {"GET /  HTTP/1.1", Errc::kBadRequest},
      {"GET / HTTP/1.1 ", Errc::kBadRequest},
      {" GET / HTTP/1.1", Errc::kBadRequest},
      {"GET\t/ HTTP/1.1", Errc::kBadRequest},
      {"GET /\tHTTP/1.1", Errc::kBadTarget},
      {"G(T / HTTP/1.1", Errc::kBadRequest},
      {"G\x80T / HTTP/1.1", Errc::kBadRequest},
      {"GET / http/1.1", Errc::kBadRequest},
      {"GET / HTTP/1.1x", Errc::kBadRequest},
      {"GET / HTTP/11", Errc::kBadRequest},
      {"GET / HTTP/1.10", Errc::kBadRequest},
      {"GET / HTTPS/1.1", Errc::kBadRequest},
      {"GET / RTSP/1.0", Errc::kBadRequest},
      {"GET / ICE/1.0", Errc::kBadRequest},
      {"GET / HTTP/0.9", Errc::kBadVersion},
      {"GET / HTTP/1.2", Errc::kBadVersion},
      {"GET / HTTP/2.0", Errc::kBadVersion},
      {"PRI * HTTP/2.0", Errc::kBadVersion},
      {"GET /a b HTTP/1.1", Errc::kBadRequest},
      {"GET /\x01 HTTP/1.1", Errc::kBadTarget},
      {"GET /\x7f HTTP/1.1", Errc::kBadTarget},
      {"GET /\xc3\xa4 HTTP/1.1", Errc::kBadTarget},
      {"GET /a#b HTTP/1.1", Errc::kBadTarget},
      {"GET /\r HTTP/1.1", Errc::kBadRequest},
      {"GET / HTTP/1.1\r", Errc::kBadRequest},
      {"GET / HTTP/1.1\n", Errc::kBadRequest},
  };
  for (const Row& row : rows) {
    CAPTURE(row.line);
    const std::string head = std::string(row.line) + "\r\nHost: a\r\n\r\n";
    CHECK(check_request_lines(head, kLimits).error().code() == row.code);
  }
  CHECK(check_request_lines("GET / HTTP/1.1\r\n", kLimits).error().code() == Errc::kBadRequest);
  CHECK(check_request_lines("GET / HTTP/1.1", kLimits).error().code() == Errc::kBadRequest);
  CHECK(check_request_lines("GET / HTT", kLimits).error().code() == Errc::kBadRequest);
  CHECK(check_request_lines("GET /", kLimits).error().code() == Errc::kBadRequest);
  CHECK(check_request_lines("G", kLimits).error().code() == Errc::kBadRequest);
}

TEST_CASE("http/h1_framing: field lines are refused, never repaired (RFC 9112 5)") {
  using namespace std::string_view_literals;
  struct Row {
    std::string_view lines;
    bool good;
  };
  const Row rows[] = {
      {"A: b\r\n"sv, true},
      {"A:b\r\n"sv, true},
      {"A:\r\n"sv, true},
      {"A: \t \r\n"sv, true},
      {"A: b\tc \r\n"sv, true},
      {"A: \x80\xff\r\n"sv, true},
      {"!#$%&'*+-.^_`|~: x\r\n"sv, true},
      {"A : b\r\n"sv, false},  // white space before the colon, section 5.1
      {"A\t: b\r\n"sv, false},
      {": b\r\n"sv, false},  // no name
      {"A\r\n"sv, false},    // no colon
      {"A b: c\r\n"sv, false},
      {"A\x80: c\r\n"sv, false},
      {"A(: c\r\n"sv, false},
      {" A: b\r\n"sv, false},       // a fold of nothing
      {"A: b\r\n c\r\n"sv, false},  // obs-fold, section 5.2
      {"A: b\r\n\tc\r\n"sv, false},
      {"A: b\n"sv, false},  // bare LF
      {"A: b\nB: c\r\n"sv, false},
      {"A: b\rc\r\n"sv, false},  // bare CR, section 2.2
      {"A: b\r\r\n"sv, false},
      {"A\r: b\r\n"sv, false},
      {"A\n: b\r\n"sv, false},
      {"A: b\0c\r\n"sv, false},  // NUL
      {"A\0: b\r\n"sv, false},
      {"A: b\x01\r\n"sv, false},
      {"A: b\x0b\r\n"sv, false},
      {"A: b\x1f\r\n"sv, false},
      {"A: b\x7f\r\n"sv, false},
      {"A: long enough to be looked at by sixteen bytes\0 at a time\r\n"sv, false},
      {"A: long enough to be looked at by sixteen bytes\x7f at a time\r\n"sv, false},
      {"A: long enough to be looked at by sixteen bytes\t\xff at a time\r\n"sv, true},
      {"\r\nA: b\r\n"sv, false},  // bytes after the empty line
  };
  for (const Row& row : rows) {
    CAPTURE(std::string(row.lines));
    const std::string lines(row.lines);
    const Errc request = row.good ? Errc::kNone : Errc::kBadRequest;
    const Errc response = row.good ? Errc::kNone : Errc::kBadResponse;
    const Errc trailer = row.good ? Errc::kNone : Errc::kBadChunk;
    CHECK(check_request_lines("GET / HTTP/1.1\r\n" + lines + "\r\n", kLimits).error().code() ==
          request);
    CHECK(check_response_lines("HTTP/1.1 200 OK\r\n" + lines + "\r\n", kLimits).error().code() ==
          response);
    CHECK(check_trailer_lines(lines + "\r\n", kLimits).error().code() == trailer);
    // Without the empty line nothing is a head.
    CHECK_FALSE(check_request_lines("GET / HTTP/1.1\r\n" + lines, kLimits));
  }
}

TEST_CASE("http/h1_framing: every byte but those of RFC 9110 5.5 is refused in a value") {
  for (int i = 0; i < 256; ++i) {
    const char c = static_cast<char>(i);
    const bool good = i == '\t' || (i >= 0x20 && i != 0x7f);
    CAPTURE(i);
    for (size_t pad : {0, 3, 15, 16, 40}) {
      const std::string head = "GET / HTTP/1.1\r\nA: x" + std::string(pad, 'p') + c + "y\r\n\r\n";
      CHECK(check_request_lines(head, kLimits).has_value() == good);
      const std::string padded = "GET / HTTP/1.1\r\nA: x" + std::string(pad, 'p') + c +
                                 "y and sixteen more bytes\r\nB: c\r\n\r\n";
      CHECK(check_request_lines(padded, kLimits).has_value() == good);
    }
  }
}

TEST_CASE("http/h1_framing: status lines have one form only (RFC 9112 4)") {
  using namespace std::string_view_literals;
  for (std::string_view good : {"HTTP/1.1 200 OK"sv, "HTTP/1.0 404 Not Found"sv, "HTTP/1.1 100 "sv,
                                "HTTP/1.1 599 \xe4\t"sv}) {
    CAPTURE(good);
    CHECK(check_response_lines(std::string(good) + "\r\n\r\n", kLimits));
  }
  for (std::string_view bad : {""sv,
                               "HTTP/1.1"sv,
                               "HTTP/1.1 200"sv,
                               "HTTP/1.1  200 OK"sv,
                               "HTTP/1.1 2000 OK"sv,
                               "HTTP/1.1 20 OK"sv,
                               "HTTP/1.1 20x OK"sv,
                               "HTTP/1.1 099 OK"sv,
                               "HTTP/1.1 600 OK"sv,
                               "HTTP/1.1 000 OK"sv,
                               "HTTP/1.1 -20 OK"sv,
                               "HTTP/1.1\t200 OK"sv,
                               "HTTP/2.0 200 OK"sv,
                               "HTTP/0.9 200 OK"sv,
                               "HTTP/1.2 200 OK"sv,
                               "http/1.1 200 OK"sv,
                               "ICY 200 OK and more"sv,
                               " HTTP/1.1 200 OK"sv,
                               "HTTP/1.1 200 O\0K"sv,
                               "HTTP/1.1 200 O\rK"sv,
                               "HTTP/1.1 200 OK\n"sv,
                               "HTTP/1.1 200 O\x7fK"sv,
                               "HTTP/11 200 OKAY"sv,
                               "HTTP/1.1 200OK and"sv}) {
    CAPTURE(std::string(bad));
    CHECK(check_response_lines(std::string(bad) + "\r\n\r\n", kLimits).error().code() ==
          Errc::kBadResponse);
  }
}

TEST_CASE("http/h1_framing: limits of a complete head") {
  const HeadLimits limits{.head = 60, .fields = 2, .target = 4};
  auto code = [&limits](std::string_view head) {
    return check_request_lines(head, limits).error().code();
  };
  CHECK(code("GET /abc HTTP/1.1\r\nA: b\r\nC: d\r\n\r\n") == Errc::kNone);
  CHECK(code("GET /abcd HTTP/1.1\r\n\r\n") == Errc::kTargetTooLong);
  CHECK(code("GET / HTTP/1.1\r\nA: b\r\nC: d\r\nE: f\r\n\r\n") == Errc::kTooManyFields);
  CHECK(code("GET / HTTP/1.1\r\nA: " + std::string(60, 'b') + "\r\n\r\n") == Errc::kHeadTooLarge);
  CHECK(check_response_lines("HTTP/1.1 200 \r\nA: b\r\nC: d\r\nE: f\r\n\r\n", limits)
            .error()
            .code() == Errc::kResponseHeadTooLarge);
  CHECK(check_response_lines("HTTP/1.1 200 \r\nA: " + std::string(60, 'b') + "\r\n\r\n", limits)
            .error()
            .code() == Errc::kResponseHeadTooLarge);
  CHECK(check_trailer_lines("A: b\r\nC: d\r\nE: f\r\n\r\n", limits).error().code() ==
        Errc::kTooManyFields);
  CHECK(check_trailer_lines("A: " + std::string(60, 'b') + "\r\n\r\n", limits).error().code() ==
        Errc::kHeadTooLarge);
}

namespace {

struct BodyRow {
  std::string_view lines;
  BodyKind kind;
  uint64_t length;
  bool good;
};
constexpr BodyRow good_length(std::string_view lines, uint64_t length) {
  return {lines, length == 0 ? BodyKind::none : BodyKind::length, length, true};
}
constexpr BodyRow bad(std::string_view lines) { return {lines, BodyKind::none, 0, false}; }

// Of both directions, in HTTP/1.1 (RFC 9112 sections 6.1 to 6.3)
constexpr BodyRow kBodyRows[] = {
    good_length("Content-Length: 5\r\n", 5),
    good_length("content-length:5 \r\n", 5),
    good_length("Content-Length: 0\r\n", 0),
    good_length("Content-Length: 007\r\n", 7),
    good_length("Content-Length: 9223372036854775807\r\n", 9223372036854775807u),
    {"Transfer-Encoding: chunked\r\n", BodyKind::chunked, 0, true},
    {"transfer-encoding: CHUNKED\r\n", BodyKind::chunked, 0, true},
    bad("Content-Length: 9223372036854775808\r\n"),
    bad("Content-Length: 18446744073709551616\r\n"),
    bad("Content-Length: 00000000000000000005\r\n"),
    bad("Content-Length:\r\n"),
    bad("Content-Length: \r\n"),
    bad("Content-Length: +5\r\n"),
    bad("Content-Length: -5\r\n"),
    bad("Content-Length: 0x5\r\n"),
    bad("Content-Length: 5x\r\n"),
    bad("Content-Length: 5 5\r\n"),
    bad("Content-Length: 5.0\r\n"),
    bad("Content-Length: \"5\"\r\n"),
    bad("Content-Length: 5, 5\r\n"),
    bad("Content-Length: 5,6\r\n"),
    bad("Content-Length: 5,\r\n"),
    bad("Content-Length: 5\r\nContent-Length: 5\r\n"),
    bad("Content-Length: 5\r\nContent-Length: 6\r\n"),
    bad("Content-Length: 5\r\nX: y\r\ncontent-length: 0\r\n"),
    bad("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
    bad("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
    bad("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"),
    bad("Transfer-Encoding: gzip\r\n"),
    bad("Transfer-Encoding: identity\r\n"),
    bad("Transfer-Encoding: gzip, chunked\r\n"),
    bad("Transfer-Encoding: chunked, gzip\r\n"),
    bad("Transfer-Encoding: chunked, chunked\r\n"),
    bad("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
    bad("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"),
    bad("Transfer-Encoding: chunked;q=1\r\n"),
    bad("Transfer-Encoding: chunked,\r\n"),
    bad("Transfer-Encoding: \"chunked\"\r\n"),
    bad("Transfer-Encoding: xchunked\r\n"),
    bad("Transfer-Encoding: chunke\r\n"),
    bad("Transfer-Encoding:\r\n"),
    bad("Transfer-Encoding: \r\n"),
};

}  // namespace

TEST_CASE("http/h1_framing: bodies of requests (RFC 9112 6.3)") {
  Memory memory;
  for (const BodyRow& row : kBodyRows) {
    CAPTURE(row.lines);
    const std::string head = "POST / HTTP/1.1\r\nHost: a\r\n" + std::string(row.lines) + "\r\n";
    const auto request = memory.request(head);
    CHECK(request.error().code() == (row.good ? Errc::kNone : Errc::kBadFraming));
    if (!request) continue;
    CHECK(request->framing.kind == row.kind);
    CHECK(request->framing.length == row.length);
  }
  CHECK(memory.request("GET / HTTP/1.1\r\nHost: a\r\n\r\n")->framing.kind == BodyKind::none);
}

TEST_CASE("http/h1_framing: bodies of responses (RFC 9112 6.3)") {
  Memory memory;
  for (const BodyRow& row : kBodyRows) {
    CAPTURE(row.lines);
    const std::string head = "HTTP/1.1 200 OK\r\n" + std::string(row.lines) + "\r\n";
    const auto response = memory.response(head);
    CHECK(response.error().code() == (row.good ? Errc::kNone : Errc::kBadResponse));
    // The same strictness where no body follows
    CHECK(memory.response(head, Method::head).has_value() == row.good);
    CHECK(memory.response_error("HTTP/1.1 304 Not Modified\r\n" + std::string(row.lines) +
                                "\r\n") == (row.good ? Errc::kNone : Errc::kBadResponse));
    if (!response) continue;
    CHECK(response->framing.kind == row.kind);
    CHECK(response->framing.length == row.length);
  }
}

TEST_CASE("http/h1_framing: Transfer-Encoding in HTTP/1.0 is refused (RFC 9112 6.1)") {
  Memory memory;
  CHECK(memory.request_error("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n") ==
        Errc::kBadFraming);
  CHECK(memory.response_error("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n") ==
        Errc::kBadResponse);
  CHECK(memory.request("POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\n")->framing.length == 3);
}

TEST_CASE("http/h1_framing: which responses have no body (RFC 9112 6.3, rules 1 and 2)") {
  Memory memory;
  struct Row {
    std::string_view head;
    Method method;
    BodyKind kind;
  };
  const Row rows[] = {
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Method::head, BodyKind::none},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Method::head, BodyKind::none},
      {"HTTP/1.1 200 OK\r\n\r\n", Method::head, BodyKind::none},
      {"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", Method::get, BodyKind::none},
      {"HTTP/1.1 204 No Content\r\n\r\n", Method::get, BodyKind::none},
      {"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", Method::get, BodyKind::none},
      {"HTTP/1.1 100 Continue\r\n\r\n", Method::post, BodyKind::none},
      {"HTTP/1.1 101 Switching Protocols\r\n\r\n", Method::get, BodyKind::none},
      {"HTTP/1.1 200 OK\r\n\r\n", Method::connect, BodyKind::none},
      {"HTTP/1.1 400 Bad\r\n\r\n", Method::connect, BodyKind::until_close},
      {"HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", Method::get, BodyKind::none},
      {"HTTP/1.1 205 Reset Content\r\n\r\n", Method::get, BodyKind::until_close},
      {"HTTP/1.1 200 OK\r\n\r\n", Method::get, BodyKind::until_close},
      {"HTTP/1.0 200 OK\r\n\r\n", Method::get, BodyKind::until_close},
      {"HTTP/1.1 500 No\r\nContent-Length: 1\r\n\r\n", Method::get, BodyKind::length},
  };
  for (const Row& row : rows) {
    CAPTURE(row.head);
    const auto response = memory.response(row.head, row.method);
    REQUIRE(response);
    CHECK(response->framing.kind == row.kind);
  }
  for (std::string_view head : {"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
                                "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
                                "HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n",
                                "HTTP/1.1 103 Early\r\nTransfer-Encoding: chunked\r\n\r\n"}) {
    CAPTURE(head);
    CHECK(memory.response_error(head) == Errc::kBadResponse);
  }
}
