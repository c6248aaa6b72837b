// A path that others could read differently than we do must not slip past a route; a stripped one
// must not become the address of another host.
#include "tests/e2e/harness/e2e.h"

using namespace e2e;

namespace {

constexpr const char* kGuarded = R"(
pools:
  app: {endpoints: [{address: "@a", name: a}], health: {type: off}}
routes:
  - {match: {path: /admin}, respond: {status: 403, body: "not for you"}}
  - {match: {path: /}, pool: app}
)";

void serve_ok(OriginConn& c) {
  c.serve([](const Message&) { return answer(200, "ok"); });
}

}  // namespace

TEST_CASE("e2e/regress: a path that climbs in a way that readers disagree on is 400") {
  Origin origin(serve_ok);
  Sluice sluice(kGuarded, {{"a", origin.address()}});
  const uint16_t port = sluice.port();
  for (const std::string path : {
           "/public//../admin",       // are "//" one slash or an empty segment?
           "/public/..%2fadmin",      // is it decoded before the segments are told apart?
           "/public/..%2Fadmin",      //
           "/public/%2e%2e%2fadmin",  //
           "/public/..%5cadmin",      // is a backslash a slash?
           "/x/..;/admin",            // does a parameter belong to the segment's name?
           "/x/%2e%2e;v=1/admin",     //
       }) {
    CAPTURE(path);
    const Message response = get(port, path);
    CHECK(response.status == 400);
    CHECK(response.field("Proxy-Status").find("details=\"bad_target\"") != std::string::npos);
  }
  CHECK(origin.connections() == 0);
}

TEST_CASE("e2e/regress: what only looks a little like it passes, byte for byte") {
  Origin origin(serve_ok);
  Sluice sluice(kGuarded, {{"a", origin.address()}});
  const uint16_t port = sluice.port();
  size_t count = 0;
  for (const std::string path :
       {"/a/..b/c", "/a%2fb", "/a/...;v=1", "/a//b", "/a;v=1/b", "/a/b?x=../..%2fadmin"}) {
    CAPTURE(path);
    CHECK(get(port, path).status == 200);
    CHECK(origin.request(count++).target == path);
  }
  for (const std::string path :
       {"/admin", "/admin/x", "/public/../admin", "/public/%2e%2e/admin"}) {
    CAPTURE(path);
    CHECK(get(port, path).status == 403);
  }
  CHECK(origin.requests().size() == count);
}

TEST_CASE("e2e/regress: a stripped path does not begin with two slashes") {
  Origin origin(serve_ok);
  Sluice sluice(R"(
pools:
  app: {endpoints: [{address: "@a", name: a}], health: {type: off}}
routes:
  - {match: {path: /api}, pool: app, strip_prefix: /api}
)",
                {{"a", origin.address()}});
  const uint16_t port = sluice.port();
  CHECK(get(port, "/api//evil.example/x").status == 200);
  CHECK(origin.request(0).target == "/evil.example/x");
  CHECK(get(port, "/api/a//b?c=//d").status == 200);
  CHECK(origin.request(1).target == "/a//b?c=//d");
}
