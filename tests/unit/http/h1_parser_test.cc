#include "sluice/http/h1_parser.h"

#include <string>

#include "heads.h"

using namespace sluice;
using namespace sluice::http;
using namespace sluice::http::test;

TEST_CASE("http/h1_parser: a request head becomes values") {
  Memory memory;
  const std::string_view head =
      "POST /a/b?c=d HTTP/1.1\r\n"
      "Host: shop.example:8080\r\n"
      "X-Own:  two words \t\r\n"
      "Empty:\r\n"
      "Blank: \t \r\n"
      "Content-Length: 12\r\n"
      "Expect: 100-Continue\r\n\r\n";
  const auto request = memory.request(head);
  REQUIRE(request);
  CHECK(request->method == Method::post);
  CHECK(request->method_text == "POST");
  CHECK(request->target == "/a/b?c=d");
  CHECK(request->path == "/a/b?c=d");
  CHECK(request->authority == "shop.example:8080");
  CHECK(request->raw == head);
  CHECK(request->minor_version == 1);
  CHECK(request->keep_alive);
  CHECK(request->expect_continue);
  CHECK(request->framing.kind == BodyKind::length);
  CHECK(request->framing.length == 12);
  REQUIRE(request->fields.size() == 6);
  CHECK(request->fields[1].name == "X-Own");
  CHECK(request->fields[1].value == "two words");
  CHECK(request->fields[2].value == "");
  CHECK(request->fields[3].value == "");
  CHECK(request->fields[4].id == FieldId::kContentLength);
  for (const Field& field : request->fields) {
    CHECK(field.value.data() > head.data());
    CHECK(field.value.data() < head.data() + head.size());
  }
}

TEST_CASE("http/h1_parser: a response head becomes values") {
  Memory memory;
  const auto response =
      memory.response("HTTP/1.1 404 Not  Found\r\nServer: x\r\nContent-Length: 3\r\n\r\n");
  REQUIRE(response);
  CHECK(response->status == 404);
  CHECK(response->reason == "Not  Found");
  CHECK(response->fields.size() == 2);
  CHECK(response->fields[0].id == FieldId::kServer);
  CHECK(response->framing.length == 3);
  CHECK(response->keep_alive);
  CHECK_FALSE(response->is_interim());
  CHECK(memory.response("HTTP/1.1 103 \r\n\r\n")->is_interim());
  CHECK(memory.response("HTTP/1.1 103 \r\n\r\n")->reason == "");
}

TEST_CASE("http/h1_parser: any token is a method, whatever llhttp thinks of it (RFC 9110 9.1)") {
  Memory memory;
  for (std::string_view method : {"GET", "HEAD", "PATCH", "get", "QUERY", "PRI", "SOURCE", "SETUP",
                                  "M-SEARCH", "~", "CONNECTED", "HTTP"}) {
    CAPTURE(method);
    const std::string head = std::string(method) + " / HTTP/1.1\r\nHost: a\r\n\r\n";
    const auto request = memory.request(head);
    REQUIRE(request);
    CHECK(request->method_text == method);
    CHECK(request->method == method_of(method));
  }
}

