// A client that waits for 100 (Continue) waits for the endpoint (RFC 9110 10.1.1): the deadline
// that runs meanwhile is the endpoint's, not the client's.
#include "tests/e2e/harness/e2e.h"

using namespace e2e;

namespace {

constexpr const char* kTimeouts = R"(
listeners: [{name: web, bind: "127.0.0.1:0", timeouts: {body: @body}}]
pools:
  app:
    endpoints: [{address: "@a", name: a}]
    health: {type: off}
    timeouts: {first_byte: @first}
)";

const std::string kExpecting =
    request_text("/", "Expect: 100-continue\r\nContent-Length: 3\r\n", "PUT");

void expect_late_endpoint(const std::string& body, const std::string& first_byte) {
  CAPTURE(body);
  Origin origin([](OriginConn& c) {
    CHECK(c.expect_head().field("Expect") == "100-continue");
    CHECK(c.wait_for_end() != Ending::timeout);
  });
  Sluice sluice(kTimeouts, {{"a", origin.address()}, {"body", body}, {"first", first_byte}});
  Wire client = Wire::to_port(sluice.port());
  client.send(kExpecting);
  const Message response = client.read_response();
  CHECK(response.status == 504);
  CHECK(response.field("Proxy-Status").find("details=\"header_timeout\"") != std::string::npos);
  CHECK(sluice.log(1)[0].at("reason") == "header_timeout");
  CHECK(sluice.endpoint("app", "a").at("failures") == 1);
}

}  // namespace

TEST_CASE("e2e/regress: an endpoint that never answers Expect is late, not its client") {
  SUBCASE("first_byte is shorter than the client's body timeout") {
    expect_late_endpoint("2s", "250ms");
  }
  SUBCASE("the client's body timeout is shorter") { expect_late_endpoint("150ms", "600ms"); }
}

TEST_CASE("e2e/regress: a client may wait for 100 longer than its body timeout") {
  Origin origin([](OriginConn& c) {
    c.expect_head();
    CHECK_FALSE(c.is_readable(milliseconds(600)));
    c.send("HTTP/1.1 100 Continue\r\n\r\n");
    CHECK(c.read_exactly(3) == "abc");
    c.reply("got it");
    c.wait_for_end();
  });
  Sluice sluice(kTimeouts, {{"a", origin.address()}, {"body", "200ms"}, {"first", "5s"}});
  Wire client = Wire::to_port(sluice.port());
  client.send(kExpecting);
  REQUIRE(client.read_response().status == 100);
  client.send("abc");
  CHECK(client.read_response().body == "got it");
}

TEST_CASE("e2e/regress: after 100 the body is the client's to send in time") {
  Origin origin([](OriginConn& c) {
    c.expect_head();
    c.send("HTTP/1.1 100 Continue\r\n\r\n");
    CHECK(c.wait_for_end() != Ending::timeout);
  });
  Sluice sluice(kTimeouts, {{"a", origin.address()}, {"body", "200ms"}, {"first", "400ms"}});
  Wire client = Wire::to_port(sluice.port());
  client.send(kExpecting);
  REQUIRE(client.read_response().status == 100);
  const Message response = client.read_response();
  CHECK(response.status == 408);
  CHECK(response.field("Proxy-Status").find("details=\"body_timeout\"") != std::string::npos);
  CHECK(sluice.endpoint("app", "a").at("failures") == 0);
}
