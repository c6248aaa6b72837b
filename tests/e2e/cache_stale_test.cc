// What becomes of stored responses that are not fresh any more, and of those that must not be
// stored (RFC 9111 sections 3 and 4, RFC 5861). What is stale came so, with an Age: no test waits
// for time to pass.
#include <algorithm>

#include "tests/e2e/harness/e2e.h"

using namespace e2e;

namespace {

constexpr const char* kCached = R"(
workers: 2
pools:
  app: {endpoints: [{address: "@a", name: a}], health: {type: off}, retry: {attempts: 1}, timeouts: {first_byte: @first_byte}}
routes:
  - {match: {path: /}, pool: app, cache: {@cache}}
)";

Values values(const std::string& address, const std::string& cache = "",
              const std::string& first_byte = "30s") {
  return {{"a", address}, {"cache", cache}, {"first_byte", first_byte}};
}

const std::string kFresh = "Cache-Control: max-age=60\r\n";
// Stale by 50 seconds when it comes.
std::string stale(const std::string& more = "", const std::string& etag = "1") {
  return "Cache-Control: max-age=10" + more + "\r\nAge: 60\r\nETag: \"" + etag + "\"\r\n";
}

std::string not_modified(const std::string& lines) {
  return "HTTP/1.1 304 Not Modified\r\n" + lines + "\r\n";
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

// Answers the first request and the later ones differently.
Origin::Script first_then(const std::string& first,
                          const std::function<std::string(const Message&)>& later) {
  auto count = std::make_shared<std::atomic<int>>(0);
  return [=](OriginConn& c) {
    c.serve([&](const Message& request) { return ++*count == 1 ? first : later(request); });
  };
}

}  // namespace

// Validation --------------------------------------------------------------------------------------

TEST_CASE("e2e/cache: what is stale is validated with its own validators; 304 makes it fresh") {
  const std::string modified = "Sun, 06 Nov 1994 08:49:37 GMT";
  Origin origin(first_then(
      answer(200, "body",
             stale() + "Last-Modified: " + modified + "\r\nX-Old: 1\r\nX-New: old\r\n"),
      [](const Message&) { return not_modified(kFresh + "ETag: \"1\"\r\nX-New: new\r\n"); }));
  Sluice sluice(kCached, values(origin.address()));
  CHECK(std::stoi(ask(sluice, "/").field("Age")) >= 60);
  const Message validated = ask(sluice, "/");
  CHECK(origin.request(1).field("If-None-Match") == "\"1\"");
  CHECK(origin.request(1).field("If-Modified-Since") == modified);
  CHECK(validated.status == 200);
  CHECK(validated.body == "body");
  CHECK(status_of(validated).starts_with("sluice; fwd=stale; fwd-status=304"));
  CHECK(validated.field("X-Old") == "1");
  CHECK(validated.field("X-New") == "new");  // RFC 9111 section 3.2
  CHECK_FALSE(validated.has("Age"));
  const Message hit = ask(sluice, "/");
  CHECK(is_hit(hit));
  CHECK(std::stoi(hit.field("Age")) <= 10);  // it began anew
  CHECK(hit.field("X-New") == "new");
  CHECK(origin.requests().size() == 2);
  CHECK(sluice.reaches("sluice_cache_revalidations_total", "", 1));
}

TEST_CASE("e2e/cache: a 200 to the validation replaces what is stored") {
  Origin origin(first_then(answer(200, "old", stale()), [](const Message&) {
    return answer(200, "new", kFresh + "ETag: \"2\"\r\n");
  }));
  Sluice sluice(kCached, values(origin.address()));
  CHECK(ask(sluice, "/").body == "old");
  const Message replaced = ask(sluice, "/");
  CHECK(replaced.body == "new");
  CHECK(status_of(replaced) == "sluice; fwd=stale; stored");
  CHECK(ask(sluice, "/").body == "new");
  CHECK(origin.requests().size() == 2);
}

TEST_CASE("e2e/cache: a 200 that must not be stored takes the old one away") {
  Origin origin(first_then(answer(200, "old", stale()), [](const Message&) {
    return answer(200, "new", "Cache-Control: no-store\r\n");
  }));
  Sluice sluice(kCached, values(origin.address()));
  ask(sluice, "/");
  const Message passed = ask(sluice, "/");
  CHECK(passed.body == "new");
  CHECK(status_of(passed) == "sluice; fwd=stale; detail=no-store");  // no ttl: it was the old one's
  ask(sluice, "/");
  CHECK_FALSE(origin.request(2).has("If-None-Match"));
}

