// Routes with a cache, served from memory (RFC 9111). What is stale came so from its endpoint, with
// an Age: nothing here waits for time to pass.
#include <algorithm>

#include "tests/e2e/harness/e2e.h"

using namespace e2e;

namespace {

constexpr const char* kCached = R"(
workers: 2
pools:
  app: {endpoints: [{address: "@a", name: a}], health: {type: off}, retry: {attempts: 1}, timeouts: {first_byte: @first_byte}}
routes:
  - {match: {path: /plain}, pool: app}
  - {match: {path: /}, pool: app, cache: {@cache}}
)";

Values values(const std::string& address, const std::string& cache = "",
              const std::string& first_byte = "30s") {
  return {{"a", address}, {"cache", cache}, {"first_byte", first_byte}};
}

constexpr const char* kFresh = "Cache-Control: max-age=60\r\nETag: \"1\"\r\n";
constexpr const char* kStale = "Cache-Control: max-age=10\r\nAge: 60\r\nETag: \"1\"\r\n";
const std::string kText = "0123456789abcdefghij";

// Every answer has the number of its request as its body, or the given one.
Origin::Script numbered(const std::string& lines) {
  auto count = std::make_shared<std::atomic<int>>(0);
  return [=](OriginConn& c) {
    c.serve([&](const Message&) { return answer(200, "v" + std::to_string(++*count), lines); });
  };
}

Origin::Script always(const std::string& body, const std::string& lines) {
  return [=](OriginConn& c) {
    c.serve([&](const Message& request) {
      std::string text = answer(200, body, lines);
      return request.method == "HEAD" ? text.substr(0, text.size() - body.size()) : text;
    });
  };
}

Message ask(Sluice& sluice, const std::string& path, const std::string& lines = "",
            const std::string& method = "GET") {
  Wire client = Wire::to_port(sluice.port());
  client.send(request_text(path, lines, method));
  return client.read_response(method);
}

std::string status_of(const Message& message) { return message.field("Cache-Status"); }

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

bool is_hit(const Message& message) { return status_of(message).starts_with("sluice; hit"); }

// Parts of a multipart/byteranges body, as "Content-Range=bytes".
std::vector<std::string> parts_of(const Message& message) {
  const std::string type = message.field("Content-Type");
  const size_t at = type.find("boundary=");
  if (at == std::string::npos) throw Failure("no boundary: " + type);
  const std::string mark = "--" + type.substr(at + 9);
  std::vector<std::string> parts;
  for (size_t from = message.body.find(mark); from != std::string::npos;) {
    const size_t next = message.body.find("\r\n" + mark, from + mark.size());
    if (next == std::string::npos) break;
    const std::string part = message.body.substr(from, next - from);
    const size_t head = part.find("\r\n\r\n"), range = part.find("Content-Range: bytes ");
    if (head == std::string::npos || range == std::string::npos) throw Failure("bad part: " + part);
    const size_t begin = range + 21;
    parts.push_back(part.substr(begin, part.find("\r\n", begin) - begin) + "=" +
                    part.substr(head + 4));
    from = next + 2;
  }
  return parts;
}

}  // namespace

// Hits and misses ---------------------------------------------------------------------------------

TEST_CASE("e2e/cache: a miss is stored, then a hit has an Age and says so (RFC 9211)") {
  Origin origin(numbered("Cache-Control: max-age=60\r\n"));
  Sluice sluice(kCached, values(origin.address()));
  const Message miss = ask(sluice, "/x");
  CHECK(miss.body == "v1");
  CHECK(status_of(miss) == "sluice; fwd=uri-miss; stored");
  CHECK_FALSE(miss.has("Age"));
  const Message hit = ask(sluice, "/x");
  CHECK(hit.body == "v1");
  CHECK(hit.count("Age") == 1);
  CHECK(std::stoi(hit.field("Age")) <= 10);
  const std::string status = status_of(hit);
  CHECK(status.starts_with("sluice; hit; ttl="));
  CHECK(status.ends_with("; detail=memory"));
  const int ttl = std::stoi(status.substr(std::string("sluice; hit; ttl=").size()));
  CHECK(ttl <= 60);
  CHECK(ttl >= 45);
  CHECK(hit.has("Date"));
  CHECK(hit.field("Via") == miss.field("Via"));
  CHECK(origin.requests().size() == 1);
  CHECK(ask(sluice, "/x?other").body == "v2");
}

TEST_CASE("e2e/cache: both workers serve what one of them stored") {
  Origin origin(numbered("Cache-Control: max-age=60\r\n"));
  Sluice sluice(kCached, values(origin.address()));
  ask(sluice, "/x");
  for (int i = 0; i < 30; ++i) CHECK(is_hit(ask(sluice, "/x")));
  CHECK(origin.requests().size() == 1);
}

