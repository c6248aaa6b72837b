// Everything that HTTP/1 messages may look like on their way through.
#include "tests/e2e/harness/e2e.h"

using namespace e2e;

namespace {

constexpr const char* kOnePool = R"(
pools:
  app: {endpoints: [{address: "@a", name: a}], health: {type: off}}
)";

std::string ok(const std::string& rest) { return "HTTP/1.1 200 OK\r\n" + rest; }

struct Site {
  explicit Site(Origin::Script script)
      : origin(std::move(script)), sluice(kOnePool, {{"a", origin.address()}}) {
    client = Wire::to_port(sluice.port());
  }
  Origin origin;
  Sluice sluice;
  Wire client;
};

void echo_target(OriginConn& c) {
  c.serve([](const Message& r) { return answer(200, r.target + " " + r.body); });
}

}  // namespace

TEST_CASE("e2e/messages: keep-alive on both sides") {
  Site site(echo_target);
  for (int i = 0; i < 20; ++i) {
    site.client.send(request_text("/" + std::to_string(i)));
    CHECK(site.client.read_response().body == "/" + std::to_string(i) + " ");
  }
  CHECK(site.origin.connections() == 1);
  CHECK(site.sluice.reaches("sluice_upstream_reuses_total", "", 19));
  CHECK(site.sluice.reaches("sluice_connections_accepted_total", "", 1));
}

TEST_CASE("e2e/messages: twenty pipelined requests are answered in order (RFC 9112 9.3.2)") {
  Site site(echo_target);
  std::string all;
  for (int i = 0; i < 20; ++i) {
    all += i % 3 == 2
               ? request_text("/" + std::to_string(i), "Content-Length: 4\r\n", "POST") + "body"
               : request_text("/" + std::to_string(i));
  }
  SUBCASE("in one write") { site.client.send(all); }
  SUBCASE("byte by byte") { site.client.send_split(all); }
  for (int i = 0; i < 20; ++i) {
    const std::string expected = "/" + std::to_string(i) + (i % 3 == 2 ? " body" : " ");
    CHECK(site.client.read_response().body == expected);
  }
}

TEST_CASE("e2e/messages: Connection: close is honoured on both sides (RFC 9112 9.6)") {
  Site site([](OriginConn& c) {
    c.expect_request();
    c.send(ok("Connection: close\r\nContent-Length: 2\r\n\r\nok"));
    CHECK(c.wait_for_end() == Ending::eof);
  });
  site.client.send(request_text());
  const Message first = site.client.read_response();
  CHECK(first.body == "ok");
  CHECK_FALSE(first.has("Connection"));
  site.client.send(request_text("/", "Connection: close\r\n"));
  const Message last = site.client.read_response();
  CHECK(last.field("Connection") == "close");
  site.client.expect_close();
  CHECK(site.origin.connections() == 2);
}

