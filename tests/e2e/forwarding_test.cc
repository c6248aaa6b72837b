// What sluice changes in a head on its way, and that it changes nothing else.
#include "tests/e2e/harness/e2e.h"

using namespace e2e;

namespace {

constexpr const char* kOnePool = R"(
pools:
  app: {endpoints: [{address: "@a", name: a}], health: {type: off}}
)";

// One request and its answer, as both ends see them.
struct Seen {
  Message request, response;
};

Seen pass(const std::string& request, const std::string& response = answer(200, "ok"),
          const std::string& yaml = kOnePool) {
  Origin origin([&](OriginConn& c) {
    c.expect_request();
    c.send(response);
    c.wait_for_end();
  });
  Sluice sluice(yaml, {{"a", origin.address()}});
  Wire client = Wire::to_port(sluice.port());
  client.send(request);
  Seen seen;
  seen.response = client.read_response();
  seen.request = origin.request(0);
  return seen;
}

bool is_request_id(const std::string& id) {
  return !id.empty() && id.size() <= 128 &&
         id.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
             std::string::npos;
}

}  // namespace

TEST_CASE("e2e/forwarding: fields go on byte for byte and in order, then ours") {
  const std::string lines =
      "aCCept:  text/*;q=0.5\r\nHOST: Shop.Example:80\r\nX-A:1\r\nX-a: \t2 \r\nCookie: a=b; c\r\n"
      "X-Empty:\r\nUser-Agent: me/1.0 (\xC3\xA4)\r\n";
  const Seen seen = pass("GET /A/b%2fc/../d?e=%zz&f HTTP/1.1\r\n" + lines + "\r\n");
  CHECK(seen.request.start == "GET /A/b%2fc/../d?e=%zz&f HTTP/1.1");
  const std::string head = seen.request.raw_head;
  CHECK(head.find("\r\n" + lines) == head.find("\r\n"));
  CHECK(seen.request.field("Host") == "Shop.Example:80");
  CHECK(seen.request.names().starts_with("aCCept,HOST,X-A,X-a,Cookie,X-Empty,User-Agent,Via,"));
}

TEST_CASE("e2e/forwarding: answers go on byte for byte and in order") {
  const std::string lines =
      "SERVER:x\r\nSet-Cookie: a\r\nX-B:  two \r\nset-cookie: b\r\nDate: Sun, 06 Nov 1994 08:49:37 "
      "GMT\r\n";
  const Seen seen =
      pass(request_text(), "HTTP/1.1 201 Made Up\r\n" + lines + "Content-Length: 2\r\n\r\nok");
  CHECK(seen.response.start == "HTTP/1.1 201 Made Up");
  CHECK(seen.response.raw_head.find("\r\n" + lines) == seen.response.raw_head.find("\r\n"));
  CHECK(seen.response.field("Via") == "1.1 sluice");
  CHECK(seen.response.count("Date") == 1);
  CHECK(is_request_id(seen.response.field("X-Request-Id")));
  CHECK_FALSE(seen.response.has("Proxy-Status"));
  CHECK_FALSE(seen.response.has("Cache-Status"));
}

TEST_CASE("e2e/forwarding: a missing Date and reason phrase (RFC 9110 6.6.1, RFC 9112 4)") {
  const Seen seen = pass(request_text(), "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n");
  CHECK(seen.response.status == 200);
  CHECK(seen.response.field("Date").ends_with(" GMT"));
}

TEST_CASE("e2e/forwarding: hop-by-hop fields and those named by Connection go (RFC 9110 7.6.1)") {
  const Seen seen = pass(
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Mine, keep-alive\r\nConnection: x-other\r\n"
      "Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: gzip\r\nUpgrade: x\r\n"
      "X-Mine: 1\r\nX-Other: 2\r\nX-Stays: 3\r\nProxy-Authorization: stays\r\n\r\n",
      "HTTP/1.1 200 OK\r\nConnection: X-Theirs\r\nKeep-Alive: timeout=9\r\nX-Theirs: 1\r\n"
      "X-Stays: 2\r\nUpgrade: h9\r\nContent-Length: 0\r\n\r\n");
  for (const char* gone :
       {"Keep-Alive", "Proxy-Connection", "TE", "Upgrade", "X-Mine", "X-Other"}) {
    CAPTURE(gone);
    CHECK_FALSE(seen.request.has(gone));
  }
  CHECK(seen.request.field("X-Stays") == "3");
  for (const char* gone : {"Keep-Alive", "X-Theirs", "Upgrade"}) {
    CAPTURE(gone);
    CHECK_FALSE(seen.response.has(gone));
  }
  CHECK(seen.response.field("X-Stays") == "2");
}

