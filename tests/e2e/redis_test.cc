// The cache tier that hosts share, in a real Redis: what one host has stored, another one serves,
// by the same rules as from memory (RFC 9111, RFC 5861).
#include <algorithm>

#include "tests/e2e/harness/shared.h"

using namespace e2e;

namespace {

const std::string kText = "0123456789abcdefghij";
const std::string kFresh = "Cache-Control: max-age=600\r\nETag: \"1\"\r\n";

// Stale by 50 seconds when it comes.
std::string stale(const std::string& more) {
  return "Cache-Control: max-age=10" + more + "\r\nAge: 60\r\nETag: \"1\"\r\n";
}

std::string not_modified() { return "HTTP/1.1 304 Not Modified\r\n" + kFresh + "\r\n"; }

Answers always(const std::string& body, const std::string& lines) {
  return [=](const Message&) { return answer(200, body, lines); };
}

// 304 where it is asked for.
Answers validating(const std::string& lines) {
  return [=](const Message& request) {
    return request.has("If-None-Match") ? not_modified() : answer(200, "body", lines);
  };
}

int ttl_of(const Message& message) {
  const std::string status = status_of(message);
  const size_t at = status.find("ttl=");
  if (at == std::string::npos) throw Failure("no ttl: " + status);
  return std::stoi(status.substr(at + 4));
}

std::string varied_bytes(size_t size) {
  std::string bytes(size, '\0');
  uint32_t state = 12345;
  for (char& byte : bytes) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<char>(state >> 24);
  }
  return bytes;
}

// Each connection gets one answer, so that nothing is idle when the origin goes away.
Origin::Script once_each(const std::string& lines) {
  return [=](OriginConn& c) {
    const Message request = c.expect_request();
    const bool is_warm = request.target.starts_with("/warm/");
    c.send(answer(200, "body", (is_warm ? kFresh : lines) + "Connection: close\r\n"));
  };
}

// What a restarted host does with an entry of those lines when no endpoint is there.
Message after_restart(const std::string& lines, const std::string& path = "/x") {
  Redis redis;
  Origin origin(once_each(lines));
  const Values values = shared_values(origin.address(), redis.url());
  Sluice keeper(kSharedYaml, values);
  {
    Sluice first(kSharedYaml, values);
    await_shared(keeper, first);
    await_shared(first, keeper);
    CHECK(store(first, path).body == "body");
  }
  Sluice again(kSharedYaml, values);
  await_shared(keeper, again);
  origin.stop();
  return ask(again, path);
}

}  // namespace

// Hits --------------------------------------------------------------------------------------------

TEST_CASE("e2e/redis: what one host stored is a hit at another at once, then from its memory") {
  Hosts hosts(always(kText, kFresh + "Content-Type: text/plain\r\nX-A: 1\r\nX-A: 2\r\n"));
  const double hits = redis_looks(hosts.b, "hit");
  const Message miss = store(hosts.a, "/x");
  CHECK(status_of(miss) == "sluice; fwd=uri-miss; stored");
  const Message first = ask(hosts.b, "/x"), second = ask(hosts.b, "/x");
  CHECK(is_from_redis(first));
  CHECK(is_from_memory(second));
  for (const Message& hit : {first, second}) {
    CHECK(hit.status == 200);
    CHECK(hit.body == kText);
    CHECK(hit.field("X-A") == "1, 2");
    CHECK(hit.field("Content-Type") == "text/plain");
    CHECK(hit.field("ETag") == "\"1\"");
    CHECK(hit.field("Date") == miss.field("Date"));
    CHECK(hit.field("Via") == miss.field("Via"));
    CHECK(hit.count("Age") == 1);
    CHECK(hit.field("Content-Length") == "20");
    CHECK(ttl_of(hit) <= 600);
    CHECK(ttl_of(hit) > 500);
  }
  CHECK(count_of(hosts.origin, "/x") == 1);
  CHECK(hosts.b.reaches("sluice_cache_requests_total", "tier=\"redis\",result=\"hit\"", hits + 1));
}

TEST_CASE("e2e/redis: many keys, both ways, both workers of each") {
  Hosts hosts([](const Message& request) { return answer(200, request.target, kFresh); },
              {{"workers", "2"}});
  for (int i = 0; i < 50; ++i) {
    const std::string path = "/k/" + std::to_string(i);
    Sluice& from = i % 2 == 0 ? hosts.a : hosts.b;
    Sluice& to = i % 2 == 0 ? hosts.b : hosts.a;
    store(from, path);
    const Message hit = ask(to, path);
    CHECK(is_from_redis(hit));
    CHECK(hit.body == path);
  }
  CHECK(count_of(hosts.origin, "/k/7") == 1);
}

