// What one client may not do to the cache of the others, and what an endpoint that is not well or
// says too much may not either (RFC 9111 sections 4 and 7).
#include <algorithm>

#include "tests/e2e/harness/e2e.h"

using namespace e2e;

namespace {

constexpr const char* kCached = R"(
workers: 2
pools:
  app: {endpoints: [{address: "@a", name: a}], health: {type: off}, retry: {attempts: 1}}
routes:
  - {match: {path: /}, pool: app, cache: {}}
)";

const std::string kFresh = "Cache-Control: max-age=60\r\n";
// Stale by 50 seconds when it comes.
const std::string kStale = "Cache-Control: max-age=10, stale-if-error=600\r\nAge: 60\r\n";

Message ask(Sluice& sluice, const std::string& path = "/", const std::string& lines = "",
            const std::string& method = "GET") {
  Wire client = Wire::to_port(sluice.port());
  client.send(request_text(path, lines, method));
  return client.read_response(method);
}

std::string not_modified(const std::string& lines) {
  return "HTTP/1.1 304 Not Modified\r\n" + lines + "\r\n";
}

Origin::Script serving(std::function<std::string(const Message&)> answers) {
  return [=](OriginConn& c) { c.serve(answers); };
}

bool is_hit(const Message& message) {
  return message.field("Cache-Status").starts_with("sluice; hit");
}

}  // namespace

// As nginx and many frameworks do: the tag of the coded form is that of the plain one.
TEST_CASE("e2e/hostile: a coded variant is not sent to who did not ask for the coding") {
  for (const std::string tag : {"W/\"1\"", "\"1\""}) {
    Origin origin(serving([&](const Message& request) {
      const std::string lines = kStale + "ETag: " + tag + "\r\nVary: Accept-Encoding\r\n";
      if (request.has("If-None-Match")) return not_modified(lines);
      if (request.field("Accept-Encoding") != "gzip") return answer(200, "plain", lines);
      return answer(200, "coded", lines + "Content-Encoding: gzip\r\n");
    }));
    Sluice sluice(kCached, {{"a", origin.address()}});
    CHECK(ask(sluice, "/", "Accept-Encoding: gzip\r\n").body == "coded");
    for (int i = 0; i < 2; ++i) {
      const Message plain = ask(sluice);
      CHECK(plain.body == "plain");
      CHECK(plain.field("Content-Encoding") == "");
    }
    CHECK(ask(sluice, "/", "Accept-Encoding: gzip\r\n").body == "coded");
  }
}

TEST_CASE("e2e/hostile: a field that Connection takes away does not choose a variant") {
  Origin origin(serving([](const Message& request) {
    return answer(200, "tenant " + request.field("X-Tenant"), kFresh + "Vary: X-Tenant\r\n");
  }));
  Sluice sluice(kCached, {{"a", origin.address()}});
  const Message odd = ask(sluice, "/", "X-Tenant: victim\r\nConnection: X-Tenant\r\n");
  CHECK(odd.field("Cache-Status").starts_with("sluice; fwd=request"));
  CHECK(ask(sluice, "/", "X-Tenant: victim\r\n").body == "tenant victim");
}

TEST_CASE("e2e/hostile: what depends on the client's address is not stored for others") {
  Origin origin(serving([](const Message& request) {
    return answer(200, request.field("X-Forwarded-For"), kFresh + "Vary: X-Forwarded-For\r\n");
  }));
  Sluice sluice(kCached, {{"a", origin.address()}});
  ask(sluice);
  CHECK_FALSE(is_hit(ask(sluice)));
}

TEST_CASE("e2e/hostile: an error that one client draws leaves what is stored") {
  Origin origin(serving([](const Message& request) {
    if (request.has("X-Odd")) return answer(400, "bad", "");
    if (request.has("Authorization")) return answer(401, "no", "Cache-Control: no-store\r\n");
    if (request.has("Cookie")) return answer(200, "yours", "Cache-Control: private\r\n");
    return answer(200, "good", kFresh + "ETag: \"1\"\r\n");
  }));
  Sluice sluice(kCached, {{"a", origin.address()}});
  ask(sluice);
  for (const std::string lines :
       {"X-Odd: 1\r\n", "Authorization: Basic eA==\r\n", "Cookie: a=b\r\n"}) {
    CAPTURE(lines);
    CHECK(ask(sluice, "/", "Cache-Control: no-cache\r\n" + lines).body != "good");
    const Message after = ask(sluice);
    CHECK(is_hit(after));
    CHECK(after.body == "good");
  }
}