TEST_CASE("e2e/forwarding: Connection cannot take away what sluice and endpoints rely on") {
  const Seen seen = pass(
      "POST / HTTP/1.1\r\nHost: a\r\nConnection: close, Host, X-Forwarded-For, Content-Length, "
      "Via\r\n"
      "Content-Length: 2\r\n\r\nhi");
  CHECK(seen.request.field("Host") == "a");
  CHECK(seen.request.field("X-Forwarded-For") == "127.0.0.1");
  CHECK(seen.request.field("Via") == "1.1 sluice");
  CHECK(seen.request.body == "hi");
}

TEST_CASE("e2e/forwarding: TE: trailers goes on, named by Connection (RFC 9110 10.1.4)") {
  const Seen seen = pass(request_text("/", "TE: trailers, gzip\r\nConnection: TE\r\n"));
  CHECK(seen.request.field("TE") == "trailers");
  CHECK(seen.request.field("Connection") == "TE");
}

TEST_CASE("e2e/forwarding: an absolute-form target becomes origin-form (RFC 9112 3.2.2)") {
  struct Row {
    const char* target;
    const char* sent;
    const char* host;
  };
  for (const Row& row : {Row{"http://shop.example:81/x?y", "/x?y", "shop.example:81"},
                         Row{"HTTP://Shop.Example", "/", "Shop.Example"},
                         Row{"http://shop.example?q=1", "/?q=1", "shop.example"}}) {
    CAPTURE(row.target);
    const Seen seen = pass(std::string("GET ") + row.target + " HTTP/1.1\r\nHost: other\r\n\r\n");
    CHECK(seen.request.target == row.sent);
    CHECK(seen.request.field("Host") == row.host);
  }
}

TEST_CASE("e2e/forwarding: Via is appended, not replaced (RFC 9110 7.6.3)") {
  const Seen seen =
      pass(request_text("/", "Via: 1.0 fred\r\n"), answer(200, "", "Via: 1.1 origin-side\r\n"));
  CHECK(seen.request.field("Via") == "1.0 fred, 1.1 sluice");
  CHECK(seen.response.field("Via") == "1.1 origin-side, 1.1 sluice");
  CHECK(pass("GET / HTTP/1.0\r\nHost: a\r\n\r\n").request.field("Via") == "1.0 sluice");
}

TEST_CASE("e2e/forwarding: what an untrusted client says of itself is dropped") {
  const Seen seen = pass(request_text(
      "/",
      "X-Forwarded-For: 9.9.9.9\r\nx-forwarded-proto: https\r\nX-Forwarded-Host: evil\r\n"
      "X-Forwarded-Port: 1\r\nX-Forwarded-User: root\r\nForwarded: for=9.9.9.9\r\n"));
  CHECK(seen.request.field("X-Forwarded-For") == "127.0.0.1");
  CHECK(seen.request.field("X-Forwarded-Proto") == "http");
  CHECK(seen.request.field("X-Forwarded-Host") == "test");
  for (const char* gone : {"X-Forwarded-Port", "X-Forwarded-User", "Forwarded"}) {
    CAPTURE(gone);
    CHECK_FALSE(seen.request.has(gone));
  }
}