TEST_CASE("e2e/redis: the Age goes on across hosts, as if there were one (RFC 9111 4.2.3)") {
  Hosts hosts(always("x", "Cache-Control: max-age=600\r\nAge: 100\r\n"));
  store(hosts.a, "/x");
  CHECK(eventually([&] { return std::stoi(ask(hosts.a, "/x").field("Age")) >= 102; }));
  const Message hit = ask(hosts.b, "/x");
  CHECK(is_from_redis(hit));
  CHECK(hit.count("Age") == 1);
  CHECK(std::stoi(hit.field("Age")) >= 102);
  CHECK(std::stoi(hit.field("Age")) <= 120);
  CHECK(ttl_of(hit) <= 498);
  CHECK(ttl_of(hit) >= 480);
  CHECK(std::stoi(ask(hosts.b, "/x").field("Age")) >= 102);
}

TEST_CASE("e2e/redis: each variant comes to whom it is for (RFC 9111 4.1)") {
  Hosts hosts([](const Message& request) {
    return answer(200, "for " + request.field("X-V"), kFresh + "Vary: X-V\r\n");
  });
  for (const char* value : {"1", "2", "3"}) {
    store(hosts.a, "/x", "X-V: " + std::string(value) + "\r\n");
  }
  for (const char* value : {"2", "3", "1"}) {
    const Message hit = ask(hosts.b, "/x", "X-V: " + std::string(value) + "\r\n");
    CHECK(is_from_redis(hit));
    CHECK(hit.body == "for " + std::string(value));
  }
  const Message other = ask(hosts.b, "/x", "X-V: 4\r\n");
  CHECK_FALSE(is_hit(other));
  CHECK(other.body == "for 4");
  const Message none = ask(hosts.b, "/x");
  CHECK_FALSE(is_hit(none));
  CHECK(none.body == "for ");
}

TEST_CASE("e2e/redis: a client's validator is answered 304 from there (RFC 9111 4.3.2)") {
  Hosts hosts(always(kText, kFresh));
  store(hosts.a, "/x");
  const Message answer = ask(hosts.b, "/x", "If-None-Match: \"1\"\r\n");
  CHECK(answer.status == 304);
  CHECK(answer.body.empty());
  CHECK(answer.field("ETag") == "\"1\"");
  CHECK(is_from_redis(answer));
  store(hosts.a, "/y");
  CHECK(ask(hosts.b, "/y", "If-None-Match: \"2\"\r\n").body == kText);
  CHECK(count_of(hosts.origin, "/x") == 1);
  CHECK(count_of(hosts.origin, "/y") == 1);
}

TEST_CASE("e2e/redis: bodies come byte for byte: none, small, about a chunk, a MiB, many chunks") {
  Hosts hosts([](const Message& request) {
    return answer(200, varied_bytes(std::stoull(request.target.substr(1))), kFresh);
  });
  for (const size_t size : {0, 1, 262'143, 262'144, 262'145, 524'288, 1'048'576, 7'000'001}) {
    CAPTURE(size);
    const std::string path = "/" + std::to_string(size);
    store(hosts.a, path);
    const Message hit = ask(hosts.b, path);
    CHECK(is_from_redis(hit));
    CHECK(hit.complete);
    CHECK((hit.body == varied_bytes(size)));
  }
}

TEST_CASE("e2e/redis: a chunked answer and other statuses are the same from there") {
  Hosts hosts([](const Message& request) {
    if (request.target == "/404") return answer(404, "none", kFresh);
    if (request.target == "/301") return answer(301, "", kFresh + "Location: /there\r\n");
    if (request.target == "/204") return "HTTP/1.1 204 No Content\r\n" + kFresh + "\r\n";
    return "HTTP/1.1 200 OK\r\n" + kFresh +
           "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
  });
  for (const std::string path : {"/404", "/301", "/204", "/chunked"}) {
    CAPTURE(path);
    const Message miss = store(hosts.a, path), hit = ask(hosts.b, path);
    CHECK(is_from_redis(hit));
    CHECK(hit.status == miss.status);
    CHECK(hit.body == miss.body);
    CHECK(hit.field("Location") == miss.field("Location"));
    CHECK(hit.has("Content-Length") == (path != "/204"));
  }
}

