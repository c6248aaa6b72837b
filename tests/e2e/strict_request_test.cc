// What RFC 9112 calls an error in a request is refused, and never forwarded in a repaired form.
#include "tests/e2e/harness/e2e.h"

using namespace e2e;

namespace {

constexpr const char* kOnePool = R"(
pools:
  app: {endpoints: [{address: "@a", name: a}], health: {type: off}}
)";

struct Case {
  const char* what;
  std::string bytes;
  int status = 400;
};

std::string head(const std::string& lines) { return "POST / HTTP/1.1\r\nHost: a\r\n" + lines; }

// Each case on a connection of its own: the status, then the close; nothing reaches the origin.
void refuse_all(const std::vector<Case>& cases) {
  Origin origin(
      [](OriginConn& c) { c.serve([](const Message&) { return answer(200, "passed"); }); });
  Sluice sluice(kOnePool, {{"a", origin.address()}});
  const uint16_t port = sluice.port();
  for (const Case& each : cases) {
    CAPTURE(each.what);
    Wire client = Wire::to_port(port);
    client.send(each.bytes);
    try {
      const Message response = client.read_response();
      CHECK(response.status == each.status);
      CHECK(response.complete);
      CHECK(lower(response.field("Connection")) == "close");
      CHECK(response.field("Proxy-Status").starts_with("sluice; error=http_request_"));
      client.expect_close();
    } catch (const Failure& failure) {
      FAIL_CHECK(failure.what());
    }
  }
  CHECK(origin.requests().empty());
  CHECK(sluice.value("sluice_errors_total") >= static_cast<double>(cases.size()));
  CHECK(get(port).body == "passed");  // the refusals did not come from a broken set-up
}

}  // namespace

TEST_CASE("e2e/strict: contradictory or malformed framing is refused (RFC 9112 6.1, 6.3)") {
  const std::string te = "Transfer-Encoding: ";
  const std::string cl = "Content-Length: ";
  const std::string chunks = "\r\n0\r\n\r\n";
  refuse_all({
      {"length and coding", head(cl + "5\r\n" + te + "chunked\r\n") + chunks},
      {"coding and length", head(te + "chunked\r\n" + cl + "5\r\n") + chunks},
      {"coding and length 0", head(cl + "0\r\n" + te + "chunked\r\n") + chunks},
      {"differing lengths", head(cl + "1\r\n" + cl + "2\r\n") + "\r\nab"},
      {"differing lengths in a list", head(cl + "1, 2\r\n") + "\r\nab"},
      {"equal lengths in two lines", head(cl + "2\r\n" + cl + "2\r\n") + "\r\nab"},
      {"equal lengths in a list", head(cl + "2, 2\r\n") + "\r\nab"},
      {"length with plus", head(cl + "+2\r\n") + "\r\nab"},
      {"length with minus", head(cl + "-2\r\n") + "\r\nab"},
      {"length in hex", head(cl + "0x2\r\n") + "\r\nab"},
      {"length with a letter", head(cl + "2a\r\n") + "\r\nab"},
      {"length with inner space", head(cl + "1 2\r\n") + "\r\nab"},
      {"length empty", head(cl + "\r\n") + "\r\n"},
      {"length over 63 bits", head(cl + "9223372036854775808\r\n") + "\r\nab"},
      {"length over 64 bits", head(cl + "18446744073709551618\r\n") + "\r\nab"},
      {"length with underscore", head("Content_Length: 1\r\n" + cl + "1_0\r\n") + "\r\nab"},
      {"coding identity", head(te + "identity\r\n") + chunks},
      {"coding gzip", head(te + "gzip\r\n") + chunks},
      {"coding gzip, chunked", head(te + "gzip, chunked\r\n") + chunks},
      {"coding chunked, gzip", head(te + "chunked, gzip\r\n") + chunks},
      {"coding chunked twice", head(te + "chunked, chunked\r\n") + chunks},
      {"coding in two lines", head(te + "chunked\r\n" + te + "chunked\r\n") + chunks},
      {"coding with a parameter", head(te + "chunked;a=b\r\n") + chunks},
      {"coding with vertical tab", head(te + "\vchunked\r\n") + chunks},
      {"coding quoted", head(te + "\"chunked\"\r\n") + chunks},
      {"coding misspelt", head(te + "xchunked\r\n") + chunks},
      {"coding empty", head(te + "\r\n") + chunks},
      {"coding with HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\n" + te + "chunked\r\n" + chunks},
  });
}

