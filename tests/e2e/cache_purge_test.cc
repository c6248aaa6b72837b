// Purging and looking at the cache from outside: the command, the API, the method PURGE, and what
// an answer of an endpoint has forgotten by itself (RFC 9111 section 4.4, RFC 9875).
#include "tests/e2e/harness/e2e.h"

using namespace e2e;

namespace {

constexpr const char* kCached = R"(
workers: 2
cache: {purge_from: [@from]}
pools:
  app: {endpoints: [{address: "@a", name: a}], health: {type: off}, retry: {attempts: 1}}
routes:
  - {name: plain, match: {path: /plain}, pool: app}
  - {name: text, match: {path: /text}, respond: {status: 200, body: x}}
  - {name: reads, match: {path: /reads, method: [GET, HEAD]}, pool: app, cache: {}}
  - {name: stripped, match: {path: /app}, strip_prefix: /app, pool: app, cache: {}}
  - {name: all, match: {path: /}, pool: app, cache: {}}
)";

Values values(const Origin& origin, const std::string& from = "127.0.0.1") {
  return {{"a", origin.address()}, {"from", from}};
}

const std::string kFresh = "Cache-Control: max-age=60\r\n";

// Every answer has the number of its request as its body.
Origin::Script numbered(const std::string& lines) {
  auto count = std::make_shared<std::atomic<int>>(0);
  return [=](OriginConn& c) {
    c.serve([&](const Message&) { return answer(200, "v" + std::to_string(++*count), lines); });
  };
}

Message ask(Sluice& sluice, const std::string& path, const std::string& lines = "",
            const std::string& method = "GET") {
  Wire client = Wire::to_port(sluice.port());
  client.send(request_text(path, lines, method));
  return client.read_response(method);
}

// What clients of this sluice ask for: the Host of request_text().
std::string url_of(const std::string& path) { return "http://test" + path; }

Json purge(Sluice& sluice, const Json& body) {
  const Message reply = sluice.admin("POST", "/api/v1/purge", body.dump());
  CAPTURE(reply.body);
  CHECK(reply.status == 200);
  return Json::parse(reply.body);
}

Json look(Sluice& sluice, const std::string& url, const std::string& more = "") {
  const Message reply = sluice.admin("GET", "/api/v1/cache?url=" + url + more);
  CAPTURE(reply.body);
  CHECK(reply.status == 200);
  return Json::parse(reply.body);
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

bool logs(Sluice& sluice, const std::string& part) {
  return eventually([&] { return has(sluice.err(), part); });
}

bool is_hit(const Message& message) {
  return message.field("Cache-Status").starts_with("sluice; hit");
}

}  // namespace

// The command and the API -------------------------------------------------------------------------

TEST_CASE("e2e/purge: a URL goes with all its variants, and nothing else does") {
  Origin origin(numbered(kFresh + "Vary: X-V\r\n"));
  Sluice sluice(kCached, values(origin));
  for (const char* variant : {"X-V: 1\r\n", "X-V: 2\r\n", ""}) ask(sluice, "/x", variant);
  ask(sluice, "/x?q");
  CHECK(is_hit(ask(sluice, "/x", "X-V: 2\r\n")));
  const Finished finished = sluice.command({"purge", "--url", url_of("/x")});
  CHECK(finished.exit_code == 0);
  CHECK(finished.out == "purged hard: http://test:80/x: 3 entries in memory\n");
  CHECK(ask(sluice, "/x", "X-V: 1\r\n").body == "v5");
  CHECK(ask(sluice, "/x", "X-V: 2\r\n").body == "v6");
  CHECK(is_hit(ask(sluice, "/x?q")));
  CHECK(sluice.reaches("sluice_cache_purge_requests_total", "kind=\"hard\"", 1));
  CHECK(logs(sluice, "purge: unix:: hard url http://test:80/x: 3 entries in memory"));
}