TEST_CASE("e2e/redis: HEAD and ranges are answered from there (RFC 9111 4, RFC 9110 14)") {
  Hosts hosts(always(kText, kFresh));
  for (const char* path : {"/head", "/range", "/beyond"}) store(hosts.a, path);
  const Message head = ask(hosts.b, "/head", "", "HEAD");
  CHECK(is_from_redis(head));
  CHECK(head.field("Content-Length") == "20");
  CHECK(head.body.empty());
  const Message range = ask(hosts.b, "/range", "Range: bytes=2-5\r\n");
  CHECK(range.status == 206);
  CHECK(range.body == "2345");
  CHECK(range.field("Content-Range") == "bytes 2-5/20");
  CHECK(is_from_redis(range));
  CHECK(ask(hosts.b, "/beyond", "Range: bytes=20-\r\n").status == 416);
  for (const char* path : {"/head", "/range", "/beyond"}) {
    CHECK(count_of(hosts.origin, path) == 1);
  }
}

TEST_CASE("e2e/redis: only-if-cached is satisfied from there, else 504 (RFC 9111 5.2.1.7)") {
  Hosts hosts(always(kText, kFresh));
  store(hosts.a, "/x");
  const std::string only = "Cache-Control: only-if-cached\r\n";
  const Message hit = ask(hosts.b, "/x", only);
  CHECK(hit.status == 200);
  CHECK(is_from_redis(hit));
  CHECK(ask(hosts.b, "/absent", only).status == 504);
  CHECK(count_of(hosts.origin, "/absent") == 0);
}

TEST_CASE("e2e/redis: hosts, schemes, queries and prefixes of one Redis are kept apart") {
  Hosts hosts([](const Message& request) {
    return answer(200, request.field("Host") + request.target, kFresh);
  });
  Sluice other(kSharedYaml, hosts.values({{"redis", "url: \"" + hosts.redis.url() +
                                                        "\", timeout: 2s, prefix: \"other:\""}}));
  store(hosts.a, "/x");
  CHECK_FALSE(is_hit(ask(hosts.b, "/x?")));
  CHECK_FALSE(is_hit(ask(hosts.b, "/x?a")));
  CHECK_FALSE(is_hit(ask(hosts.b, "/X")));
  Wire client = Wire::to_port(hosts.b.port());
  client.send("GET /x HTTP/1.1\r\nHost: elsewhere\r\n\r\n");
  CHECK(client.read_response().body == "elsewhere/x");
  CHECK_FALSE(is_hit(ask(other, "/x")));
  CHECK(is_from_redis(ask(hosts.b, "/x")));
}

// What is there, and for how long -----------------------------------------------------------------

TEST_CASE("e2e/redis: nothing is stored there that may not be: cookies, private, no-store") {
  Hosts hosts(
      [](const Message& request) {
        const std::string path = request.target;
        std::string lines = "Cache-Control: max-age=600\r\n";
        if (path == "/cookie") lines += "Set-Cookie: id=SECRET\r\n";
        if (path == "/private") lines = "Cache-Control: private, max-age=600\r\n";
        if (path == "/no-store") lines = "Cache-Control: no-store\r\n";
        return answer(200, "SECRET", lines);
      },
      {{"cache", "set_cookie: never"}});
  const size_t before = hosts.redis.entries().size();
  for (const char* path : {"/cookie", "/private", "/no-store"}) {
    CHECK_FALSE(is_hit(ask(hosts.a, path)));
    CHECK_FALSE(is_hit(ask(hosts.b, path)));
  }
  // RFC 9111 section 3.5
  ask(hosts.a, "/authorised", "Authorization: Basic eDp5\r\n");
  CHECK_FALSE(is_hit(ask(hosts.b, "/authorised")));
  // What comes after them is written after them.
  await_shared(hosts.a, hosts.b);
  for (const std::string& key : hosts.redis.entries()) {
    for (const std::string& text : hosts.redis.list({"HGETALL", key})) {
      CHECK(text.find("id=SECRET") == std::string::npos);
      CHECK(text.find("no-store") == std::string::npos);
      CHECK(text.find("private") == std::string::npos);
    }
  }
  CHECK(hosts.redis.entries().size() > before);
}