TEST_CASE("e2e/strict: malformed chunks are refused (RFC 9112 7.1)") {
  const std::string chunked = head("Transfer-Encoding: chunked\r\n\r\n");
  refuse_all({
      {"size not hex", chunked + "xyz\r\nabc\r\n0\r\n\r\n"},
      {"size empty", chunked + "\r\nabc\r\n0\r\n\r\n"},
      {"size with 0x", chunked + "0x3\r\nabc\r\n0\r\n\r\n"},
      {"size with plus", chunked + "+3\r\nabc\r\n0\r\n\r\n"},
      {"size with minus", chunked + "-3\r\nabc\r\n0\r\n\r\n"},
      {"size with leading space", chunked + " 3\r\nabc\r\n0\r\n\r\n"},
      {"size over 64 bits", chunked + "10000000000000003\r\nabc\r\n0\r\n\r\n"},
      {"size line ends with LF", chunked + "3\nabc\r\n0\r\n\r\n"},
      {"size line ends with CR", chunked + "3\rabc\r\n0\r\n\r\n"},
      {"data without CRLF", chunked + "3\r\nabc0\r\n\r\n"},
      {"data longer than its size", chunked + "3\r\nabcd\r\n0\r\n\r\n"},
      {"data ends with LF", chunked + "3\r\nabc\n0\r\n\r\n"},
      {"extension with bare LF", chunked + "3;a=b\nc\r\nabc\r\n0\r\n\r\n"},
      {"extension with bare CR", chunked + "3;a=b\rc\r\nabc\r\n0\r\n\r\n"},
      {"extension with NUL", chunked + std::string("3;a=\0\r\nabc\r\n0\r\n\r\n", 17)},
      {"last chunk ends with LF", chunked + "3\r\nabc\r\n0\n\n"},
      {"trailer folded", chunked + "0\r\nA: b\r\n c\r\n\r\n"},
      {"trailer with space before colon", chunked + "0\r\nA : b\r\n\r\n"},
      {"trailer without colon", chunked + "0\r\nabc\r\n\r\n"},
      {"trailer ends with LF", chunked + "0\r\nA: b\n\r\n"},
  });
}

