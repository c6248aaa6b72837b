// What a client that speaks HTTP/1.0 gets, and what its endpoint sees of it.
#include "tests/e2e/harness/e2e.h"

using namespace e2e;

namespace {

constexpr const char* kOnePool = R"(
access_log: {path: "@log", format: @format}
pools:
  app: {endpoints: [{address: "@a", name: shop}], health: {type: off}}
)";

}  // namespace

TEST_CASE("e2e/regress: without Host the endpoint gets its address as Host, not its name") {
  Origin origin([](OriginConn& c) { c.serve([](const Message&) { return answer(200, "ok"); }); });
  TempDir dir;
  Sluice sluice(kOnePool,
                {{"a", origin.address()}, {"log", dir.path("access.log")}, {"format", "json"}});
  Wire client = Wire::to_port(sluice.port());
  client.send("GET / HTTP/1.0\r\n\r\n");
  CHECK(client.read_response().body == "ok");
  CHECK(origin.request(0).field("Host") == origin.address());
  Wire other = Wire::to_port(sluice.port());
  other.send("GET / HTTP/1.0\r\nHost: given.example\r\n\r\n");
  CHECK(other.read_response().body == "ok");
  CHECK(origin.request(1).field("Host") == "given.example");
}

TEST_CASE("e2e/regress: the combined log tells the client's version") {
  SimpleOrigin origin;
  TempDir dir;
  Sluice sluice(kOnePool,
                {{"a", origin.address()}, {"log", dir.path("access.log")}, {"format", "combined"}});
  Wire old = Wire::to_port(sluice.port());
  old.send("GET /old HTTP/1.0\r\nHost: test\r\n\r\n");
  CHECK(old.read_response().status == 200);
  CHECK(get(sluice.port(), "/new").status == 200);
  sluice.stop();
  const std::string log = read_file(dir.path("access.log"));
  CAPTURE(log);
  CHECK(log.find("\"GET /old HTTP/1.0\" 200 5 ") != std::string::npos);
  CHECK(log.find("\"GET /new HTTP/1.1\" 200 5 ") != std::string::npos);
}

TEST_CASE("e2e/regress: a proxy keeps no connection of an HTTP/1.0 client (RFC 9112 9.3)") {
  SimpleOrigin origin;
  TempDir dir;
  Sluice sluice(kOnePool,
                {{"a", origin.address()}, {"log", dir.path("access.log")}, {"format", "json"}});
  Wire client = Wire::to_port(sluice.port());
  client.send("GET / HTTP/1.0\r\nHost: test\r\nConnection: keep-alive\r\n\r\n");
  const Message response = client.read_response();
  CHECK(response.body == "hello");
  CHECK(lower(response.field("Connection")).find("keep-alive") == std::string::npos);
  REQUIRE(client.is_readable(seconds(2)));  // the end; an idle connection would stay for a minute
  client.expect_close();
}