TEST_CASE("e2e/purge: the URL is the one that clients ask for, with the listener's port") {
  Origin origin(numbered(kFresh));
  Sluice sluice(kCached, values(origin));
  const std::string url = sluice.url("/x");
  CHECK(curl({url}).out == "v1");
  CHECK(curl({url}).out == "v1");
  const Finished finished = sluice.command({"purge", "--url", url});
  CHECK(finished.out == "purged hard: " + url + ": 1 entry in memory\n");
  CHECK(curl({url}).out == "v2");
  const Finished again = sluice.command({"purge", "--json", "--url", url + "?other#part"});
  CHECK(again.exit_code == 0);
  CHECK(Json::parse(again.out) == Json{{"ok", true},
                                       {"what", "url"},
                                       {"url", url + "?other"},
                                       {"kind", "hard"},
                                       {"entries", 0}});
}

TEST_CASE("e2e/purge: a route that strips a prefix stores what is left; the person need not know") {
  Origin origin(numbered(kFresh));
  Sluice sluice(kCached, values(origin));
  ask(sluice, "/app/x");
  ask(sluice, "/y");
  CHECK(purge(sluice, {{"url", url_of("/app/x")}})["entries"] == 1);
  CHECK(ask(sluice, "/app/x").body == "v3");
  CHECK(purge(sluice, {{"prefix", url_of("/app/")}})["entries"] == 2);  // /y is stored alike
  CHECK(ask(sluice, "/app/x").body == "v4");
}

TEST_CASE("e2e/purge: what two pools have of one URL goes together, and is counted") {
  Origin a(numbered(kFresh)), b(numbered(kFresh));
  Sluice sluice(R"(
cache: {purge_from: [127.0.0.1]}
pools:
  a: {endpoints: [{address: "@a"}], health: {type: off}}
  b: {endpoints: [{address: "@b"}], health: {type: off}}
routes:
  - {name: a, match: {headers: {x-a: "1"}}, pool: a, cache: {}}
  - {name: b, match: {path: /}, pool: b, cache: {}}
)",
                {{"a", a.address()}, {"b", b.address()}});
  const auto are_hits = [&] {
    return std::pair(is_hit(ask(sluice, "/x", "X-A: 1\r\n")), is_hit(ask(sluice, "/x")));
  };
  are_hits();
  CHECK(are_hits() == std::pair(true, true));
  const Json seen = look(sluice, url_of("/x"), "&header=x-a:1");
  CHECK(seen["entries"].size() == 2);
  CHECK(seen["route"]["key"]["pool"] == "a");
  CHECK(purge(sluice, {{"url", url_of("/x")}})["entries"] == 2);
  CHECK(are_hits() == std::pair(false, false));
  CHECK(has(ask(sluice, "/x", "", "PURGE").body, "2 entries in memory"));
  CHECK(has(ask(sluice, "/x", "", "PURGE").body, "0 entries in memory"));
  CHECK(are_hits() == std::pair(false, false));
}

TEST_CASE("e2e/purge: a prefix, and everything") {
  Origin origin(numbered(kFresh));
  Sluice sluice(kCached, values(origin));
  for (const char* path : {"/img/a", "/img/b", "/doc"}) ask(sluice, path);
  CHECK(sluice.command({"purge", "--prefix", url_of("/img/")}).out ==
        "purged hard: http://test:80/img/*: 2 entries in memory\n");
  CHECK(ask(sluice, "/img/a").body == "v4");
  CHECK(is_hit(ask(sluice, "/doc")));
  CHECK(sluice.command({"purge", "--all"}).out == "purged hard: everything: 2 entries in memory\n");
  CHECK(ask(sluice, "/doc").body == "v5");
}

