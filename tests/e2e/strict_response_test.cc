// The same strictness towards endpoints: a broken answer is a 502 with a reason, a short one never
// looks complete, and what follows an answer ends its connection.
#include "tests/e2e/harness/e2e.h"

using namespace e2e;

namespace {

constexpr const char* kOnePool = R"(
pools:
  app:
    endpoints: [{address: "@a", name: a}]
    health: {type: off}
    retry: {attempts: 1}
    outlier: {failures: 0}
)";

struct Case {
  const char* what;
  std::string bytes;
  const char* token = "bad_response";
};

std::string ok(const std::string& rest) { return "HTTP/1.1 200 OK\r\n" + rest; }

// Each answer is given to one request; all go over one client connection, which stays.
void refuse_all(const std::vector<Case>& cases) {
  std::atomic<size_t> turn{0};
  Origin origin([&](OriginConn& c) {
    c.expect_request();
    c.send(cases[turn].bytes);
    CHECK(c.wait_for_end() != Ending::timeout);
  });
  Sluice sluice(kOnePool, {{"a", origin.address()}});
  Wire client = Wire::to_port(sluice.port());
  for (; turn < cases.size(); ++turn) {
    CAPTURE(cases[turn].what);
    client.send(request_text());
    const Message response = client.read_response();
    CHECK(response.status == 502);
    const std::string details = std::string("details=\"") + cases[turn].token + "\"";
    CHECK(response.field("Proxy-Status").starts_with("sluice; error="));
    CHECK(response.field("Proxy-Status").find("next-hop=\"a\"") != std::string::npos);
    CHECK(response.field("Proxy-Status").find(details) != std::string::npos);
    CHECK(response.complete);
    if (!client.is_open() || response.field("Connection") == "close") {
      FAIL("the client's connection did nothing wrong");
    }
  }
  CHECK(sluice.reaches("sluice_errors_total", "", cases.size()));
  CHECK(origin.connections() == cases.size());
}

}  // namespace