TEST_CASE("e2e/strict: bare CR, bare LF, NUL and folding are refused (RFC 9112 2.2, 5)") {
  const std::string first = "GET / HTTP/1.1\r\nHost: a\r\n";
  refuse_all({
      {"bare LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n"},
      {"bare LF after a field", "GET / HTTP/1.1\r\nHost: a\nA: b\r\n\r\n"},
      {"bare LF at the end", "GET / HTTP/1.1\r\nHost: a\r\n\n"},
      {"leading bare LF", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"bare CR in a value", first + "A: b\rc\r\n\r\n"},
      {"bare CR in a name", first + "A\rb: c\r\n\r\n"},
      {"bare CR in the request line", "GET /\r HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"NUL in a value", first + std::string("A: b\0c\r\n\r\n", 10)},
      {"NUL in a name", first + std::string("A\0: c\r\n\r\n", 9)},
      {"NUL in the target", std::string("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", 28)},
      {"folded with space", first + "A: b\r\n c\r\n\r\n"},
      {"folded with tab", first + "A: b\r\n\tc\r\n\r\n"},
      {"folded first line", "GET / HTTP/1.1\r\n Host: a\r\n\r\n"},
      {"space before the colon", first + "A : b\r\n\r\n"},
      {"tab before the colon", first + "A\t: b\r\n\r\n"},
      {"length with space before the colon", head("Content-Length : 2\r\n\r\nab")},
      {"no colon", first + "Abc\r\n\r\n"},
      {"empty name", first + ": b\r\n\r\n"},
      {"name with bracket", first + "A(b): c\r\n\r\n"},
      {"name with a high byte", first + "A\xC3\xA4: c\r\n\r\n"},
      {"control byte in a value", first + "A: b\x01"
                                          "c\r\n\r\n"},
      {"DEL in a value", first + "A: b\x7F\r\n\r\n"},
  });
}

TEST_CASE("e2e/strict: bad request lines, Host and targets are refused (RFC 9112 3)") {
  const std::string end = "\r\nHost: a\r\n\r\n";
  refuse_all({
      {"no Host", "GET / HTTP/1.1\r\n\r\n"},
      {"two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"},
      {"two equal Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"},
      {"Host with a space", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"},
      {"Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"},
      {"Host with userinfo", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"},
      {"Host with a bad port", "GET / HTTP/1.1\r\nHost: a:8x\r\n\r\n"},
      {"Host as a list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"},
      {"method with a bracket", "GE(T / HTTP/1.1" + end},
      {"method with a colon", "GET: / HTTP/1.1" + end},
      {"no method", " / HTTP/1.1" + end},
      {"two spaces before the target", "GET  / HTTP/1.1" + end},
      {"two spaces before the version", "GET /  HTTP/1.1" + end},
      {"a tab in the request line", "GET\t/ HTTP/1.1" + end},
      {"space at the end of the line", "GET / HTTP/1.1 " + end},
      {"HTTP/0.9", "GET /\r\n\r\n"},
      {"lower-case version", "GET / http/1.1" + end},
      {"version without a dot", "GET / HTTP/11" + end},
      {"version with three digits", "GET / HTTP/1.10" + end},
      {"another protocol", "GET / RTSP/1.0" + end},
      {"HTTP/2.0 over HTTP/1", "GET / HTTP/2.0" + end, 505},
      {"target without slash", "GET x HTTP/1.1" + end},
      {"target with a fragment", "GET /a#b HTTP/1.1" + end},
      {"target with a high byte", "GET /\xC3\xA4 HTTP/1.1" + end},
      {"target above the root", "GET /../x HTTP/1.1" + end},
      {"target above the root, encoded", "GET /%2e%2e/x HTTP/1.1" + end},
      {"target above the root, later", "GET /a/../../x HTTP/1.1" + end},
      {"target with a bad escape", "GET /%zz HTTP/1.1" + end},
      {"asterisk with GET", "GET * HTTP/1.1" + end},
      {"absolute form without a host", "GET http:///x HTTP/1.1" + end},
      {"absolute form with userinfo", "GET http://u@a/x HTTP/1.1" + end},
  });
}

TEST_CASE("e2e/strict: a bad chunk after good ones is 400, and the endpoint sees an unended body") {
  Gate seen;
  Origin origin([&](OriginConn& c) {
    c.expect_head();
    CHECK(c.read_exactly(8) == "3\r\nabc\r\n");
    seen.open();
    CHECK(c.wait_for_end() != Ending::timeout);
    CHECK(c.rest().empty());
  });
  Sluice sluice(kOnePool, {{"a", origin.address()}});
  Wire client = Wire::to_port(sluice.port());
  client.send(head("Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"));
  seen.wait();
  client.send("zz\r\n");
  const Message response = client.read_response();
  CHECK(response.status == 400);
  CHECK(response.field("Proxy-Status").find("details=\"bad_chunk\"") != std::string::npos);
  client.expect_close();
}

TEST_CASE("e2e/strict: nothing behind a refused request is taken for a request") {
  Origin origin(
      [](OriginConn& c) { c.serve([](const Message&) { return answer(200, "passed"); }); });
  Sluice sluice(kOnePool, {{"a", origin.address()}});
  Wire client = Wire::to_port(sluice.port());
  client.send(head("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n") +
              request_text("/smuggled"));
  CHECK(client.read_response().status == 400);
  client.expect_close();
  CHECK(origin.connections() == 0);
}

TEST_CASE("e2e/strict: CONNECT and TRACE are 405 with Allow (RFC 9110 9.3.6, 9.3.8)") {
  Origin origin([](OriginConn& c) { c.expect_request(); });
  Sluice sluice(kOnePool, {{"a", origin.address()}});
  for (const std::string& line : {std::string("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"),
                                  std::string("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n")}) {
    CAPTURE(line);
    Wire client = Wire::to_port(sluice.port());
    client.send(line);
    const Message response = client.read_response();
    CHECK(response.status == 405);
    CHECK(response.has("Allow"));
    CHECK(response.field("Proxy-Status").find("method_refused") != std::string::npos);
  }
  CHECK(origin.connections() == 0);
}

TEST_CASE("e2e/strict: what is unusual but right is passed on") {
  Origin origin(
      [](OriginConn& c) { c.serve([](const Message&) { return answer(200, "passed"); }); });
  Sluice sluice(kOnePool, {{"a", origin.address()}});
  const std::vector<std::string> right = {
      "BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n",                  // an unknown method
      "GET / HTTP/1.1\r\nhOST: [::1]:80\r\n\r\n",               //
      "GET /a?b=/../c HTTP/1.1\r\nHost: a\r\n\r\n",             // dots in a query
      "GET / HTTP/1.1\r\nHost: a\r\nA: \t b \t\r\nB:\r\n\r\n",  // white space around values
      "GET / HTTP/1.1\r\nHost: a\r\nA: \xC3\xA4\r\n\r\n",       // obs-text
      "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",              // empty lines before (RFC 9112 2.2)
      head("Transfer-Encoding: Chunked\r\n\r\n0003;x=\"y z\";q\r\nabc\r\n00\r\n\r\n"),
  };
  for (const std::string& text : right) {
    CAPTURE(text);
    Wire client = Wire::to_port(sluice.port());
    client.send(text);
    CHECK(client.read_response().body == "passed");
  }
}