TEST_CASE("e2e/purge: tags of Surrogate-Key and Cache-Tag, which no client ever sees") {
  Origin origin([](OriginConn& c) {
    c.serve([](const Message& request) {
      const std::string lines = request.target == "/s" ? "Surrogate-Key: red  green\r\n"
                                                       : "Cache-Tag: red, two words\r\n";
      return answer(200, "b", kFresh + lines);
    });
  });
  Sluice sluice(kCached, values(origin));
  const auto are_hits = [&] {
    const Message s = ask(sluice, "/s"), c = ask(sluice, "/c");
    for (const Message* message : {&s, &c}) {
      CHECK_FALSE(message->has("Surrogate-Key"));
      CHECK_FALSE(message->has("Cache-Tag"));
    }
    return std::pair(is_hit(s), is_hit(c));
  };
  are_hits();
  CHECK(are_hits() == std::pair(true, true));
  CHECK(sluice.command({"purge", "--tag", "green"}).out == "purged hard: tag green\n");
  CHECK(are_hits() == std::pair(false, true));
  CHECK(purge(sluice, {{"tag", "two words"}})["entries"].is_null());
  CHECK(are_hits() == std::pair(true, false));
  purge(sluice, {{"tags", {"blue", "red"}}});
  CHECK(are_hits() == std::pair(false, false));
}

TEST_CASE("e2e/purge: soft makes stale: validated, or served while that is done (RFC 5861 3)") {
  Origin origin([](OriginConn& c) {
    c.serve([](const Message& request) {
      const std::string more = request.target == "/swr" ? ", stale-while-revalidate=60" : "";
      const std::string lines = "Cache-Control: max-age=60" + more + "\r\nETag: \"1\"\r\n";
      if (request.has("If-None-Match")) return "HTTP/1.1 304 Not Modified\r\n" + lines + "\r\n";
      return answer(200, "body", lines);
    });
  });
  Sluice sluice(kCached, values(origin));
  ask(sluice, "/x");
  ask(sluice, "/swr");
  CHECK(sluice.command({"purge", "--soft", "--url", url_of("/x")}).out ==
        "purged soft: http://test:80/x: 1 entry in memory\n");
  CHECK(look(sluice, url_of("/x"))["entries"][0]["why_stale"] == "soft purge");
  const Message validated = ask(sluice, "/x");
  CHECK(validated.body == "body");
  CHECK(validated.field("Cache-Status").starts_with("sluice; fwd=stale; fwd-status=304"));
  CHECK(is_hit(ask(sluice, "/x")));
  purge(sluice, {{"all", true}, {"soft", true}});
  const Message stale = ask(sluice, "/swr");
  CHECK(stale.field("Cache-Status").starts_with("sluice; hit; ttl=-"));
  origin.wait_for_requests(4);
  CHECK(origin.request(3).has("If-None-Match"));
  CHECK(sluice.reaches("sluice_cache_purge_requests_total", "kind=\"soft\"", 2));
}

TEST_CASE("e2e/purge: what is being fetched meanwhile reaches its client and is not stored") {
  Gate may_end;
  Origin origin([&, count = std::make_shared<std::atomic<int>>(0)](OriginConn& c) {
    while (true) {
      c.expect_request();
      if (++*count > 1) {
        c.reply("new", kFresh);
        continue;
      }
      c.send("HTTP/1.1 200 OK\r\n" + kFresh + "Content-Length: 6\r\n\r\nold");
      may_end.wait();
      c.send("old");
    }
  });
  Sluice sluice(kCached, values(origin));
  Wire client = Wire::to_port(sluice.port());
  client.send(request_text("/x"));
  client.read_head();
  CHECK(purge(sluice, {{"url", url_of("/x")}})["entries"] == 0);
  may_end.open();
  CHECK(client.read_exactly(6) == "oldold");
  CHECK(ask(sluice, "/x").body == "new");
  CHECK(is_hit(ask(sluice, "/x")));
}