TEST_CASE("e2e/messages: an HTTP/1.0 client gets no chunks and a close (RFC 9112 9.3)") {
  Site site([](OriginConn& c) {
    c.serve([](const Message& r) {
      return r.target == "/chunked" ? ok("Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
                                    : answer(200, "sized");
    });
  });
  site.client.send("GET /chunked HTTP/1.0\r\nHost: a\r\n\r\n");
  const Message chunked = site.client.read_response();
  CHECK(chunked.start == "HTTP/1.1 200 OK");
  CHECK_FALSE(chunked.has("Transfer-Encoding"));
  CHECK(chunked.by_close);
  CHECK(chunked.body == "abc");
  CHECK(site.origin.request(0).start == "GET /chunked HTTP/1.1");

  Wire kept = Wire::to_port(site.sluice.port());
  kept.send("GET /sized HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
  const Message sized = kept.read_response();
  CHECK(sized.body == "sized");
  CHECK(sized.field("Connection") == "close");
  kept.expect_close();

  Wire old = Wire::to_port(site.sluice.port());
  old.send("GET /sized HTTP/1.0\r\n\r\n");  // without Host, as HTTP/1.0 allows
  CHECK(old.read_response().body == "sized");
  CHECK(site.origin.request(2).has("Host"));
}

TEST_CASE("e2e/messages: chunks and trailers pass both ways (RFC 9112 7.1)") {
  Site site([](OriginConn& c) {
    c.expect_request();
    c.send(
        ok("Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n"
           "X-Sum: 7\r\nX-More: z\r\n\r\n"));
    c.wait_for_end();
  });
  site.client.send(
      "POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n"
      "\r\n5\r\nhello\r\n0\r\nX-Check: 1\r\nX-Two: 2\r\n\r\n");
  const Message response = site.client.read_response();
  CHECK(response.body == "abcdefg");
  REQUIRE(response.trailers.size() == 2);
  CHECK(response.trailers[0].name == "X-Sum");
  CHECK(response.trailers[1].value == "z");
  const Message request = site.origin.request(0);
  CHECK(request.body == "hello");
  REQUIRE(request.trailers.size() == 2);
  CHECK(request.trailers[1].name == "X-Two");
}

TEST_CASE("e2e/messages: trailers that could mislead are left out (RFC 9110 6.5.1)") {
  const std::string bad =
      "Content-Length: 9\r\nTransfer-Encoding: chunked\r\nHost: evil\r\nConnection: x\r\n"
      "Authorization: x\r\nX-Fine: 1\r\n";
  Site site([&](OriginConn& c) {
    c.expect_request();
    c.send(ok("Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n" + bad + "\r\n"));
    c.wait_for_end();
  });
  site.client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + bad +
                   "\r\n");
  const Message response = site.client.read_response();
  REQUIRE(response.trailers.size() == 1);
  CHECK(response.trailers[0].name == "X-Fine");
  const Message request = site.origin.request(0);
  REQUIRE(request.trailers.size() == 1);
  CHECK(request.trailers[0].name == "X-Fine");
}

TEST_CASE("e2e/messages: a close-delimited answer becomes chunks, and the client stays") {
  Site site([](OriginConn& c) {
    c.expect_request();
    c.send(c.index() == 0 ? ok("\r\nall of it") : "HTTP/1.0 200 OK\r\n\r\nold");
  });
  site.client.send(request_text());
  const Message response = site.client.read_response();
  CHECK(response.field("Transfer-Encoding") == "chunked");
  CHECK(response.complete);
  CHECK(response.body == "all of it");
  site.client.send(request_text());
  CHECK(site.client.read_response().body == "old");
}

TEST_CASE("e2e/messages: Expect: 100-continue is passed on and answered by the endpoint") {
  Gate body_may_come;
  Site site([&](OriginConn& c) {
    Message request = c.expect_head();
    CHECK(request.field("Expect") == "100-continue");
    CHECK_FALSE(c.is_readable(milliseconds(30)));
    if (request.start.starts_with("PUT /no")) {
      c.send("HTTP/1.1 417 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
      c.wait_for_end();
      return;
    }
    c.send("HTTP/1.1 100 Continue\r\n\r\n");
    CHECK(c.read_exactly(5) == "hello");
    c.reply("thanks");
  });
  const std::string lines = "Expect: 100-continue\r\nContent-Length: 5\r\n";
  site.client.send(request_text("/yes", lines, "PUT"));
  CHECK(site.client.read_response().status == 100);
  site.client.send("hello");
  CHECK(site.client.read_response().body == "thanks");

  Wire other = Wire::to_port(site.sluice.port());
  other.send(request_text("/no", lines, "PUT"));
  CHECK(other.read_response().status == 417);
}

TEST_CASE("e2e/messages: 103 and other interim answers pass, but not to HTTP/1.0 (RFC 9110 15.2)") {
  Site site([](OriginConn& c) {
    c.serve([](const Message&) {
      return "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLink: </b>\r\n\r\n"
             "HTTP/1.1 102 Processing\r\n\r\n" +
             answer(200, "done");
    });
  });
  site.client.send(request_text());
  const Message hints = site.client.read_response();
  CHECK(hints.status == 103);
  CHECK(hints.names() == "Link,Link");
  CHECK(site.client.read_response().status == 102);
  CHECK(site.client.read_response().body == "done");
  Wire old = Wire::to_port(site.sluice.port());
  old.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
  CHECK(old.read_response().status == 200);
}

TEST_CASE("e2e/messages: HEAD, 204 and 304 have no body whatever their fields say (RFC 9112 6.3)") {
  Site site([](OriginConn& c) {
    c.serve([](const Message& r) -> std::string {
      if (r.target == "/204") return "HTTP/1.1 204 No Content\r\n\r\n";
      if (r.target == "/304") return "HTTP/1.1 304 X\r\nETag: \"a\"\r\nContent-Length: 99\r\n\r\n";
      if (r.target == "/chunked") return ok("Transfer-Encoding: chunked\r\n\r\n");
      return r.method == "HEAD" ? ok("Content-Length: 1234\r\n\r\n") : answer(200, "get");
    });
  });
  site.client.send(request_text("/", "", "HEAD"));
  CHECK(site.client.read_response("HEAD").field("Content-Length") == "1234");
  site.client.send(request_text("/chunked", "", "HEAD"));
  CHECK(site.client.read_response("HEAD").status == 200);
  site.client.send(request_text("/204"));
  CHECK_FALSE(site.client.read_response().has("Transfer-Encoding"));
  site.client.send(request_text("/304"));
  CHECK(site.client.read_response().field("Content-Length") == "99");
  site.client.send(request_text("/get"));
  CHECK(site.client.read_response().body == "get");
  CHECK(site.origin.connections() == 1);
}

TEST_CASE("e2e/messages: an early answer reaches the client while its body is still on the way") {
  Site site([](OriginConn& c) {
    c.expect_head();
    c.send(answer(403, "no"));
    c.wait_for_end();
  });
  site.client.send(request_text("/", "Content-Length: 1000000\r\n", "POST") + repeat("x", 1000));
  const Message response = site.client.read_response();
  CHECK(response.status == 403);
  CHECK(response.body == "no");
  // What follows the unfinished body cannot be told, so the connection may end but not be reused.
  site.client.try_send(repeat("x", 10000));
  const Ending ending = site.client.wait_for_end();
  CHECK((ending == Ending::eof || ending == Ending::reset));
}

TEST_CASE("e2e/messages: an answer that streams while the request still streams") {
  Site site([](OriginConn& c) {
    c.expect_head();
    c.send(ok("Transfer-Encoding: chunked\r\n\r\n"));
    for (int i = 0; i < 10; ++i) {
      const std::string piece = c.read_exactly(5);
      c.send("5\r\n" + piece + "\r\n");
    }
    c.send("0\r\n\r\n");
    c.wait_for_end();
  });
  site.client.send(request_text("/", "Content-Length: 50\r\n", "POST"));
  CHECK(site.client.read_head().status == 0);
  for (int i = 0; i < 10; ++i) {
    const std::string piece = "piec" + std::to_string(i);
    site.client.send(piece);
    CHECK(site.client.read_until("\r\n") == "5\r\n");
    CHECK(site.client.read_exactly(7) == piece + "\r\n");
  }
  CHECK(site.client.read_until("\r\n\r\n") == "0\r\n\r\n");
}

TEST_CASE("e2e/messages: a half-closed client still gets its answers") {
  Site site(echo_target);
  SUBCASE("after one request") {
    site.client.send(request_text("/one"));
    site.client.half_close();
    CHECK(site.client.read_response().body == "/one ");
  }
  SUBCASE("after three pipelined ones") {
    site.client.send(request_text("/1") + request_text("/2") + request_text("/3"));
    site.client.half_close();
    for (const char* body : {"/1 ", "/2 ", "/3 "}) CHECK(site.client.read_response().body == body);
  }
  site.client.expect_close();
}

TEST_CASE("e2e/messages: a client that leaves takes its request along") {
  Gate arrived;
  Site site([&](OriginConn& c) {
    c.expect_request();
    arrived.open();
    CHECK(c.wait_for_end() != Ending::timeout);
  });
  site.client.send(request_text());
  arrived.wait();
  site.client.reset();
  const Json line = site.sluice.log(1)[0];
  CHECK(line.at("status") == 499);
  CHECK(line.at("reason") == "client_gone");
  CHECK(site.sluice.reaches("sluice_exchanges_open", "", 0));
}

TEST_CASE("e2e/messages: a body cut off by the client is never completed towards the endpoint") {
  Gate arrived;
  Site site([&](OriginConn& c) {
    c.expect_head();
    CHECK(c.read_exactly(3) == "abc");
    arrived.open();
    CHECK(c.wait_for_end() != Ending::timeout);
    CHECK(c.rest().empty());
  });
  site.client.send(request_text("/", "Content-Length: 9\r\n", "PUT") + "abc");
  arrived.wait();
  site.client.close();
  CHECK(site.sluice.log(1)[0].at("reason") == "client_gone");
}

TEST_CASE("e2e/messages: requests split at every byte") {
  Site site(echo_target);
  const std::string text =
      "\r\nPOST /s?x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3;a=\"b\"\r\nabc\r\n2\r\nde\r\n0\r\nT: u\r\n\r\n";
  for (size_t at = 1; at < text.size(); ++at) {
    CAPTURE(at);
    site.client.send(text.substr(0, at));
    site.client.send(text.substr(at));
    REQUIRE(site.client.read_response().body == "/s?x abcde");
  }
  site.client.send_split(text);
  CHECK(site.client.read_response().body == "/s?x abcde");
  CHECK(site.origin.connections() == 1);
}

TEST_CASE("e2e/messages: answers split at every byte") {
  const std::string text =
      ok("A: b\r\nTransfer-Encoding: chunked\r\n\r\n3;a=\"b\"\r\nabc\r\n"
         "2\r\nde\r\n0\r\nT: u\r\n\r\n");
  std::atomic<size_t> at{1};
  Site site([&](OriginConn& c) {
    for (;;) {
      c.expect_request();
      if (at == 0) {
        c.send_split(text);
      } else {
        c.send(text.substr(0, at));
        c.send(text.substr(at));
      }
    }
  });
  const auto ask = [&] {
    site.client.send(request_text());
    const Message response = site.client.read_response();
    REQUIRE(response.body == "abcde");
    REQUIRE(response.trailers.size() == 1);
  };
  for (; at < text.size(); ++at) ask();
  at = 0;
  ask();
  CHECK(site.origin.connections() == 1);
}

TEST_CASE("e2e/messages: curl agrees") {
  Site site(echo_target);
  const Finished got = curl({"-i", "--data-binary", "hello", site.sluice.url("/c")});
  CHECK(got.exit_code == 0);
  CHECK(got.out.starts_with("HTTP/1.1 200"));
  CHECK(got.out.ends_with("/c hello"));
  const Finished chunked =
      curl({"-H", "Transfer-Encoding: chunked", "--data-binary", "hello", site.sluice.url("/d")});
  CHECK(chunked.out == "/d hello");
}