TEST_CASE("e2e/cache: the client's condition is judged by what was validated") {
  Origin origin(first_then(answer(200, "body", stale()), [](const Message&) {
    return not_modified(kFresh + "ETag: \"1\"\r\n");
  }));
  Sluice sluice(kCached, values(origin.address()));
  ask(sluice, "/");
  CHECK(ask(sluice, "/", "If-None-Match: \"9\"\r\n").body == "body");
  CHECK(origin.request(1).field("If-None-Match").find("\"1\"") != std::string::npos);
  CHECK(ask(sluice, "/", "If-None-Match: \"1\"\r\n").status == 304);
}

TEST_CASE("e2e/cache: a 304 that fits nothing stored is followed by a request without conditions") {
  const std::string large = repeat("0123456789", 100'000);
  const auto check = [&](const std::string& lines) {
    Origin origin([&](OriginConn& c) {
      c.serve([&](const Message& request) {
        if (request.has("If-None-Match")) return not_modified("Vary: X-V\r\nETag: \"other\"\r\n");
        const std::string variant = request.field("X-V");
        if (variant == "3") return answer(200, large, lines + "Vary: X-V\r\n");
        return answer(200, variant, kFresh + "Vary: X-V\r\nETag: \"" + variant + "\"\r\n");
      });
    });
    Sluice sluice(kCached, values(origin.address()));
    ask(sluice, "/", "X-V: 1\r\n");
    ask(sluice, "/", "X-V: 2\r\n");
    const Message response = ask(sluice, "/", "X-V: 3\r\n");
    CHECK(response.status == 200);
    CHECK(response.complete);
    CHECK(response.body.size() == large.size());
    CHECK(origin.requests().back().has("If-None-Match") == false);
  };
  check(kFresh);
  check("Cache-Control: no-store\r\n");
}

TEST_CASE("e2e/cache: no-cache of a response means validation each time (RFC 9111 5.2.2.4)") {
  Origin origin(
      first_then(answer(200, "body", "Cache-Control: max-age=60, no-cache\r\nETag: \"1\"\r\n"),
                 [](const Message&) { return not_modified("ETag: \"1\"\r\n"); }));
  Sluice sluice(kCached, values(origin.address()));
  for (int i = 0; i < 3; ++i) CHECK(ask(sluice, "/").body == "body");
  CHECK(origin.requests().size() == 3);
  CHECK(origin.request(2).field("If-None-Match") == "\"1\"");
}

TEST_CASE("e2e/cache: no-cache and max-age=0 of a client go to the endpoint (RFC 9111 5.2.1)") {
  Origin origin(first_then(answer(200, "body", kFresh + "ETag: \"1\"\r\n"), [](const Message&) {
    return not_modified(kFresh + "ETag: \"1\"\r\n");
  }));
  Sluice sluice(kCached, values(origin.address()));
  ask(sluice, "/");
  const Message reloaded = ask(sluice, "/", "Cache-Control: no-cache\r\n");
  CHECK(reloaded.body == "body");
  CHECK(status_of(reloaded).starts_with("sluice; fwd=request; fwd-status=304"));
  CHECK(ask(sluice, "/", "Pragma: no-cache\r\n").body == "body");
  CHECK(ask(sluice, "/", "Cache-Control: min-fresh=3600\r\n").body == "body");
  CHECK(origin.requests().size() == 4);
  CHECK(is_hit(ask(sluice, "/")));
}

// Stale answers -----------------------------------------------------------------------------------

TEST_CASE("e2e/cache: stale-while-revalidate sends the old one and asks once (RFC 5861 3)") {
  Gate may_answer;
  Origin origin([&, count = std::make_shared<std::atomic<int>>(0)](OriginConn& c) {
    c.serve([&](const Message&) {
      if (++*count == 1) return answer(200, "old", stale(", stale-while-revalidate=600"));
      may_answer.wait();
      return answer(200, "new", kFresh + "ETag: \"2\"\r\n");
    });
  });
  Sluice sluice(kCached, values(origin.address()));
  ask(sluice, "/");
  for (int i = 0; i < 20; ++i) {
    const Message response = ask(sluice, "/");
    CHECK(response.body == "old");
    CHECK(status_of(response).starts_with("sluice; hit; ttl=-5"));
    CHECK(status_of(response).ends_with("; detail=memory"));
  }
  origin.wait_for_requests(2);
  CHECK(origin.requests().size() == 2);
  CHECK(origin.request(1).field("If-None-Match") == "\"1\"");
  may_answer.open();
  CHECK(eventually([&] { return ask(sluice, "/").body == "new"; }));
  CHECK(origin.requests().size() == 2);
  // The request in the background is nobody's: no line of its own.
  CHECK(sluice.reaches("sluice_cache_requests_total", "result=\"miss\"", 1));
  for (const Json& line : sluice.log(22)) CHECK(line.at("client") == "127.0.0.1");
}

TEST_CASE("e2e/cache: a refresh asked for by HEAD or Range renews the whole") {
  for (const bool is_head : {true, false}) {
    CAPTURE(is_head);
    Origin origin(first_then(
        answer(200, "old", stale(", stale-while-revalidate=600")), [](const Message& request) {
          if (request.has("Range")) {
            return std::string("HTTP/1.1 206 Partial\r\nContent-Range: bytes 0-0/3\r\n") +
                   "Content-Length: 1\r\nETag: \"2\"\r\n\r\nn";
          }
          const std::string whole = answer(200, "new", kFresh + "ETag: \"2\"\r\n");
          return request.method == "HEAD" ? whole.substr(0, whole.size() - 3) : whole;
        }));
    Sluice sluice(kCached, values(origin.address()));
    ask(sluice, "/");
    if (is_head) {
      CHECK(ask(sluice, "/", "", "HEAD").field("ETag") == "\"1\"");
    } else {
      CHECK(ask(sluice, "/", "Range: bytes=0-0\r\n").body == "o");
    }
    origin.wait_for_requests(2);
    CHECK(origin.request(1).method == "GET");
    CHECK_FALSE(origin.request(1).has("Range"));
    CHECK(eventually([&] { return ask(sluice, "/").body == "new"; }, seconds(2)));
    CHECK(origin.requests().size() == 2);
  }
}

TEST_CASE("e2e/cache: stale-if-error serves the old one on a 5xx, a refusal and a timeout") {
  const std::string old = answer(200, "old", stale(", stale-if-error=600"));
  SUBCASE("5xx") {
    Origin origin(first_then(old, [](const Message&) { return answer(500, "broken"); }));
    Sluice sluice(kCached, values(origin.address()));
    ask(sluice, "/");
    for (int i = 0; i < 2; ++i) {
      const Message response = ask(sluice, "/");
      CHECK(response.status == 200);
      CHECK(response.body == "old");
      CHECK(status_of(response).starts_with("sluice; hit; ttl=-5"));
      CHECK(ask(sluice, "/", "", "HEAD").status == 200);
    }
    const std::vector<Json> log = sluice.log(5);
    CHECK(std::count_if(log.begin(), log.end(),
                        [](const Json& line) { return line.at("cache") == "stale"; }) == 4);
    CHECK(sluice.reaches("sluice_cache_requests_total", "result=\"stale\"", 4));
  }
  SUBCASE("the endpoint is gone") {
    auto origin = std::make_unique<Origin>(first_then(old, nullptr));
    Sluice sluice(kCached, values(origin->address()));
    ask(sluice, "/");
    origin.reset();
    CHECK(ask(sluice, "/").body == "old");
    CHECK(ask(sluice, "/", "", "HEAD").status == 200);
    CHECK(ask(sluice, "/other").status == 502);
  }
  SUBCASE("a timeout") {
    Origin origin([&, count = std::make_shared<std::atomic<int>>(0)](OriginConn& c) {
      c.expect_request();
      if (++*count == 1) c.send(old);
      c.wait_for_end();
    });
    origin.ignore_failures();
    Sluice sluice(kCached, values(origin.address(), "", "150ms"));
    ask(sluice, "/");
    CHECK(ask(sluice, "/").body == "old");
  }
}

TEST_CASE("e2e/cache: many who wait for what times out all get the old one, and soon") {
  Origin origin([&, count = std::make_shared<std::atomic<int>>(0)](OriginConn& c) {
    for (;;) {
      c.expect_request();
      if (++*count == 1) c.send(answer(200, "old", stale(", stale-if-error=600")));
    }
  });
  origin.ignore_failures();
  Sluice sluice(kCached, values(origin.address(), "", "500ms"));
  ask(sluice, "/");
  std::vector<Wire> clients;
  for (int i = 0; i < 20; ++i) clients.push_back(Wire::to_port(sluice.port()));
  const auto took = time_of([&] {
    for (Wire& client : clients) client.send(request_text());
    for (Wire& client : clients) CHECK(client.read_response().body == "old");
  });
  CHECK(took < milliseconds(500 * 3) * kSlow);  // not one time out after the other
}

TEST_CASE(
    "e2e/cache: must-revalidate forbids the old one, and the error is told (RFC 9111 5.2.2.2)") {
  Origin origin(
      first_then(answer(200, "old", stale(", must-revalidate, stale-if-error=600")),
                 [](const Message&) { return answer(503, "busy", "Retry-After: 1\r\n"); }));
  Sluice sluice(kCached, values(origin.address()));
  ask(sluice, "/");
  const Message response = ask(sluice, "/");
  CHECK(response.status == 503);
  CHECK(response.body == "busy");
}

TEST_CASE("e2e/cache: without an endpoint must-revalidate means 504 (RFC 9111 5.2.2.2)") {
  enum class Fault : uint8_t { refuses, resets, is_silent };
  struct Row {
    Fault fault;
    const char* reason;
  };
  const Row rows[] = {{Fault::refuses, "connect_refused"},
                      {Fault::resets, "reset_before_headers"},
                      {Fault::is_silent, "header_timeout"}};
  for (const char* forbids : {", must-revalidate", ", proxy-revalidate", ", s-maxage=10",
                              ", no-cache", ", must-revalidate, stale-if-error=600"}) {
    for (const Row& row : rows) {
      CAPTURE(forbids);
      CAPTURE(row.reason);
      Origin origin([&](OriginConn& c) {
        c.expect_request();
        if (c.index() > 0) {
          if (row.fault == Fault::is_silent) c.wait_for_end();
          return;
        }
        c.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n" + stale(forbids) +
               "\r\nold");
      });
      Sluice sluice(kCached, values(origin.address(), "", "300ms"));
      CHECK(ask(sluice, "/").body == "old");
      if (row.fault == Fault::refuses) origin.stop();
      const Message response = ask(sluice, "/");
      CHECK(response.status == 504);
      CHECK(has(response.field("Proxy-Status"), row.reason));
      CHECK(response.body.starts_with("504 "));
      CHECK_FALSE(has(response.body, "old"));
    }
  }
}