TEST_CASE("e2e/purge: a group of Cache-Groups is its origin's alone (RFC 9875 2.1)") {
  Origin origin([](OriginConn& c) {
    c.serve([](const Message& request) {
      if (request.method == "POST") {
        return answer(200, "", "Cache-Group-Invalidation: \"g\"\r\n");
      }
      return answer(200, "b", kFresh + "Cache-Groups: \"g\", \"h\"\r\n");
    });
  });
  Sluice sluice(kCached, values(origin));
  const auto get = [&](const std::string& host) {
    Wire client = Wire::to_port(sluice.port());
    client.send("GET /x HTTP/1.1\r\nHost: " + host + "\r\n\r\n");
    return is_hit(client.read_response());
  };
  const auto are_hits = [&] { return std::pair(get("one.test"), get("two.test")); };
  are_hits();
  CHECK(are_hits() == std::pair(true, true));
  Wire client = Wire::to_port(sluice.port());
  client.send("POST /change HTTP/1.1\r\nHost: one.test\r\nContent-Length: 0\r\n\r\n");
  client.read_response();
  CHECK(are_hits() == std::pair(false, true));
  purge(sluice, {{"group", "h"}, {"url", "http://two.test/any"}});
  CHECK(are_hits() == std::pair(true, false));
  purge(sluice, {{"tag", "g"}});  // a tag is no group
  CHECK(are_hits() == std::pair(true, true));
}

TEST_CASE("e2e/purge: every mistake ends with 2, its cause and what to do, and changes nothing") {
  Origin origin(numbered(kFresh));
  Sluice sluice(kCached, values(origin));
  ask(sluice, "/x");
  struct Case {
    std::vector<std::string> verb;
    const char* says;
  };
  const Case cases[] = {
      {{"purge"}, "give one of --url, --prefix, --tag and --all"},
      {{"purge", "--soft"}, "nothing says what to purge"},
      {{"purge", "--url", "http://test/x", "--all"}, "--url and --all at once"},
      {{"purge", "--url", "/x"}, "no absolute URL"},
      {{"purge", "--url", "test/x"}, "no absolute URL"},
      {{"purge", "--url", ""}, "an empty text is no absolute URL"},
      {{"purge", "--url", "ftp://test/x"}, "no absolute URL"},
      {{"purge", "--url", "http://test/a b"}, "percent-encoded"},
      {{"purge", "--prefix", "http://"}, "no absolute URL"},
      {{"purge", "--tag", ""}, "a tag is empty"},
      {{"purge", "--tag", "a,b"}, "a comma separates tags"},
      {{"purge", "--tag", " a"}, "begins or ends with a space"},
      {{"purge", "--what"}, "see sluice purge --help"},
      {{"purge", "--url"}, "see sluice purge --help"},
      {{"cache"}, "see sluice cache --help"},
      {{"cache", "get"}, "see sluice cache --help"},
      {{"cache", "get", "x"}, "no absolute URL"},
      {{"cache", "get", "http://test/", "--header", "no colon"}, "Name: value"},
  };
  for (const Case& c : cases) {
    const bool has_admin = c.verb.size() > 1;
    std::vector<std::string> all = {program("SLUICE")};
    const Finished finished = has_admin ? sluice.command(c.verb) : [&] {
      all.insert(all.end(), c.verb.begin(), c.verb.end());
      return run(all);
    }();
    CAPTURE(finished.err);
    CHECK(finished.exit_code == 2);
    CHECK(finished.out == "");
    CHECK(has(finished.err, c.says));
  }
  CHECK(is_hit(ask(sluice, "/x")));
  CHECK(sluice.value("sluice_cache_purge_requests_total", "") == 0);
}

TEST_CASE("e2e/purge: where no sluice answers the exit code is 1; --help has examples") {
  TempDir dir;
  const std::string nobody = "unix:" + dir.path("none");
  for (const std::vector<std::string>& verb :
       {std::vector<std::string>{"purge", "--all"}, {"cache", "get", "http://test/"}}) {
    std::vector<std::string> all = {program("SLUICE")};
    all.insert(all.end(), verb.begin(), verb.end());
    all.insert(all.end(), {"--admin", nobody});
    const Finished finished = run(all);
    CHECK(finished.exit_code == 1);
    CHECK(has(finished.err, nobody));
  }
  CHECK(has(run({program("SLUICE"), "purge", "--help"}).out, "sluice purge --tag product-7"));
  CHECK(has(run({program("SLUICE"), "cache", "get", "--help"}).out, "sluice cache get http://"));
}

// PURGE -------------------------------------------------------------------------------------------