TEST_CASE("e2e/cache: a route without a cache never caches and sends no Cache-Status of ours") {
  Origin origin(numbered("Cache-Control: max-age=60\r\nCache-Status: theirs; hit\r\n"));
  Sluice sluice(kCached, values(origin.address()));
  CHECK(status_of(ask(sluice, "/plain")) == "theirs; hit");
  CHECK(ask(sluice, "/plain").body == "v2");
  CHECK(status_of(ask(sluice, "/cached")) == "theirs; hit, sluice; fwd=uri-miss; stored");
  CHECK(sluice.log(3)[0].at("status") == 200);
}

TEST_CASE("e2e/cache: an Age from before us is counted on, never doubled (RFC 9111 4.2.3)") {
  Origin origin(always("x", "Cache-Control: max-age=600\r\nAge: 100\r\n"));
  Sluice sluice(kCached, values(origin.address()));
  const Message miss = ask(sluice, "/"), hit = ask(sluice, "/");
  CHECK(miss.count("Age") == 1);
  CHECK(hit.count("Age") == 1);
  CHECK(std::stoi(hit.field("Age")) >= 100);
  CHECK(std::stoi(hit.field("Age")) <= 115);
}

TEST_CASE("e2e/cache: all bodies come whole: empty, 204, chunked, until close, many blocks") {
  const std::string large = repeat("0123456789abcdef", 50'000);
  const std::string life = "Cache-Control: max-age=60\r\n";
  struct Case {
    std::string answer;
    int status;
    std::string body;
    bool closes = false;
  };
  const Case cases[] = {
      {answer(200, "", life), 200, ""},
      {"HTTP/1.1 204 No Content\r\n" + life + "\r\n", 204, ""},
      {answer(404, "none", life), 404, "none"},
      {"HTTP/1.1 200 OK\r\n" + life + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
       200, "hello"},
      {"HTTP/1.1 200 OK\r\n" + life + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200, ""},
      {"HTTP/1.1 200 OK\r\n" + life + "\r\nto the end", 200, "to the end", true},
      {answer(200, large, life), 200, large},
  };
  for (const Case& each : cases) {
    CAPTURE(each.answer.substr(0, 100));
    Origin origin([&](OriginConn& c) {
      c.expect_request();
      c.send(each.answer);
      if (!each.closes) c.wait_for_end();
    });
    Sluice sluice(kCached, values(origin.address()));
    Wire client = Wire::to_port(sluice.port());
    for (int i = 0; i < 3; ++i) {
      client.send(request_text());
      const Message response = client.read_response();
      CHECK(response.status == each.status);
      CHECK(response.complete);
      CHECK(response.body == each.body);
      CHECK(is_hit(response) == (i > 0));
      if (each.status == 204) CHECK_FALSE(response.has("Content-Length"));
    }
    CHECK(origin.requests().size() == 1);
  }
}

TEST_CASE("e2e/cache: an HTTP/1.0 client gets what was chunked, and what is stored") {
  Origin origin([](OriginConn& c) {
    c.expect_request();
    c.send(
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n"
        "5\r\nhello\r\n0\r\n\r\n");
    c.wait_for_end();
  });
  Sluice sluice(kCached, values(origin.address()));
  for (int i = 0; i < 2; ++i) {
    Wire client = Wire::to_port(sluice.port());
    client.send("GET / HTTP/1.0\r\nHost: test\r\n\r\n");
    const Message response = client.read_response();
    CHECK(response.body == "hello");
    CHECK_FALSE(response.has("Transfer-Encoding"));
  }
  CHECK(origin.requests().size() == 1);
}

TEST_CASE("e2e/cache: pipelined requests are answered from the cache in order") {
  Origin origin([](OriginConn& c) {
    c.serve([](const Message& request) {
      return answer(200, request.target, "Cache-Control: max-age=60\r\n");
    });
  });
  Sluice sluice(kCached, values(origin.address()));
  Wire client = Wire::to_port(sluice.port());
  std::string all;
  for (int i = 0; i < 200; ++i) all += request_text("/" + std::to_string(i % 3));
  client.send(all);
  for (int i = 0; i < 200; ++i) CHECK(client.read_response().body == "/" + std::to_string(i % 3));
  CHECK(origin.requests().size() == 3);
}

TEST_CASE("e2e/cache: hop-by-hop and edited fields are as they should be in a hit") {
  Origin origin(always("x",
                       "Cache-Control: max-age=60\r\nConnection: X-Hop\r\nX-Hop: 1\r\n"
                       "Keep-Alive: timeout=5\r\nX-Kept: 2\r\nX-Secret: 3\r\n"));
  Sluice sluice(R"(
pools: {app: {endpoints: [{address: "@a"}], health: {type: off}}}
routes:
  - {match: {path: /}, pool: app, cache: {}, response_headers: {add: {X-Ours: "1"}, remove: [X-Secret]}}
)",
                {{"a", origin.address()}});
  for (int i = 0; i < 2; ++i) {
    const Message response = ask(sluice, "/");
    CHECK_FALSE(response.has("X-Hop"));
    CHECK_FALSE(response.has("Keep-Alive"));
    CHECK_FALSE(response.has("X-Secret"));
    CHECK(response.field("X-Kept") == "2");
    CHECK(response.field("X-Ours") == "1");
    CHECK(response.count("X-Request-Id") == 1);
  }
}