TEST_CASE("e2e/cache: max-stale accepts the old one; max-age of the request limits it") {
  Origin origin(first_then(answer(200, "old", stale()),
                           [](const Message&) { return answer(200, "new", stale("", "2")); }));
  Sluice sluice(kCached, values(origin.address()));
  ask(sluice, "/");
  CHECK(is_hit(ask(sluice, "/", "Cache-Control: max-stale\r\n")));
  CHECK(is_hit(ask(sluice, "/", "Cache-Control: max-stale=600\r\n")));
  CHECK(origin.requests().size() == 1);
  CHECK(ask(sluice, "/", "Cache-Control: max-stale=5\r\n").body == "new");
}

TEST_CASE("e2e/cache: only-if-cached is answered from the cache or with 504 not_cached") {
  Origin origin(first_then(answer(200, "body", kFresh), nullptr));
  Sluice sluice(kCached, values(origin.address()));
  const Message refused = ask(sluice, "/", "Cache-Control: only-if-cached\r\n");
  CHECK(refused.status == 504);
  CHECK(has(refused.field("Proxy-Status"), "not_cached"));
  CHECK(has(status_of(refused), "sluice; "));  // RFC 9211: on every response of a cached route
  CHECK(origin.requests().empty());
  ask(sluice, "/");
  CHECK(is_hit(ask(sluice, "/", "Cache-Control: only-if-cached\r\n")));
  const std::vector<Json> log = sluice.log(3);  // of two workers: in no order
  CHECK(std::any_of(log.begin(), log.end(),
                    [](const Json& line) { return line.at("reason") == "not_cached"; }));
}