TEST_CASE("http/h1_parser: the four forms of a target (RFC 9112 3.2)") {
  struct Row {
    std::string_view method, target, path, authority;
    Errc code;
  };
  const Row rows[] = {
      {"GET", "/a?b", "/a?b", "h", Errc::kNone},
      {"GET", "//a", "//a", "h", Errc::kNone},
      {"GET", "/http://x/", "/http://x/", "h", Errc::kNone},
      {"GET", "/\"<>\\^`{|}", "/\"<>\\^`{|}", "h", Errc::kNone},
      {"GET", "http://a.example/p?q", "/p?q", "a.example", Errc::kNone},
      {"GET", "HTTPS://a.example:8443", "/", "a.example:8443", Errc::kNone},
      {"GET", "http://[::1]:80/p", "/p", "[::1]:80", Errc::kNone},
      {"GET", "http://a.example?q", "/?q", "a.example", Errc::kNone},
      {"OPTIONS", "http://a.example", "*", "a.example", Errc::kNone},
      {"OPTIONS", "*", "*", "h", Errc::kNone},
      {"OPTIONS", "/", "/", "h", Errc::kNone},
      {"CONNECT", "a.example:443", "", "a.example:443", Errc::kNone},
      {"CONNECT", "1.2.3.4:443", "", "1.2.3.4:443", Errc::kNone},
      {"GET", "*", "", "", Errc::kBadTarget},
      {"GET", "a", "", "", Errc::kBadTarget},
      {"GET", "a/b", "", "", Errc::kBadTarget},
      {"GET", "?a", "", "", Errc::kBadTarget},
      {"GET", "a.example:80", "", "", Errc::kBadTarget},
      {"GET", "ftp://a.example/", "", "", Errc::kBadTarget},
      {"GET", "http:/a.example/", "", "", Errc::kBadTarget},
      {"GET", "http:///p", "", "", Errc::kBadTarget},
      {"GET", "http://:80/p", "", "", Errc::kBadTarget},
      {"GET", "http://user@a.example/", "", "", Errc::kBadTarget},
      {"GET", "http://user:pw@a.example/", "", "", Errc::kBadTarget},
      {"GET", "http://a.example:x/", "", "", Errc::kBadTarget},
      {"GET", "http://a b/", "", "", Errc::kBadRequest},
      {"GET", "/#f", "", "", Errc::kBadTarget},
      {"OPTIONS", "**", "", "", Errc::kBadTarget},
      {"CONNECT", "/", "", "", Errc::kBadTarget},
      {"CONNECT", "a.example", "", "", Errc::kBadTarget},
      {"CONNECT", "a.example:", "", "", Errc::kBadTarget},
      {"CONNECT", "http://a.example/", "", "", Errc::kBadTarget},
  };
  Memory memory;
  for (const Row& row : rows) {
    CAPTURE(row.method);
    CAPTURE(row.target);
    const std::string head =
        std::string(row.method) + " " + std::string(row.target) + " HTTP/1.1\r\nHost: h\r\n\r\n";
    const auto request = memory.request(head);
    CHECK(request.error().code() == row.code);
    if (!request) continue;
    CHECK(request->path == row.path);
    CHECK(request->authority == row.authority);
    CHECK(request->target == row.target);
  }
}