TEST_CASE("e2e/purge: PURGE from an address of purge_from forgets the URL and all its variants") {
  Origin origin(numbered(kFresh + "Vary: X-V\r\n"));
  Sluice sluice(kCached, values(origin));
  ask(sluice, "/x", "X-V: 1\r\n");
  ask(sluice, "/x", "X-V: 2\r\n");
  const Message purged = ask(sluice, "/x", "", "PURGE");
  CHECK(purged.status == 200);
  CHECK(purged.body == "purged hard: http://test:80/x: 2 entries in memory\n");
  CHECK(purged.field("Content-Type") == "text/plain; charset=utf-8");
  CHECK(ask(sluice, "/x", "X-V: 1\r\n").body == "v3");
  const Message json = ask(sluice, "/x", "Accept: application/json\r\n", "PURGE");
  CHECK(Json::parse(json.body) == Json{{"ok", true},
                                       {"what", "url"},
                                       {"url", "http://test:80/x"},
                                       {"kind", "hard"},
                                       {"entries", 1}});
  // Nothing there is what was wanted, too; the connection goes on.
  Wire client = Wire::to_port(sluice.port());
  for (int i = 0; i < 2; ++i) {
    client.send(request_text("/x", "", "PURGE"));
    const Message nothing = client.read_response();
    CHECK(nothing.status == 200);
    CHECK(has(nothing.body, "0 entries"));
  }
  CHECK(origin.requests().size() == 3);  // none of them went on
  CHECK(sluice.reaches("sluice_cache_purge_requests_total", "kind=\"hard\"", 4));
  CHECK(logs(sluice, "purge: 127.0.0.1: hard url http://test:80/x: 2 entries in memory"));
  CHECK(sluice.log(7)[2].at("route") == "all");
}

TEST_CASE("e2e/purge: PURGE goes by the route of a GET, and by what that strips") {
  Origin origin(numbered(kFresh));
  Sluice sluice(kCached, values(origin));
  for (const char* path : {"/reads", "/app/x"}) {
    ask(sluice, path);
    CHECK(is_hit(ask(sluice, path)));
    CHECK(has(ask(sluice, path, "", "PURGE").body, "1 entry in memory"));
    CHECK_FALSE(is_hit(ask(sluice, path)));
  }
}

TEST_CASE("e2e/purge: PURGE may be soft, and may name tags") {
  Origin origin(numbered(kFresh + "ETag: \"1\"\r\nSurrogate-Key: red\r\n"));
  Sluice sluice(kCached, values(origin));
  for (const char* lines : {"Soft-Purge: 1\r\n", "Fastly-Soft-Purge: 1\r\n"}) {
    ask(sluice, "/x");
    CHECK(has(ask(sluice, "/x", lines, "PURGE").body, "purged soft: http://test:80/x: 1 entry"));
    CHECK(ask(sluice, "/x").field("Cache-Status").starts_with("sluice; fwd=stale"));
  }
  for (const char* lines :
       {"Surrogate-Key: blue red\r\n", "xkey-purge: red\r\n", "Cache-Tag: some, red\r\n"}) {
    ask(sluice, "/x");
    CHECK(is_hit(ask(sluice, "/x")));
    const Message purged = ask(sluice, "/", lines, "PURGE");
    CHECK(purged.status == 200);
    CHECK(has(purged.body, "red\n"));
    CHECK_FALSE(is_hit(ask(sluice, "/x")));
  }
  CHECK(ask(sluice, "/x", "Surrogate-Key: \r\n", "PURGE").status == 400);
  std::string many = "Surrogate-Key: red";
  for (int i = 0; i < 256; ++i) many += " t" + std::to_string(i);
  CHECK(ask(sluice, "/x", many + "\r\n", "PURGE").status == 400);
  CHECK(is_hit(ask(sluice, "/x")));
}