TEST_CASE("e2e/strict: malformed answers are 502 and told from each other (RFC 9112 4-6)") {
  const std::string te = "Transfer-Encoding: ";
  const std::string cl = "Content-Length: ";
  refuse_all({
      {"no HTTP at all", "hello\r\n\r\n"},
      {"HTTP/0.9 style", "<html></html>\r\n\r\n"},
      {"another protocol", "ICY 200 OK\r\n\r\n"},
      {"HTTP/2.0", "HTTP/2.0 200 OK\r\n\r\n"},
      {"status with two digits", "HTTP/1.1 20 OK\r\n\r\n"},
      {"status with four digits", "HTTP/1.1 2000 OK\r\n\r\n"},
      {"status 600", "HTTP/1.1 600 X\r\n\r\n"},
      {"status 099", "HTTP/1.1 099 X\r\n\r\n"},
      {"two spaces", "HTTP/1.1  200 OK\r\n\r\n"},
      {"bare LF", "HTTP/1.1 200 OK\nContent-Length: 0\n\n"},
      {"bare LF after a field", ok("A: b\n" + cl + "0\r\n\r\n")},
      {"bare CR in a value", ok("A: b\rc\r\n" + cl + "0\r\n\r\n")},
      {"NUL in a value", ok(std::string("A: b\0c\r\n", 8) + cl + "0\r\n\r\n")},
      {"folded", ok("A: b\r\n c\r\n" + cl + "0\r\n\r\n")},
      {"space before the colon", ok("A : b\r\n" + cl + "0\r\n\r\n")},
      {"no colon", ok("Abc\r\n" + cl + "0\r\n\r\n")},
      {"length and coding", ok(cl + "3\r\n" + te + "chunked\r\n\r\n0\r\n\r\n")},
      {"differing lengths", ok(cl + "3\r\n" + cl + "4\r\n\r\nabcd")},
      {"length in a list", ok(cl + "3, 4\r\n\r\nabcd")},
      {"malformed length", ok(cl + "3x\r\n\r\nabc")},
      {"negative length", ok(cl + "-1\r\n\r\nabc")},
      {"coding gzip", ok(te + "gzip\r\n\r\nabc")},
      {"coding gzip, chunked", ok(te + "gzip, chunked\r\n\r\n0\r\n\r\n")},
      {"coding chunked twice", ok(te + "chunked, chunked\r\n\r\n0\r\n\r\n")},
      {"coding with HTTP/1.0", "HTTP/1.0 200 OK\r\n" + te + "chunked\r\n\r\n0\r\n\r\n"},
      {"204 with a length", "HTTP/1.1 204 X\r\n" + cl + "3\r\n\r\nabc"},
      {"101 that nobody asked for", "HTTP/1.1 101 X\r\nUpgrade: x\r\n\r\n", "upgrade_refused"},
      {"bad interim answer", "HTTP/1.1 103 X\r\nA : b\r\n\r\n" + ok(cl + "0\r\n\r\n")},
      {"too large a head", ok("A: " + repeat("a", 400'000) + "\r\n\r\n"),
       "response_header_too_large"},
  });
}

namespace {

// The answer as a client gets it when the endpoint sends `bytes` and closes.
Message relay(const std::string& bytes, bool reset = false) {
  Gate got_head;
  Origin origin([&](OriginConn& c) {
    c.expect_request();
    c.send(bytes);
    if (reset) {
      got_head.wait();
      c.reset();
    }
  });
  Sluice sluice(kOnePool, {{"a", origin.address()}});
  Wire client = Wire::to_port(sluice.port());
  client.send(request_text());
  Message response;
  if (reset) {
    CHECK(client.is_readable(kPatience));
    got_head.open();
  }
  response = client.read_response();
  if (!response.complete) {
    sluice.wait_for_value("sluice_errors_total", "reason=\"response_incomplete\"", 1);
  }
  return response;
}

}  // namespace

TEST_CASE("e2e/strict: a short answer never looks complete (RFC 9112 8)") {
  SUBCASE("shorter than its length") {
    const Message response = relay(ok("Content-Length: 10\r\n\r\nhello"));
    CHECK(response.status == 200);
    CHECK(response.body == "hello");
    CHECK_FALSE(response.complete);
  }
  SUBCASE("no last chunk") {
    const Message response = relay(ok("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"));
    CHECK(response.body == "hello");
    CHECK_FALSE(response.complete);
  }
  SUBCASE("in the middle of a chunk") {
    CHECK_FALSE(relay(ok("Transfer-Encoding: chunked\r\n\r\n9\r\nhello")).complete);
  }
  SUBCASE("a malformed later chunk") {
    Origin origin([](OriginConn& c) {
      c.expect_request();
      c.send(ok("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n"));
      c.wait_for_end();
    });
    Sluice sluice(kOnePool, {{"a", origin.address()}});
    const Message response = get(sluice.port());
    CHECK_FALSE((response.status == 200 && response.complete));
    CHECK(sluice.reaches("sluice_errors_total", "bad_response", 1));
  }
  SUBCASE("until close, reset") { CHECK_FALSE(relay(ok("\r\nhello"), true).complete); }
  SUBCASE("with a length, reset") {
    CHECK_FALSE(relay(ok("Content-Length: 10\r\n\r\nhello"), true).complete);
  }
}

TEST_CASE("e2e/strict: a short answer to an HTTP/1.0 client ends in a reset, not in a close") {
  Gate got_head;
  Origin origin([&](OriginConn& c) {
    c.expect_request();
    c.send(ok("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"));
    got_head.wait();
  });
  Sluice sluice(kOnePool, {{"a", origin.address()}});
  Wire client = Wire::to_port(sluice.port());
  client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
  const Message head = client.read_head();
  CHECK_FALSE(head.has("Content-Length"));
  CHECK(client.read_exactly(5) == "hello");
  got_head.open();
  client.expect_reset();
}

TEST_CASE("e2e/strict: an endpoint that ends before its answer is 502 with the reason") {
  const auto relay_end = [](const std::function<void(OriginConn&)>& end, const char* token) {
    Origin origin([&](OriginConn& c) {
      c.expect_request();
      end(c);
    });
    Sluice sluice(kOnePool, {{"a", origin.address()}});
    const Message response = get(sluice.port());
    CHECK(response.status == 502);
    CHECK(response.field("Proxy-Status").find(token) != std::string::npos);
    CHECK(origin.requests().size() == 1);
  };
  relay_end([](OriginConn& c) { c.close(); }, "details=\"reset_before_headers\"");
  relay_end([](OriginConn& c) { c.reset(); }, "details=\"reset_before_headers\"");
  relay_end([](OriginConn& c) { c.send("HTTP/1.1 200 OK\r\nA: b\r\n"); }, "details=\"");
}

TEST_CASE("e2e/strict: bytes behind an answer end that connection and reach nobody") {
  Origin origin([](OriginConn& c) {
    c.expect_request();
    c.send(answer(200, "one") + answer(200, "smuggled"));
    CHECK(c.wait_for_end() != Ending::timeout);
  });
  Sluice sluice(kOnePool, {{"a", origin.address()}});
  Wire client = Wire::to_port(sluice.port());
  for (size_t i = 0; i < 3; ++i) {
    client.send(request_text());
    CHECK(client.read_response().body == "one");
  }
  CHECK(origin.connections() == 3);
  sluice.wait_for_value("sluice_connections_closed_total", "reason=\"dirty\"", 3);
}

TEST_CASE("e2e/strict: bytes that come on an idle connection end it") {
  Gate idle;
  Origin origin([&](OriginConn& c) {
    c.expect_request();
    c.reply("one");
    if (c.index() > 0) return;
    idle.wait();
    c.send(answer(200, "nobody asked"));
    CHECK(c.wait_for_end() != Ending::timeout);
  });
  Sluice sluice(kOnePool, {{"a", origin.address()}});
  Wire client = Wire::to_port(sluice.port());
  client.send(request_text());
  CHECK(client.read_response().body == "one");
  sluice.wait_for_value("sluice_upstream_connections_idle", "", 1);
  idle.open();
  sluice.wait_for_value("sluice_connections_closed_total", "reason=\"dirty\"", 1);
  client.send(request_text());
  CHECK(client.read_response().body == "one");
  CHECK(origin.connections() == 2);
}

TEST_CASE("e2e/strict: error bodies are short, text or JSON by Accept") {
  RefusingPort nobody;
  Sluice sluice(kOnePool, {{"a", nobody.address()}});
  const Message text = get(sluice.port(), "/", "X-Request-Id: abc\r\n");
  CHECK(text.status == 502);
  CHECK(text.field("Content-Type").starts_with("text/plain"));
  CHECK(text.body.find("connect_refused") != std::string::npos);
  CHECK(text.body.find("abc") != std::string::npos);
  CHECK(text.body.size() < 400);
  CHECK(text.field("Proxy-Status") ==
        "sluice; error=connection_refused; next-hop=\"a\"; details=\"connect_refused\"");
  const Message json = get(sluice.port(), "/", "Accept: application/json\r\n");
  CHECK(json.field("Content-Type").starts_with("application/json"));
  CHECK(Json::parse(json.body).at("reason") == "connect_refused");
}
