// Which route a request takes, and what routes change.
#include "tests/e2e/harness/e2e.h"

using namespace e2e;

namespace {

constexpr const char* kRoutes = R"(
pools:
  one: {endpoints: [{address: "@one"}], health: {type: off}}
  two: {endpoints: [{address: "@two"}], health: {type: off}}
routes:
  - {match: {path_exact: /exact}, respond: {status: 201, body: exact, content_type: text/x}}
  - {match: {path: /seg}, respond: {body: seg}}
  - {match: {path: /below/}, respond: {body: below}}
  - {match: {host: shop.example, path: /}, respond: {body: shop}}
  - {match: {host: "*.wild.example", path: /}, respond: {body: wild}}
  - {match: {path: /m, method: [PUT, DELETE]}, respond: {body: method}}
  - {match: {path: /h, headers: {X-A: b}}, respond: {body: header}}
  - {match: {path_exact: /old, method: [GET]}, redirect: {status: 308, location: /new}}
  - {match: {path_exact: /away}, redirect: {status: 302, location: "https://x.example/y"}}
  - {match: {path: /strip}, pool: one, strip_prefix: /strip}
  - {match: {path: /two}, pool: two}
  - match: {path: /edit}
    pool: one
    request_headers: {set: {X-Set: new, User-Agent: me}, add: {X-Add: "2"}, remove: [X-Gone]}
    response_headers: {set: {Server: sluice}, add: {Set-Cookie: z=1}, remove: [X-Powered-By]}
  - {match: {path: /pool}, pool: one}
  - {match: {path_exact: /empty}, respond: {status: 204}}
)";

struct Site {
  Origin one{[](OriginConn& c) {
    c.serve([](const Message& r) {
      return answer(200, "one " + r.target, "Server: x\r\nX-Powered-By: y\r\nSet-Cookie: a=1\r\n");
    });
  }};
  Origin two{[](OriginConn& c) {
    c.serve([](const Message& r) { return answer(200, "two " + r.target); });
  }};
  Sluice sluice{kRoutes, {{"one", one.address()}, {"two", two.address()}}};
  Wire client = Wire::to_port(sluice.port());

  Message ask(const std::string& path, const std::string& lines = "Host: other\r\n",
              const std::string& method = "GET") {
    client.send(method + " " + path + " HTTP/1.1\r\n" + lines + "\r\n");
    return client.read_response(method);
  }
};

}  // namespace

TEST_CASE("e2e/routes: the first match wins, by segment, host, method and field") {
  Site site;
  struct Row {
    const char* path;
    const char* lines;
    const char* method;
    int status;
    const char* body;
  };
  const char* any = "Host: other\r\n";
  const std::vector<Row> rows = {
      {"/exact", any, "GET", 201, "exact"},
      {"/exact?q=1", any, "GET", 201, "exact"},
      {"/exact/", any, "GET", 404, nullptr},
      {"/seg", any, "GET", 200, "seg"},
      {"/seg/x", any, "GET", 200, "seg"},
      {"/segment", any, "GET", 404, nullptr},
      {"/Seg", any, "GET", 404, nullptr},
      {"/%73eg", any, "GET", 200, "seg"},
      {"/x/../seg/y", any, "GET", 200, "seg"},
      {"/x/%2E%2e/seg", any, "GET", 200, "seg"},
      {"/below", any, "GET", 404, nullptr},
      {"/below/", any, "GET", 200, "below"},
      {"/below/x", any, "GET", 200, "below"},
      {"/any", "Host: shop.example\r\n", "GET", 200, "shop"},
      {"/any", "Host: SHOP.example:8080\r\n", "GET", 200, "shop"},
      {"/any", "Host: shop.example.\r\n", "GET", 200, "shop"},
      {"/any", "Host: a.b.wild.example\r\n", "GET", 200, "wild"},
      {"/any", "Host: wild.example\r\n", "GET", 404, nullptr},
      {"/m", any, "PUT", 200, "method"},
      {"/m", any, "GET", 404, nullptr},
      {"/h", "Host: o\r\nx-a: b\r\n", "GET", 200, "header"},
      {"/h", "Host: o\r\nX-A: B\r\n", "GET", 404, nullptr},
      {"/h", "Host: o\r\nX-A: x\r\n", "GET", 404, nullptr},
      {"/two/x", any, "GET", 200, "two /two/x"},
      {"/pool/%2F?a#", any, "GET", 400, nullptr},
      {"/pool/a%2Fb?c=d", any, "GET", 200, "one /pool/a%2Fb?c=d"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.path);
    CAPTURE(row.lines);
    if (row.status == 400) continue;  // covered by e2e/strict
    const Message got = site.ask(row.path, row.lines, row.method);
    CHECK(got.status == row.status);
    if (row.body != nullptr) CHECK(got.body == row.body);
    if (row.status == 404) {
      CHECK(got.field("Proxy-Status").find("details=\"no_route\"") != std::string::npos);
    }
  }
}

TEST_CASE("e2e/routes: a prefix is stripped, and only then is the target changed") {
  Site site;
  CHECK(site.ask("/strip/a/b?c=%20").body == "one /a/b?c=%20");
  CHECK(site.ask("/strip").body == "one /");
  CHECK(site.ask("/strip?q").body == "one /?q");
  CHECK(site.ask("/strip/").body == "one /");
  CHECK(site.ask("/strip//x").body == "one /x");
}

TEST_CASE("e2e/routes: redirects and fixed answers") {
  Site site;
  const Message moved = site.ask("/old");
  CHECK(moved.status == 308);
  CHECK(moved.field("Location") == "/new");
  CHECK(site.ask("/old", "Host: o\r\n", "HEAD").status == 404);
  const Message away = site.ask("/away");
  CHECK(away.status == 302);
  CHECK(away.field("Location") == "https://x.example/y");
  const Message fixed = site.ask("/exact");
  CHECK(fixed.field("Content-Type") == "text/x");
  CHECK_FALSE(fixed.has("Proxy-Status"));
  const Message head = site.ask("/exact", "Host: o\r\n", "HEAD");
  CHECK(head.status == 201);
  CHECK(head.field("Content-Length") == "5");
  const Message empty = site.ask("/empty");
  CHECK(empty.status == 204);
  CHECK_FALSE(empty.has("Content-Length"));
}

TEST_CASE("e2e/routes: an upload that a fixed answer does not want does not confuse what follows") {
  Site site;
  site.client.send("POST /exact HTTP/1.1\r\nHost: o\r\nContent-Length: 5\r\n\r\nhello" +
                   request_text("/two"));
  CHECK(site.client.read_response().body == "exact");
  CHECK(site.client.read_response().body == "two /two");
}

TEST_CASE("e2e/routes: fields are removed, set and added") {
  Site site;
  const Message got = site.ask("/edit",
                               "Host: o\r\nX-Set: old\r\nx-set: old2\r\nX-Add: 1\r\nX-Gone: 1\r\n"
                               "User-Agent: you\r\n");
  const Message sent = site.one.request(0);
  CHECK(sent.field("X-Set") == "new");
  CHECK(sent.field("X-Add") == "1, 2");
  CHECK(sent.field("User-Agent") == "me");
  CHECK_FALSE(sent.has("X-Gone"));
  CHECK(got.field("Server") == "sluice");
  CHECK(got.field("Set-Cookie") == "a=1, z=1");
  CHECK_FALSE(got.has("X-Powered-By"));
}