TEST_CASE("e2e/forwarding: what a trusted proxy says is kept and appended to") {
  const std::string yaml = std::string(R"(
listeners: [{name: web, bind: "127.0.0.1:0", trusted_proxies: ["127.0.0.0/8"]}])") +
                           kOnePool;
  const Seen seen = pass(request_text("/",
                                      "X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-For: 8.8.8.8\r\n"
                                      "X-Forwarded-Proto: https\r\nX-Forwarded-Host: shop\r\n"
                                      "Forwarded: for=9.9.9.9\r\n"),
                         answer(200, ""), yaml);
  CHECK(seen.request.field("X-Forwarded-For") == "9.9.9.9, 8.8.8.8, 127.0.0.1");
  CHECK(seen.request.field("X-Forwarded-Proto") == "https");
  CHECK(seen.request.field("X-Forwarded-Host") == "shop");
  CHECK(seen.request.field("Forwarded").find("9.9.9.9") != std::string::npos);
}

TEST_CASE("e2e/forwarding: X-Request-Id is accepted when it is well formed, else made") {
  const Seen kept = pass(request_text("/", "X-Request-Id: a.B_9-z\r\n"));
  CHECK(kept.request.field("X-Request-Id") == "a.B_9-z");
  CHECK(kept.response.field("X-Request-Id") == "a.B_9-z");
  for (const std::string& bad : {std::string("a b"), repeat("a", 129), std::string("<x>")}) {
    const Seen made = pass(request_text("/", "X-Request-Id: " + bad + "\r\n"));
    CHECK(made.request.field("X-Request-Id") != bad);
    CHECK(is_request_id(made.request.field("X-Request-Id")));
    CHECK(made.response.field("X-Request-Id") == made.request.field("X-Request-Id"));
  }
}

TEST_CASE("e2e/forwarding: traceparent passes through or starts here (W3C Trace Context)") {
  const std::string good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const Seen kept = pass(request_text("/", "traceparent: " + good + "\r\ntracestate: a=1\r\n"));
  CHECK(kept.request.field("traceparent") == good);
  CHECK(kept.request.field("tracestate") == "a=1");
  const std::string zero = "00-00000000000000000000000000000000-b7ad6b7169203331-01";
  for (const std::string& lines : {std::string(), "traceparent: " + zero + "\r\n"}) {
    const std::string made = pass(request_text("/", lines)).request.field("traceparent");
    CHECK(made.size() == 55);
    CHECK(made.starts_with("00-"));
    CHECK(made != zero);
  }
}

TEST_CASE("e2e/forwarding: Max-Forwards is counted down for OPTIONS (RFC 9110 7.6.2)") {
  Origin origin(
      [](OriginConn& c) { c.serve([](const Message&) { return answer(200, "origin"); }); });
  Sluice sluice(kOnePool, {{"a", origin.address()}});
  Wire client = Wire::to_port(sluice.port());
  client.send(request_text("*", "Max-Forwards: 0\r\n", "OPTIONS"));
  const Message last = client.read_response();
  CHECK((last.status == 200 || last.status == 204));
  CHECK(origin.requests().empty());
  client.send(request_text("/x", "Max-Forwards: 7\r\n", "OPTIONS"));
  CHECK(client.read_response().body == "origin");
  CHECK(origin.request(0).field("Max-Forwards") == "6");
  client.send(request_text("*", "", "OPTIONS"));
  CHECK(client.read_response().body == "origin");
  CHECK(origin.request(1).start == "OPTIONS * HTTP/1.1");
  client.send(request_text("/", "Max-Forwards: 7\r\n", "GET"));
  CHECK(client.read_response().body == "origin");
  CHECK(origin.request(2).field("Max-Forwards") == "7");
}

TEST_CASE("e2e/forwarding: unknown methods go on as they are") {
  CHECK(pass(request_text("/", "", "brew-It!")).request.start == "brew-It! / HTTP/1.1");
}

TEST_CASE("e2e/forwarding: framing is written afresh") {
  const Seen seen = pass(
      "POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding:  CHUNKED\r\n\r\n"
      "003;ext=1\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  CHECK(seen.request.body == "abcde");
  CHECK(seen.request.field("Transfer-Encoding") == "chunked");
  CHECK_FALSE(seen.request.has("Content-Length"));
  const Seen length = pass("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 002\r\n\r\nhi");
  CHECK(length.request.field("Content-Length") == "2");
  const Seen none = pass(request_text("/", "", "POST"));
  CHECK(none.request.field("Content-Length") == "0");
}