TEST_CASE("e2e/cache: an error of ours on a cached route has a Cache-Status too") {
  RefusingPort nobody;
  Sluice sluice(kCached, values(nobody.address()));
  const Message response = ask(sluice, "/");
  CHECK(response.status == 502);
  CHECK(has(response.field("Proxy-Status"), "connection_refused"));
  CHECK(status_of(response) == "sluice; fwd=uri-miss");
  const std::vector<Json> log = sluice.log(1);
  CHECK(log.size() == 1);
  CHECK(log[0].at("endpoint") == "a");
  CHECK(log[0].at("attempts") == 1);
}

// Not stored --------------------------------------------------------------------------------------

TEST_CASE("e2e/cache: what must not be stored is passed on, with the reason as detail") {
  struct Case {
    const char* response;
    const char* request;
    const char* status;
  };
  const Case cases[] = {
      {"Cache-Control: no-store\r\n", "", "sluice; fwd=uri-miss; detail=no-store"},
      {"Cache-Control: private, max-age=9\r\n", "", "sluice; fwd=uri-miss; detail=private"},
      {"", "", "sluice; fwd=uri-miss; detail=no-freshness"},
      {"Set-Cookie: a=b\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n", "",
       "sluice; fwd=uri-miss; detail=set-cookie"},
      {"Cache-Control: max-age=60\r\n", "Authorization: Basic eDp5\r\n",
       "sluice; fwd=uri-miss; detail=authorization"},
      {"Cache-Control: max-age=60\r\n", "Cache-Control: no-store\r\n", "sluice; fwd=request"},
  };
  for (const Case& each : cases) {
    CAPTURE(each.response);
    Origin origin([&](OriginConn& c) {
      c.serve([&](const Message&) { return answer(200, "body", each.response); });
    });
    Sluice sluice(kCached, values(origin.address()));
    for (int i = 0; i < 2; ++i) {
      const Message response = ask(sluice, "/", each.request);
      CHECK(response.body == "body");
      CHECK(response.complete);
      CHECK(status_of(response).starts_with(each.status));
    }
    CHECK(origin.requests().size() == 2);
  }
}

