// What a POST brings, stored for a later GET (RFC 9110 section 9.3.3).
#include "tests/e2e/harness/e2e.h"

using namespace e2e;

namespace {

constexpr const char* kCached = R"(
workers: 2
pools:
  app: {endpoints: [{address: "@a", name: a}], health: {type: off}, retry: {attempts: 1}}
routes:
  - {match: {path: /}, pool: app, cache: {}}
cache: {memory: {size: 64MiB, max_object: 64KiB}}
)";

const std::string kFresh = "Cache-Control: max-age=60\r\n";
const std::string kStorable = kFresh + "Content-Location: /x\r\n";

Message ask(Sluice& sluice, const std::string& method = "GET", const std::string& lines = "") {
  Wire client = Wire::to_port(sluice.port());
  const bool is_post = method == "POST";
  client.send(request_text("/x", lines + (is_post ? "Content-Length: 5\r\n" : ""), method) +
              (is_post ? "12345" : ""));
  return client.read_response(method);
}

std::string status_of(const Message& message) { return message.field("Cache-Status"); }
bool is_hit(const Message& message) { return status_of(message).starts_with("sluice; hit"); }

// POST is answered so, anything else with "got".
Origin::Script answering(const std::string& to_post) {
  return [=](OriginConn& c) {
    c.serve([&](const Message& request) {
      return request.method == "POST" ? to_post : answer(200, "got", kFresh);
    });
  };
}

}  // namespace

TEST_CASE("e2e/cache: a POST that says what GET would bring is stored for GET (RFC 9110 9.3.3)") {
  const std::string text = "posted";
  const std::string chunked = "HTTP/1.1 200 OK\r\n" + kStorable +
                              "Transfer-Encoding: chunked\r\n\r\n6\r\nposted\r\n0\r\n\r\n";
  for (const std::string& reply : {answer(200, text, kStorable), chunked}) {
    Origin origin(answering(reply));
    Sluice sluice(kCached, {{"a", origin.address()}});
    const Message post = ask(sluice, "POST");
    CHECK(post.body == text);
    CHECK(status_of(post) == "sluice; fwd=method; stored");
    CHECK(origin.request(0).body == "12345");
    const Message hit = ask(sluice);
    CHECK(is_hit(hit));
    CHECK(hit.body == text);
    CHECK(is_hit(ask(sluice, "HEAD")));
    // RFC 9111 section 4: never for another POST
    CHECK_FALSE(is_hit(ask(sluice, "POST")));
    CHECK(origin.requests().size() == 2);
  }
}

TEST_CASE("e2e/cache: it takes the place of what GET had brought") {
  Origin origin(answering(answer(200, "posted", kStorable)));
  Sluice sluice(kCached, {{"a", origin.address()}});
  CHECK(ask(sluice).body == "got");
  CHECK(ask(sluice, "POST").body == "posted");
  CHECK(ask(sluice).body == "posted");
  CHECK(origin.requests().size() == 2);
}

TEST_CASE("e2e/cache: any other response to POST is passed on and not stored") {
  struct Row {
    const char* description;
    std::string answer;
  };
  const Row rows[] = {
      {"no Content-Location", answer(200, "posted", kFresh)},
      {"that of another", answer(200, "posted", kFresh + "Content-Location: /y\r\n")},
      {"no explicit freshness", answer(200, "posted", "Content-Location: /x\r\n")},
      {"created", answer(201, "posted", kStorable)},
      {"no-store",
       answer(200, "posted", "Cache-Control: max-age=60, no-store\r\nContent-Location: /x\r\n")},
      {"too large", answer(200, repeat("0123456789abcdef", 5000), kStorable)},
      {"too large, which only its end tells",
       "HTTP/1.1 200 OK\r\n" + kStorable + "Transfer-Encoding: chunked\r\n\r\n13880\r\n" +
           repeat("0123456789abcdef", 5000) + "\r\n0\r\n\r\n"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.description);
    Origin origin(answering(row.answer));
    Sluice sluice(kCached, {{"a", origin.address()}});
    CHECK(ask(sluice, "POST").complete);
    CHECK(ask(sluice).body == "got");
    CHECK(origin.requests().size() == 2);
  }
  Origin origin(answering(answer(200, "posted", kStorable)));
  Sluice sluice(kCached, {{"a", origin.address()}});
  ask(sluice, "POST", "Cache-Control: no-store\r\n");
  CHECK(ask(sluice).body == "got");
}

TEST_CASE("e2e/cache: a response to POST that breaks off is not stored") {
  Origin origin([](OriginConn& c) {
    if (c.expect_request().method == "GET") return c.send(answer(200, "got", kFresh));
    c.send("HTTP/1.1 200 OK\r\n" + kStorable + "Content-Length: 10\r\n\r\nposted");
  });
  Sluice sluice(kCached, {{"a", origin.address()}});
  Wire client = Wire::to_port(sluice.port());
  client.send(request_text("/x", "Content-Length: 5\r\n", "POST") + "12345");
  client.wait_for_end();
  CHECK(ask(sluice).body == "got");
}

TEST_CASE("e2e/cache: a large POST and its answer stream both ways while it is kept") {
  Gate begun;
  const std::string half = repeat("0123456789abcdef", 1000);
  Origin origin([&](OriginConn& c) {
    c.expect_head();
    c.read_exactly(half.size());
    c.send("HTTP/1.1 200 OK\r\n" + kStorable +
           "Content-Length: " + std::to_string(2 * half.size()) + "\r\n\r\n" + half);
    begun.wait();  // until the client has that much, and has sent the rest
    c.read_exactly(half.size());
    c.send(half);
    c.wait_for_end();
  });
  Sluice sluice(kCached, {{"a", origin.address()}});
  Wire client = Wire::to_port(sluice.port());
  client.send(
      request_text("/x", "Content-Length: " + std::to_string(2 * half.size()) + "\r\n", "POST") +
      half);
  CHECK(client.read_head().start == "HTTP/1.1 200 OK");
  CHECK((client.read_exactly(half.size()) == half));
  client.send(half);
  begun.open();
  CHECK((client.read_exactly(half.size()) == half));
  const Message hit = ask(sluice);
  CHECK(is_hit(hit));
  CHECK((hit.body == half + half));
}