TEST_CASE("e2e/purge: PURGE from elsewhere is 403, whatever the client says of its address") {
  Origin origin(numbered(kFresh));
  Sluice sluice(kCached, values(origin, "\"192.0.2.0/24\""));
  ask(sluice, "/x");
  const std::string claims = "X-Forwarded-For: 192.0.2.7\r\nForwarded: for=192.0.2.7\r\n";
  const Message refused = ask(sluice, "/x", claims, "PURGE");
  CHECK(refused.status == 403);
  CHECK(has(refused.field("Proxy-Status"), "details=\"purge_refused\""));
  CHECK(has(refused.body, "cache.purge_from"));
  CHECK(is_hit(ask(sluice, "/x")));
  CHECK(origin.requests().size() == 1);
  CHECK(sluice.reaches("sluice_errors_total", "reason=\"purge_refused\"", 1));
  CHECK(sluice.value("sluice_cache_purge_requests_total", "") == 0);
}

TEST_CASE("e2e/purge: PURGE is forwarded where there is no cache, and where nobody may send it") {
  Origin origin(numbered(kFresh));
  {
    Sluice sluice(kCached, values(origin));
    CHECK(ask(sluice, "/plain", "", "PURGE").body == "v1");
    CHECK(ask(sluice, "/x", "", "purge").body == "v2");  // methods are case-sensitive
  }
  Sluice sluice(kCached, values(origin, ""));
  CHECK(ask(sluice, "/x", "", "PURGE").body == "v3");
  CHECK(origin.requests().back().method == "PURGE");
}

// Looking -----------------------------------------------------------------------------------------

TEST_CASE("e2e/cache get: what is fresh, what is stale, and by which fields") {
  Origin origin([](OriginConn& c) {
    c.serve([](const Message& request) {
      const std::string lines = request.target == "/stale"
                                    ? "Cache-Control: max-age=10\r\nAge: 60\r\nETag: \"1\"\r\n"
                                    : kFresh + "Vary: X-V\r\nSurrogate-Key: a b\r\n";
      return answer(200, "body", lines);
    });
  });
  Sluice sluice(kCached, values(origin));
  ask(sluice, "/x", "X-V: 1\r\n");
  ask(sluice, "/x");
  ask(sluice, "/stale");
  const Json fresh = look(sluice, url_of("/x"), "&header=x-v:%201");
  CHECK(fresh["url"] == "http://test:80/x");
  CHECK(fresh["route"]["name"] == "all");
  CHECK(fresh["answer"]["result"] == "hit");
  CHECK(fresh["answer"]["why"].is_null());
  CHECK(fresh["redis"].is_null());
  REQUIRE(fresh["entries"].size() == 2);
  for (const Json& entry : fresh["entries"]) {
    const bool is_one = entry["vary"][0]["value"] == "1";
    CHECK(entry["is_match"] == is_one);
    CHECK(entry["status"] == 200);
    CHECK(entry["bytes"] == 4);
    CHECK(entry["tags"] == 2);
    CHECK(entry["state"] == "fresh");
    CHECK(entry["ttl_s"].get<int>() > 40);
    CHECK(entry["tier"] == "memory");
  }
  CHECK(look(sluice, url_of("/x"), "&header=x-v:%202")["answer"]["why"] == "vary");
  const Json stale = look(sluice, url_of("/stale"));
  CHECK(stale["answer"]["result"] == "validate");
  CHECK(stale["entries"][0]["why_stale"] == "expired");
  CHECK(stale["entries"][0]["ttl_s"].get<int>() < 0);
  CHECK(stale["entries"][0]["etag"] == "\"1\"");
  const Finished finished = sluice.command({"cache", "get", url_of("/x"), "--header", "X-V: 1"});
  CHECK(finished.exit_code == 0);
  CHECK(
      finished.out.starts_with("http://test:80/x\nroute   all, pool app\nkey     the URL\n"
                               "answer  hit: fresh for "));
  CHECK(has(finished.out, "\nmemory  2 stored\nredis   off\n\n"));
  CHECK(has(finished.out, "x-v: 1\n"));
  CHECK(has(finished.out, "x-v absent\n"));
  const Finished json = sluice.command({"cache", "get", "--json", url_of("/stale")});
  CHECK(Json::parse(json.out)["entries"].size() == 1);
  CHECK(origin.requests().size() == 3);
}