TEST_CASE(
    "e2e/cache: with s-maxage or public, answers to Authorization are shared (RFC 9111 3.5)") {
  for (const char* allows : {"public, max-age=60", "s-maxage=60", "max-age=60, must-revalidate"}) {
    CAPTURE(allows);
    Origin origin([&](OriginConn& c) {
      c.serve([&](const Message&) {
        return answer(200, "body", "Cache-Control: " + std::string(allows) + "\r\n");
      });
    });
    Sluice sluice(kCached, values(origin.address()));
    ask(sluice, "/", "Authorization: Basic eDp5\r\n");
    CHECK(is_hit(ask(sluice, "/", "Authorization: Basic eDp5\r\n")));
  }
}

TEST_CASE("e2e/cache: requests for what cannot be stored do not wait for each other") {
  Gate may_answer;
  std::atomic<int> count{0};
  Origin origin([&](OriginConn& c) {
    c.serve([&](const Message&) {
      if (++count > 1) may_answer.wait();
      return answer(200, "mine", "Cache-Control: private\r\n");
    });
  });
  Sluice sluice(kCached, values(origin.address()));
  ask(sluice, "/");  // leaves the marker
  std::vector<Wire> clients;
  for (int i = 0; i < 20; ++i) clients.push_back(Wire::to_port(sluice.port()));
  for (Wire& client : clients) client.send(request_text());
  origin.wait_for_requests(21);  // all at once, though none is answered
  may_answer.open();
  for (Wire& client : clients) CHECK(client.read_response().body == "mine");
}

TEST_CASE("e2e/cache: default_ttl gives a lifetime to what has none; errors are not meant") {
  std::atomic<int> status{200};
  Origin origin(
      [&](OriginConn& c) { c.serve([&](const Message&) { return answer(status, "body"); }); });
  Sluice sluice(kCached, values(origin.address(), "default_ttl: 60s"));
  ask(sluice, "/");
  CHECK(is_hit(ask(sluice, "/")));
  status = 500;
  ask(sluice, "/error");
  CHECK_FALSE(is_hit(ask(sluice, "/error")));
}

// Unsafe methods ----------------------------------------------------------------------------------