TEST_CASE("http/h1_parser: exactly one valid Host in HTTP/1.1 (RFC 9112 3.2)") {
  struct Row {
    std::string_view head;
    Errc code;
  };
  const Row rows[] = {
      {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", Errc::kNone},
      {"GET / HTTP/1.1\r\n\r\n", Errc::kBadHost},
      {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", Errc::kBadHost},
      {"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nhOST: b\r\n\r\n", Errc::kBadHost},
      {"GET / HTTP/1.1\r\nHost:\r\n\r\n", Errc::kBadHost},
      {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", Errc::kBadHost},
      {"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", Errc::kBadHost},
      {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", Errc::kBadHost},
      {"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", Errc::kBadHost},
      {"GET / HTTP/1.1\r\nHost: http://a\r\n\r\n", Errc::kBadHost},
      {"GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n", Errc::kBadHost},
      {"GET http://a/ HTTP/1.1\r\n\r\n", Errc::kBadHost},
      {"GET http://a/ HTTP/1.1\r\nHost: b b\r\n\r\n", Errc::kBadHost},
      {"GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", Errc::kNone},
      {"GET / HTTP/1.0\r\n\r\n", Errc::kNone},
      {"GET / HTTP/1.0\r\nHost: a\r\n\r\n", Errc::kNone},
      {"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", Errc::kBadHost},
      {"GET / HTTP/1.0\r\nHost: a b\r\n\r\n", Errc::kBadHost},
  };
  Memory memory;
  for (const Row& row : rows) {
    CAPTURE(row.head);
    CHECK(memory.request_error(row.head) == row.code);
  }
}

TEST_CASE("http/h1_parser: whether a connection stays open (RFC 9112 9.3)") {
  struct Row {
    std::string_view version, lines;
    bool keep_alive;
  };
  const Row rows[] = {
      {"1.1", "", true},
      {"1.1", "Connection: close\r\n", false},
      {"1.1", "Connection: CLOSE\r\n", false},
      {"1.1", "Connection: keep-alive\r\n", true},
      {"1.1", "Connection: keep-alive, close\r\n", false},
      {"1.1", "Connection: x ,, close ,\r\n", false},
      {"1.1", "Connection: x\r\nConnection: close\r\n", false},
      {"1.1", "Connection: closed\r\n", true},
      {"1.1", "Connection:\r\n", true},
      {"1.1", "Proxy-Connection: close\r\n", true},
      {"1.1", "Connection: upgrade\r\nUpgrade: websocket\r\n", true},
      {"1.0", "", false},
      {"1.0", "Connection: keep-alive\r\n", true},
      {"1.0", "Connection: x\r\nConnection: Keep-Alive\r\n", true},
      {"1.0", "Connection: keep-alive, close\r\n", false},
  };
  Memory memory;
  for (const Row& row : rows) {
    CAPTURE(row.version);
    CAPTURE(row.lines);
    const std::string version(row.version), lines(row.lines);
    const std::string request = "GET / HTTP/" + version + "\r\nHost: a\r\n" + lines + "\r\n";
    REQUIRE(memory.request(request));
    // A proxy does not persist with an HTTP/1.0 client, whatever that asks (RFC 9112 section 9.3).
    CHECK(memory.request(request)->keep_alive == (row.keep_alive && version == "1.1"));
    const std::string response =
        "HTTP/" + version + " 200 OK\r\nContent-Length: 0\r\n" + lines + "\r\n";
    REQUIRE(memory.response(response));
    CHECK(memory.response(response)->keep_alive == row.keep_alive);
  }
  CHECK_FALSE(memory.response("HTTP/1.1 200 OK\r\n\r\n")->keep_alive);
}

TEST_CASE("http/h1_parser: a Connection of very many options is refused") {
  Memory memory;
  auto head = [](std::string_view first_line, int options) {
    std::string text(first_line);
    text += "Connection: a";
    for (int i = 1; i < options; ++i) text += i % 2 == 0 ? ",a" : "\r\nConnection: a";
    return text + "\r\n\r\n";
  };
  CHECK(memory.request_error(head("GET / HTTP/1.1\r\nHost: a\r\n", 64)) == Errc::kNone);
  CHECK(memory.request_error(head("GET / HTTP/1.1\r\nHost: a\r\n", 65)) == Errc::kBadRequest);
  CHECK(memory.response_error(head("HTTP/1.1 200 OK\r\n", 65)) == Errc::kBadResponse);
}

TEST_CASE("http/h1_parser: an Expect other than 100-continue fails (RFC 9110 10.1.1)") {
  struct Row {
    std::string_view version, lines;
    Errc code;
    bool expects;
  };
  const Row rows[] = {
      {"1.1", "Expect: 100-continue\r\n", Errc::kNone, true},
      {"1.1", "Expect: 100-CONTINUE\r\n", Errc::kNone, true},
      {"1.1", "Expect:\r\n", Errc::kNone, false},
      {"1.1", "Expect: 200-ok\r\n", Errc::kExpectationFailed, false},
      {"1.1", "Expect: 100-continue;x\r\n", Errc::kExpectationFailed, false},
      {"1.1", "Expect: 100-continue, x\r\n", Errc::kExpectationFailed, false},
      {"1.1", "Expect: 100-continue\r\nExpect: x\r\n", Errc::kExpectationFailed, false},
      {"1.0", "Expect: 100-continue\r\n", Errc::kNone, false},
  };
  Memory memory;
  for (const Row& row : rows) {
    CAPTURE(row.lines);
    const std::string head = "PUT / HTTP/" + std::string(row.version) +
                             "\r\nHost: a\r\nContent-Length: 1\r\n" + std::string(row.lines) +
                             "\r\n";
    const auto request = memory.request(head);
    CHECK(request.error().code() == row.code);
    if (request) CHECK(request->expect_continue == row.expects);
  }
}

TEST_CASE("http/h1_parser: as many fields as the limit says, no more") {
  Memory memory;
  HeadLimits limits;
  limits.fields = 300;
  std::string head = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (int i = 1; i < 300; ++i) head += "F" + std::to_string(i) + ": v\r\n";
  REQUIRE(memory.request(head + "\r\n", limits));
  CHECK(memory.request(head + "\r\n", limits)->fields.size() == 300);
  CHECK(memory.request_error(head + "G: v\r\n\r\n", limits) == Errc::kTooManyFields);
}

TEST_CASE("http/h1_parser: what llhttp alone would let through is refused") {
  using namespace std::string_view_literals;
  Memory memory;
  for (std::string_view head :
       {"GET / HTTP/1.1\nHost: a\n\n"sv, "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"sv,
        "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"sv, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"sv,
        "GET /\r\n\r\n"sv, "OPTIONS / RTSP/1.0\r\nHost: a\r\n\r\n"sv,
        "SOURCE / ICE/1.0\r\nHost: a\r\n\r\n"sv,
        "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n"sv,
        "GET / HTTP/1.1\r\nHost: a\r\nA: \r\n b\r\n\r\n"sv, ""sv, "\r\n"sv}) {
    CAPTURE(std::string(head));
    CHECK(memory.request_error(head) == Errc::kBadRequest);
  }
}

TEST_CASE("http/h1_parser: a plain GET has the fields that llhttp sees in it") {
  const std::string text = "\x80\xff obs-text\t\"q\\\"";
  for (const std::string& lines :
       {std::string("Host: a\r\n"), std::string("Host:a\r\nA:\r\nB: \t \r\nC:\t c c \t\r\n"),
        "host: [::1]:80\r\n!#$%&'*+-.^_`|~aZ09: " + text + "\r\n",
        std::string(
            "Accept: a\r\nHost: a.example\r\nACCEPT: b\r\nCookie: a=b; c\r\nExpect:\r\n")}) {
    for (const std::string target : {"/", "/a?b=[c]&d=\"e\"", "//x", "/%zz\\^`{|}~@:"}) {
      CAPTURE(lines);
      CAPTURE(target);
      Memory memory;
      const std::string begin = "GET " + target + " HTTP/1.1\r\n" + lines;
      const std::string plain = begin + "\r\n", full = begin + "Upgrade: x\r\n\r\n";
      const auto ours = memory.request(plain), theirs = memory.request(full);
      REQUIRE(ours);
      REQUIRE(theirs);
      CHECK(ours->target == target);
      REQUIRE(ours->fields.size() + 1 == theirs->fields.size());
      for (size_t i = 0; i < ours->fields.size(); ++i) {
        const Field &a = ours->fields[i], &b = theirs->fields[i];
        CHECK(a.name == b.name);
        CHECK(a.value == b.value);
        CHECK(a.id == b.id);
        CHECK(a.value.data() >= plain.data());  // also an empty one: its line may be copied
        CHECK(a.value.data() < plain.data() + plain.size());
      }
    }
  }
}

TEST_CASE("http/h1_parser: trailers become fields (RFC 9112 7.1.2)") {
  Memory memory;
  const auto trailers = parse_trailers("A: b\r\nDigest:  x \r\nE:\r\n\r\n", kLimits, memory.arena);
  REQUIRE(trailers);
  REQUIRE(trailers->size() == 3);
  CHECK((*trailers)[1].name == "Digest");
  CHECK((*trailers)[1].value == "x");
  CHECK((*trailers)[2].value == "");
  CHECK(parse_trailers("\r\n", kLimits, memory.arena)->size() == 0);
  CHECK(parse_trailers("A: b\r\n", kLimits, memory.arena).error().code() == Errc::kBadChunk);
  CHECK(parse_trailers("A: b\r\n c\r\n\r\n", kLimits, memory.arena).error().code() ==
        Errc::kBadChunk);
}