// HEAD, ranges, conditions ------------------------------------------------------------------------

TEST_CASE("e2e/cache: HEAD is answered from a stored GET (RFC 9111 4)") {
  Origin origin(always(kText, kFresh));
  Sluice sluice(kCached, values(origin.address()));
  ask(sluice, "/");
  const Message head = ask(sluice, "/", "", "HEAD");
  CHECK(is_hit(head));
  CHECK(head.field("Content-Length") == "20");
  CHECK(head.body.empty());
  CHECK(origin.requests().size() == 1);
}

TEST_CASE("e2e/cache: a HEAD that finds nothing goes on as HEAD and stores nothing") {
  Origin origin(always(kText, kFresh));
  Sluice sluice(kCached, values(origin.address()));
  const Message head = ask(sluice, "/", "", "HEAD");
  CHECK(head.field("Content-Length") == "20");
  CHECK(has(status_of(head), "fwd=uri-miss"));
  CHECK_FALSE(has(status_of(head), "stored"));
  CHECK(origin.request(0).method == "HEAD");
  CHECK(status_of(ask(sluice, "/")) == "sluice; fwd=uri-miss; stored");
}

TEST_CASE("e2e/cache: a range of a stored response (RFC 9110 14)") {
  Origin origin(always(kText, std::string(kFresh) + "Content-Type: text/plain\r\n"));
  Sluice sluice(kCached, values(origin.address()));
  ask(sluice, "/");
  struct Case {
    const char* range;
    int status;
    const char* content_range;
    const char* body;
  };
  const Case cases[] = {
      {"bytes=0-3", 206, "bytes 0-3/20", "0123"},   {"bytes=18-", 206, "bytes 18-19/20", "ij"},
      {"bytes=-5", 206, "bytes 15-19/20", "fghij"}, {"bytes=15-99", 206, "bytes 15-19/20", "fghij"},
      {"bytes=19-19", 206, "bytes 19-19/20", "j"},  {"bytes=20-", 416, "bytes */20", ""},
      {"bytes=-0", 416, "bytes */20", ""},          {"bytes=5-2", 200, "", kText.c_str()},
      {"lines=1-2", 200, "", kText.c_str()},
  };
  Wire client = Wire::to_port(sluice.port());
  for (const Case& each : cases) {
    CAPTURE(each.range);
    client.send(request_text("/", std::string("Range: ") + each.range + "\r\n"));
    const Message response = client.read_response();
    CHECK(response.status == each.status);
    CHECK(response.field("Content-Range") == each.content_range);
    if (each.status != 416) CHECK(response.body == each.body);
    CHECK(response.field("ETag") == "\"1\"");
    CHECK(is_hit(response));
  }
  CHECK(origin.requests().size() == 1);
}

TEST_CASE("e2e/cache: several ranges come as multipart/byteranges (RFC 9110 14.6)") {
  Origin origin(always(kText, std::string(kFresh) + "Content-Type: text/plain\r\n"));
  Sluice sluice(kCached, values(origin.address()));
  ask(sluice, "/");
  const Message response = ask(sluice, "/", "Range: bytes=0-1,5-6,-2\r\n");
  CHECK(response.status == 206);
  CHECK_FALSE(response.has("Content-Range"));
  CHECK(response.complete);
  const std::vector<std::string> expected = {"0-1/20=01", "5-6/20=56", "18-19/20=ij"};
  CHECK(parts_of(response) == expected);
  CHECK(has(response.body, "Content-Type: text/plain\r\n"));
  CHECK(response.field("Content-Length") == std::to_string(response.body.size()));
}