TEST_CASE("e2e/redis: fields named by no-cache or private stay out of it (RFC 9111 3.2)") {
  Hosts hosts(always("x",
                     "Cache-Control: max-age=600, private=\"X-Own\"\r\nX-Own: SECRET\r\n"
                     "Connection: X-Hop\r\nX-Hop: HOPPED\r\n"));
  ask(hosts.a, "/x");
  await_shared(hosts.a, hosts.b);
  for (const std::string& key : hosts.redis.entries()) {
    for (const std::string& text : hosts.redis.list({"HGETALL", key})) {
      CHECK(text.find("SECRET") == std::string::npos);
      CHECK(text.find("HOPPED") == std::string::npos);
    }
  }
}

TEST_CASE("e2e/redis: every key has an end") {
  Hosts hosts(always(varied_bytes(600'000), kFresh + "Cache-Groups: \"g\"\r\n"));
  store(hosts.a, "/x");
  CHECK(ask(hosts.a, "/x", "Content-Length: 0\r\n", "POST").status == 200);
  await_shared(hosts.a, hosts.b);
  store(hosts.a, "/y");
  size_t seen = 0;
  for (const std::string& key : hosts.redis.keys()) {
    CAPTURE(key);
    const int64_t left = hosts.redis.number({"TTL", key});
    if (left == -2) continue;  // over since it was listed
    CHECK(left >= 0);
    CHECK(left <= 3600 * 24 * 366);
    ++seen;
  }
  CHECK(seen >= 5);
}

TEST_CASE("e2e/redis: entries leave Redis when their time is over") {
  Hosts hosts(always(varied_bytes(300'000), "Cache-Control: max-age=1\r\n"),
              {{"cache", "keep: 1s"}});
  const size_t before = hosts.redis.keys("*v1:*").size();
  store(hosts.a, "/x");
  CHECK(hosts.redis.keys("*v1:*").size() > before);
  // Those of /warm/ stay for ten minutes.
  CHECK(eventually([&] { return hosts.redis.keys("*v1:*").size() <= before; }));
}

// What is stale -----------------------------------------------------------------------------------

TEST_CASE("e2e/redis: stale-while-revalidate with the entry only there (RFC 5861 3)") {
  Gate may_answer;
  Hosts hosts([&](const Message& request) {
    if (!request.has("If-None-Match")) {
      return answer(200, "old", stale(", stale-while-revalidate=600"));
    }
    may_answer.wait();
    return answer(200, "new", "Cache-Control: max-age=600\r\nETag: \"2\"\r\n");
  });
  store(hosts.a, "/x");
  const Message old = ask(hosts.b, "/x");
  CHECK(old.body == "old");
  CHECK(is_from_redis(old));
  CHECK(ttl_of(old) <= -50);
  CHECK(std::stoi(old.field("Age")) >= 60);
  CHECK(eventually([&] { return count_of(hosts.origin, "/x") == 2; }));
  CHECK(ask(hosts.b, "/x").body == "old");
  may_answer.open();
  CHECK(eventually([&] { return ask(hosts.b, "/x").body == "new"; }));
  CHECK(count_of(hosts.origin, "/x") == 2);
  CHECK(eventually([&] { return ask(hosts.a, "/x").body == "new"; }));
}

TEST_CASE("e2e/redis: a refresh is asked of the origin by one host, the other one takes it over") {
  Hosts hosts([](const Message& request) {
    return request.has("If-None-Match")
               ? answer(200, "new", "Cache-Control: max-age=600\r\nETag: \"2\"\r\n")
               : answer(200, "old", stale(", stale-while-revalidate=600"));
  });
  store(hosts.a, "/x");
  CHECK(ask(hosts.b, "/x").body == "old");
  CHECK(eventually([&] { return ask(hosts.b, "/x").body == "new"; }));
  await_shared(hosts.b, hosts.a);  // it is written by now
  CHECK(ask(hosts.a, "/x").body == "old");
  CHECK(eventually([&] { return ask(hosts.a, "/x").body == "new"; }));
  CHECK(count_of(hosts.origin, "/x") == 2);
}

TEST_CASE("e2e/redis: stale-if-error after a restart, with the entry only there (RFC 5861 4)") {
  const Message answer = after_restart(stale(", stale-if-error=600"));
  CHECK(answer.status == 200);
  CHECK(answer.body == "body");
  CHECK(is_from_redis(answer));
  CHECK(ttl_of(answer) <= -50);
}

TEST_CASE("e2e/redis: stale-if-error for a 503 with the entry only there (RFC 5861 4)") {
  std::atomic<bool> is_ill{false};
  Hosts hosts([&](const Message&) {
    return is_ill ? answer(503, "ill") : answer(200, "body", stale(", stale-if-error=600"));
  });
  store(hosts.a, "/x");
  is_ill = true;
  const Message answer = ask(hosts.b, "/x");
  CHECK(answer.status == 200);
  CHECK(answer.body == "body");
  CHECK(is_hit(answer));
}

TEST_CASE("e2e/redis: must-revalidate is not served stale from there (RFC 9111 5.2.2.2)") {
  for (const char* word : {", must-revalidate", ", must-revalidate, stale-if-error=600",
                           ", proxy-revalidate, stale-while-revalidate=600", ", no-cache"}) {
    CAPTURE(word);
    const Message answer = after_restart(stale(word));
    CHECK(answer.status == 504);
    CHECK(answer.body != "body");
  }
}

TEST_CASE("e2e/redis: a fresh entry is served after a restart, with no endpoint at all") {
  const Message answer = after_restart(kFresh);
  CHECK(answer.status == 200);
  CHECK(is_from_redis(answer));
}

TEST_CASE("e2e/redis: a host that has it only there validates it, and all get it fresh") {
  Hosts hosts(validating(stale("")));
  const auto third = hosts.another();
  store(hosts.a, "/x");
  const Message validated = store(hosts.b, "/x");
  CHECK(validated.status == 200);
  CHECK(validated.body == "body");
  CAPTURE(status_of(validated));
  CHECK(status_of(validated).starts_with("sluice; fwd=stale; fwd-status=304"));
  CHECK(count_of(hosts.origin, "/x") == 2);
  CHECK(hosts.origin.requests().back().field("If-None-Match") == "\"1\"");
  // One has it stale in memory, the other one not at all.
  for (Sluice* sluice : {&hosts.a, third.get()}) {
    const Message hit = ask(*sluice, "/x");
    CHECK(is_from_redis(hit));
    CHECK(hit.body == "body");
    CHECK(ttl_of(hit) > 500);
    CHECK(std::stoi(hit.field("Age")) <= 60);
  }
  CHECK(count_of(hosts.origin, "/x") == 2);
}

TEST_CASE("e2e/redis: no-cache of a client goes past both tiers, and replaces what is there") {
  std::atomic<int> turn{0};
  Hosts hosts([&](const Message&) {
    return answer(200, "v" + std::to_string(++turn), "Cache-Control: max-age=600\r\n");
  });
  CHECK(store(hosts.a, "/x").body == "v1");
  CHECK(store(hosts.b, "/x", "Cache-Control: no-cache\r\n").body == "v2");
  CHECK(ask(*hosts.another(), "/x").body == "v2");
}

// RFC 9111 section 4: the newest response is what counts, also if it is one that is not stored.
TEST_CASE("e2e/redis: what became no-store does not come back from there") {
  std::atomic<bool> is_secret{false};
  Hosts hosts([&](const Message& request) {
    if (!is_secret) return answer(200, "old", kFresh);
    // Half of them by a 304 that says so.
    const bool is_same = request.target == "/304" && request.has("If-None-Match");
    return is_same ? std::string("HTTP/1.1 304 Not Modified\r\nCache-Control: no-store\r\n\r\n")
                   : answer(200, "new", "Cache-Control: no-store\r\n");
  });
  for (const std::string path : {"/200", "/304"}) {
    is_secret = false;
    store(hosts.a, path);
    is_secret = true;
    ask(hosts.a, path, "Cache-Control: no-cache\r\n");
    await_shared(hosts.a, hosts.b);  // what was sent before it is there
    const Message fresh = ask(hosts.b, path);
    CAPTURE(status_of(fresh));
    CHECK_FALSE(is_from_redis(fresh));
    CHECK(fresh.body == "new");
  }
}

TEST_CASE("e2e/redis: who only asks whether it is there takes no lease") {
  Hosts hosts(always("body", kFresh));
  const auto leases = [&] { return hosts.a.value("sluice_cache_redis_leases_total", "taken"); };
  const double before = leases();
  CHECK(ask(hosts.a, "/x", "Cache-Control: only-if-cached\r\n").status == 504);
  CHECK(ask(hosts.a, "/x", "", "HEAD").status == 200);
  CHECK(leases() == before);
  store(hosts.a, "/x");
  CHECK(leases() > before);
}

TEST_CASE("e2e/redis: a long Vary value stays in memory: all look-ups of the URL would read it") {
  Hosts hosts([](const Message&) { return answer(200, "body", kFresh + "Vary: User-Agent\r\n"); });
  const std::string lines = "User-Agent: " + std::string(1100, 'x') + "\r\n";
  ask(hosts.a, "/x", lines);
  CHECK(is_hit(ask(hosts.a, "/x", lines)));
  await_shared(hosts.a, hosts.b);
  CHECK_FALSE(is_from_redis(ask(hosts.b, "/x", lines)));
}

TEST_CASE("e2e/redis: the whole comes from there to a host that has only a part (RFC 9111 3.3)") {
  Hosts hosts([](const Message& request) {
    if (request.has("Range")) {
      return "HTTP/1.1 206 Partial Content\r\n" + kFresh +
             "Content-Range: bytes 2-5/20\r\nContent-Length: 4\r\n\r\n2345";
    }
    return answer(200, kText, kFresh);
  });
  CHECK(ask(hosts.b, "/x", "Range: bytes=2-5\r\n").body == "2345");
  await_shared(hosts.b, hosts.a);
  CHECK(hosts.redis.keys("*:l").empty());
  store(hosts.a, "/x");
  const Message whole = ask(hosts.b, "/x");
  CHECK(whole.status == 200);
  CHECK(whole.body == kText);
  CHECK(is_from_redis(whole));
  CHECK(ask(hosts.b, "/x", "Range: bytes=10-11\r\n").body == "ab");
}

TEST_CASE("e2e/redis: variants of one URL are bounded, and their bodies have an end") {
  Hosts hosts([](const Message& request) {
    return answer(200, repeat(request.field("X-V"), 2000), kFresh + "Vary: X-V\r\n");
  });
  const std::string key = [&] {
    store(hosts.a, "/x", "X-V: 100\r\n");
    for (const std::string& each : hosts.redis.entries()) {
      for (const std::string& text : hosts.redis.list({"HGETALL", each})) {
        if (text.find("/x") != std::string::npos) return each;
      }
    }
    throw Failure("no entry of /x");
  }();
  for (int i = 101; i < 200; ++i) store(hosts.a, "/x", "X-V: " + std::to_string(i) + "\r\n");
  CHECK(hosts.redis.number({"HLEN", key}) <= 64);
  CHECK(hosts.redis.number({"HLEN", key}) >= 8);
  for (const std::string& each : hosts.redis.keys("*:b:*")) {
    CHECK(hosts.redis.number({"TTL", each}) > 0);
  }
  const Message last = ask(hosts.b, "/x", "X-V: 199\r\n");
  CHECK(is_from_redis(last));
  CHECK((last.body == repeat("199", 2000)));
  CHECK((ask(hosts.b, "/x", "X-V: 100\r\n").body == repeat("100", 2000)));
}

TEST_CASE("e2e/redis: a number of a database and TCP lead to the same entries") {
  Hosts hosts(always(kText, kFresh), {});
  const auto at = [&](const std::string& url) {
    return hosts.values({{"redis", "url: \"" + url + "\", timeout: 2s"}});
  };
  Sluice c(kSharedYaml, at(hosts.redis.url() + "?db=3"));
  Sluice d(kSharedYaml, at(hosts.redis.tcp_url() + "/3"));
  await_shared(c, d);
  await_shared(d, c);
  store(hosts.a, "/x");
  CHECK_FALSE(is_hit(ask(c, "/x")));
  // Pub/Sub knows no databases: a purge in one is none in another, and harms nothing there.
  CHECK(ask(c, "/x", "Content-Length: 0\r\n", "POST").status == 200);
  await_shared(c, d);
  CHECK(is_from_memory(ask(hosts.a, "/x")));
  CHECK(hosts.a.value("sluice_cache_memory_flushes_total") == 0);
}

TEST_CASE("e2e/redis: a password stands in no output") {
  Redis redis;
  REQUIRE(redis.ask({"ACL", "SETUSER", "edge", "on", ">hunter2", "~*", "&*", "+@all"}) == "OK");
  Origin origin(serving(always(kText, kFresh)));
  const Values values = shared_values(origin.address(), redis.tcp_url("edge:hunter2"));
  Sluice sluice(kSharedYaml, values), other(kSharedYaml, values);
  await_shared(other, sluice);
  const Finished check =
      run({program("SLUICE"), "check", "--print", "-c", sluice.path("sluice.yaml")});
  CHECK(check.exit_code == 0);
  for (const std::string& text :
       {check.out, check.err, sluice.err(), sluice.out(), sluice.metrics(), sluice.status().dump(),
        sluice.command({"status"}).out, sluice.log_text()}) {
    CHECK(text.find("hunter2") == std::string::npos);
  }
}