TEST_CASE("e2e/cache get: why there is nothing") {
  Origin origin([](OriginConn& c) {
    c.serve([](const Message& request) {
      const int status = request.target == "/500" ? 500 : 200;
      return answer(status, "b", request.target == "/500" ? "" : "Cache-Control: no-store\r\n");
    });
  });
  Sluice sluice(kCached, values(origin));
  const auto why = [&](const std::string& path, const std::string& more = "") {
    const Json answer = look(sluice, url_of(path), more);
    CHECK(answer["entries"].empty());
    return answer["answer"]["result"].get<std::string>() + " " +
           answer["answer"]["why"].get<std::string>();
  };
  CHECK(why("/never") == "miss absent");
  ask(sluice, "/no");
  ask(sluice, "/500");
  CHECK(why("/no") == "miss no-store");
  CHECK(why("/500") == "miss no-freshness");
  CHECK(why("/plain") == "none no-cache");
  CHECK(why("/text") == "none no-cache");
  CHECK(why("/no", "&header=Upgrade:%20x") == "bypass request");
  const Finished finished = sluice.command({"cache", "get", url_of("/no")});
  CHECK(finished.exit_code == 0);
  CHECK(has(finished.out, "answer  miss (no-store): the last response was not stored: "));
  CHECK(has(finished.out, "\nmemory  0 stored\n"));
  for (const char* query : {"", "?url=", "?url=x", "?url=%zz", "?url=http://t/&b=1", "?pretty"}) {
    CHECK(sluice.admin("GET", std::string("/api/v1/cache") + query).status == 400);
  }
}

TEST_CASE("e2e/cache get: hits and misses by route, in status, metrics and on the dashboard") {
  Origin origin(numbered(kFresh));
  Sluice sluice(kCached, values(origin));
  for (int i = 0; i < 4; ++i) ask(sluice, "/x");
  ask(sluice, "/reads");
  ask(sluice, "/plain");
  const std::string family = "sluice_cache_route_requests_total";
  CHECK(sluice.reaches(family, "route=\"all\",result=\"hit\"", 3));
  CHECK(sluice.reaches(family, "route=\"reads\",result=\"miss\"", 1));
  const Json routes = sluice.status()["cache"]["routes"];
  REQUIRE(routes.size() == 2);
  for (const Json& route : routes) {
    const bool is_all = route["name"] == "all";
    CHECK(route["hits"] == (is_all ? 3 : 0));
    CHECK(route["misses"] == 1);
    CHECK(route["hit_ratio"] == (is_all ? 0.75 : 0.0));
  }
  CHECK(has(sluice.command({"status"}).out, "75.0 %"));
  CHECK(has(sluice.admin("GET", "/").body, "cache hits"));
}

TEST_CASE("e2e/cache_purge: an unsafe method reaches what a route strips, sorts or leaves out") {
  Origin origin(numbered(kFresh));
  Sluice sluice(R"(
workers: 1
pools:
  app: {endpoints: [{address: "@a", name: a}], health: {type: off}, retry: {attempts: 1}}
routes:
  - {match: {path: /plain}, pool: app}
  - {match: {path: /sorted}, pool: app, cache: {key: {sort_query: true}}}
  - {match: {path: /api, method: [GET]}, strip_prefix: /api, pool: app, cache: {key: {query: {only: [q]}}}}
  - {match: {path: /}, pool: app}
)",
                values(origin));
  for (const char* path : {"/sorted?b=1&a=2", "/api/x?q=1&utm=7", "/api/y"}) {
    CAPTURE(path);
    const std::string before = ask(sluice, path).body;
    CHECK(ask(sluice, path).body == before);
    CHECK(ask(sluice, "/plain/other", "Content-Length: 0\r\n", "POST").status == 200);
    CHECK(ask(sluice, path).body == before);
    CHECK(ask(sluice, path, "Content-Length: 0\r\n", "POST").status == 200);
    CHECK(ask(sluice, path).body != before);
  }
}