TEST_CASE("e2e/cache: a range of a large stored body, and a HEAD with Range") {
  std::string large(3'000'000, 'x');
  for (size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>('a' + i / 7 % 26);
  Origin origin(always(large, kFresh));
  Sluice sluice(kCached, values(origin.address()));
  CHECK(ask(sluice, "/").body == large);
  const Message part = ask(sluice, "/", "Range: bytes=1048000-2100000\r\n");
  CHECK(part.status == 206);
  CHECK((part.body == large.substr(1048000, 2100000 - 1048000 + 1)));
  const Message head = ask(sluice, "/", "Range: bytes=0-1\r\n", "HEAD");
  CHECK(head.status == 200);  // RFC 9110 section 14.2: defined for GET only
  CHECK(head.field("Content-Length") == "3000000");
}

TEST_CASE("e2e/cache: If-Range chooses between the part and the whole (RFC 9110 13.1.5)") {
  Origin origin(
      always(kText, std::string(kFresh) + "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
  Sluice sluice(kCached, values(origin.address()));
  ask(sluice, "/");
  const auto ranged = [&](const std::string& condition) {
    return ask(sluice, "/", "Range: bytes=0-1\r\nIf-Range: " + condition + "\r\n").status;
  };
  CHECK(ranged("\"1\"") == 206);
  CHECK(ranged("\"2\"") == 200);
  CHECK(ranged("W/\"1\"") == 200);
  CHECK(ranged("Sun, 06 Nov 1994 08:49:36 GMT") == 200);
  CHECK(origin.requests().size() == 1);
}

TEST_CASE("e2e/cache: a client's validator is answered 304 from a fresh entry (RFC 9111 4.3.2)") {
  const std::string modified = "Sun, 06 Nov 1994 08:49:37 GMT";
  Origin origin(always(kText, std::string(kFresh) + "Last-Modified: " + modified +
                                  "\r\nContent-Type: text/plain\r\nVary: Accept\r\n"));
  Sluice sluice(kCached, values(origin.address()));
  ask(sluice, "/");
  const auto asked = [&](const std::string& lines) { return ask(sluice, "/", lines); };
  const Message answer = asked("If-None-Match: \"0\", W/\"1\"\r\n");
  CHECK(answer.status == 304);
  CHECK(answer.field("ETag") == "\"1\"");
  CHECK(answer.field("Cache-Control") == "max-age=60");
  CHECK(answer.field("Vary") == "Accept");
  CHECK(answer.has("Date"));
  CHECK_FALSE(answer.has("Content-Type"));
  CHECK(is_hit(answer));
  CHECK(asked("If-None-Match: *\r\n").status == 304);
  CHECK(asked("If-None-Match: \"2\"\r\n").status == 200);
  CHECK(asked("If-Modified-Since: " + modified + "\r\n").status == 304);
  CHECK(asked("If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n").status == 200);
  // RFC 9110 section 13.1.3: not looked at beside If-None-Match
  CHECK(asked("If-None-Match: \"2\"\r\nIf-Modified-Since: " + modified + "\r\n").status == 200);
  CHECK(origin.requests().size() == 1);
}

TEST_CASE("e2e/cache: a client's validator on a miss fetches the whole, and still gets its 304") {
  Origin origin(always(kText, kFresh));
  Sluice sluice(kCached, values(origin.address()));
  const Message response = ask(sluice, "/", "If-None-Match: \"1\"\r\n");
  CHECK(response.status == 304);
  CHECK_FALSE(origin.request(0).has("If-None-Match"));
  CHECK(ask(sluice, "/").body == kText);
  CHECK(origin.requests().size() == 1);
}

// Vary --------------------------------------------------------------------------------------------

TEST_CASE("e2e/cache: Vary keeps variants apart and normalises (RFC 9111 4.1)") {
  Origin origin([](OriginConn& c) {
    c.serve([](const Message& request) {
      return answer(200, request.field("Accept-Encoding"),
                    "Cache-Control: max-age=60\r\nVary: Accept-Encoding\r\n");
    });
  });
  Sluice sluice(kCached, values(origin.address()));
  const auto asked = [&](const std::string& codings) {
    return ask(sluice, "/", codings.empty() ? "" : "Accept-Encoding: " + codings + "\r\n");
  };
  CHECK(status_of(asked("gzip")) == "sluice; fwd=uri-miss; stored");
  const Message other = asked("br");
  CHECK(status_of(other) == "sluice; fwd=vary-miss; stored");
  CHECK(other.body == "br");
  CHECK(asked("").body == "");
  CHECK(asked("gzip").body == "gzip");
  CHECK(asked("br").body == "br");
  CHECK(is_hit(asked("")));
  CHECK(is_hit(asked("GZIP")));
  CHECK(origin.requests().size() == 3);
}

TEST_CASE("e2e/cache: Vary: * is never served again") {
  Origin origin(numbered("Cache-Control: max-age=60\r\nVary: *\r\n"));
  Sluice sluice(kCached, values(origin.address()));
  const Message first = ask(sluice, "/");
  CHECK(status_of(first) == "sluice; fwd=uri-miss; detail=vary");
  CHECK(ask(sluice, "/").body == "v2");
}