TEST_CASE("e2e/hostile: what is asked for under another method or URL is not stored") {
  Origin origin(serving([](const Message& request) {
    return answer(200, request.has("X-HTTP-Method-Override") ? "odd" : "good", kFresh);
  }));
  Sluice sluice(kCached, {{"a", origin.address()}});
  const Message odd = ask(sluice, "/", "X-HTTP-Method-Override: DELETE\r\n");
  CHECK(odd.field("Cache-Status") == "sluice; fwd=uri-miss; detail=override");
  CHECK(ask(sluice).body == "good");
}

// RFC 9111 section 7.3.
TEST_CASE("e2e/hostile: the cookie of a 304 is not given to others") {
  Origin origin(serving([](const Message& request) {
    if (!request.has("If-None-Match")) return answer(200, "body", kStale + "ETag: \"1\"\r\n");
    return not_modified(kFresh + "ETag: \"1\"\r\nSet-Cookie: session=alice\r\n");
  }));
  Sluice sluice(kCached, {{"a", origin.address()}});
  ask(sluice);
  ask(sluice);
  const Message mallory = ask(sluice);
  CHECK(is_hit(mallory));
  CHECK_FALSE(mallory.has("Set-Cookie"));
}

TEST_CASE("e2e/hostile: a 304 that says private is its client's alone, and says so to it") {
  Origin origin(serving([](const Message& request) {
    if (!request.has("If-None-Match")) {
      return answer(200, "body", "Cache-Control: public, max-age=10\r\nAge: 60\r\nETag: \"1\"\r\n");
    }
    return not_modified("Cache-Control: private, max-age=60\r\nETag: \"1\"\r\n");
  }));
  Sluice sluice(kCached, {{"a", origin.address()}});
  ask(sluice);
  const Message mine = ask(sluice);
  CHECK(mine.status == 200);
  CHECK(mine.body == "body");
  CHECK(mine.field("Cache-Control") == "private, max-age=60");
  CHECK_FALSE(is_hit(ask(sluice)));
}

// RFC 5861 section 4.
TEST_CASE("e2e/hostile: one of many asks an endpoint that is not well; all get the stale one") {
  Gate may_answer;
  std::atomic<bool> is_well{true};
  Origin origin(serving([&](const Message&) {
    if (is_well) return answer(200, "good", kStale + "ETag: \"1\"\r\n");
    may_answer.wait();
    // Cacheable even: it must not take the place of what may still be served.
    return answer(503, "ill", "Cache-Control: max-age=60\r\n");
  }));
  Sluice sluice(kCached, {{"a", origin.address()}});
  ask(sluice);
  is_well = false;
  std::vector<Wire> clients;
  for (int i = 0; i < 50; ++i) clients.push_back(Wire::to_port(sluice.port()));
  for (Wire& client : clients) client.send(request_text());
  sluice.wait_for_value("sluice_cache_collapsed_total", "", 49);
  may_answer.open();
  for (Wire& client : clients) CHECK(client.read_response().body == "good");
  CHECK(origin.requests().size() == 2);
  CHECK(ask(sluice).body == "good");
}

// RFC 9111 section 4.3.5.
TEST_CASE("e2e/hostile: a response to HEAD that contradicts what is stored makes it stale") {
  std::atomic<int> version{1};
  Origin origin(serving([&](const Message& request) {
    const std::string lines = kFresh + "ETag: \"" + std::to_string(version) + "\"\r\n";
    if (request.method == "HEAD")
      return "HTTP/1.1 200 OK\r\n" + lines + "Content-Length: 2\r\n\r\n";
    return answer(200, "v" + std::to_string(version), lines);
  }));
  Sluice sluice(kCached, {{"a", origin.address()}});
  CHECK(ask(sluice).body == "v1");
  ask(sluice, "/", "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", "HEAD");
  CHECK(is_hit(ask(sluice)));
  version = 2;
  ask(sluice, "/", "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", "HEAD");
  CHECK(ask(sluice).body == "v2");
}