TEST_CASE(
    "e2e/cache: an unsafe method takes away target, Location, Content-Location (RFC 9111 4.4)") {
  for (const char* method : {"POST", "PUT", "DELETE", "PATCH", "BREW"}) {
    CAPTURE(method);
    std::atomic<int> version{1}, status{200};
    Origin origin([&](OriginConn& c) {
      c.serve([&](const Message& request) {
        if (request.method != "GET") {
          return answer(status, "",
                        "Location: /there\r\nContent-Location: http://test/here?x=1\r\n"
                        "Link: </far>\r\n");
        }
        return answer(200, "v" + std::to_string(version), kFresh);
      });
    });
    Sluice sluice(kCached, values(origin.address()));
    const std::vector<std::string> paths = {"/target", "/there", "/here?x=1"};
    for (const std::string& path : paths) ask(sluice, path);
    ask(sluice, "/far");
    version = 2;
    status = 500;  // an error changes nothing
    CHECK(status_of(ask(sluice, "/target", "Content-Length: 0\r\n", method)) ==
          "sluice; fwd=method");
    for (const std::string& path : paths) CHECK(ask(sluice, path).body == "v1");
    status = 201;
    ask(sluice, "/target", "Content-Length: 0\r\n", method);
    for (const std::string& path : paths) CHECK(ask(sluice, path).body == "v2");
    CHECK(ask(sluice, "/far").body == "v1");
  }
}

TEST_CASE("e2e/cache: another host's responses are not taken away, and OPTIONS takes none") {
  Origin origin([](OriginConn& c) {
    c.serve([](const Message& request) {
      return request.method == "GET" ? answer(200, "kept", kFresh)
                                     : answer(200, "", "Location: http://other/x\r\n");
    });
  });
  Sluice sluice(kCached, values(origin.address()));
  Wire client = Wire::to_port(sluice.port());
  const std::string other = "GET /x HTTP/1.1\r\nHost: other\r\n\r\n";
  client.send(other);
  client.read_response();
  ask(sluice, "/y", "Content-Length: 0\r\n", "POST");
  ask(sluice, "/x", "Content-Length: 0\r\n", "OPTIONS");
  client.send(other);
  CHECK(is_hit(client.read_response()));
}

TEST_CASE("e2e/cache: the access log, the metrics and the status tell what the cache did") {
  Origin origin(first_then(answer(200, "body", kFresh), [](const Message& request) {
    return answer(200, "body", request.target == "/x" ? kFresh : "Cache-Control: no-store\r\n");
  }));
  Sluice sluice(kCached, values(origin.address()));
  ask(sluice, "/x");
  ask(sluice, "/x");
  ask(sluice, "/y");
  ask(sluice, "/x", "Content-Length: 0\r\n", "POST");
  const std::vector<Json> log = sluice.log(4);  // of two workers: in no order
  REQUIRE(log.size() == 4);
  std::map<std::string, Json> of;  // by method, path and what the cache did
  for (const Json& line : log) {
    of[line.at("method").get<std::string>() + " " + line.at("path").get<std::string>() + " " +
       line.at("cache").get<std::string>()] = line;
  }
  REQUIRE(of.count("GET /x miss") == 1);
  REQUIRE(of.count("GET /x hit") == 1);
  CHECK(of.count("GET /y miss") == 1);
  CHECK(of.count("POST /x bypass") == 1);
  const Json &miss = of["GET /x miss"], &hit = of["GET /x hit"];
  CHECK(miss.at("endpoint") == "a");
  CHECK(hit.at("attempts") == 0);
  CHECK(hit.at("bytes_out") == miss.at("bytes_out"));
  CHECK(sluice.reaches("sluice_cache_requests_total", "result=\"hit\"", 1));
  CHECK(sluice.reaches("sluice_cache_requests_total", "result=\"miss\"", 2));
  CHECK(sluice.reaches("sluice_cache_bypasses_total", "", 1));
  CHECK(sluice.reaches("sluice_cache_stores_total", "", 1));
  CHECK(sluice.reaches("sluice_requests_total", "code=\"200\"", 4));
  const Json cache = sluice.status().at("cache");
  CHECK(cache.at("hits") == 1);
  CHECK(cache.at("misses") == 2);
  CHECK(cache.at("hit_ratio").get<double>() > 0.3);
}
