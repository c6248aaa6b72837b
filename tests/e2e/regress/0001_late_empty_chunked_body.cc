// A request without bytes is not always a request without body: what is chunked ends when it ends.
#include "tests/e2e/harness/e2e.h"

using namespace e2e;

TEST_CASE("e2e/regress: an empty chunked body that ends late still gets the endpoint's answer") {
  Origin origin([](OriginConn& c) {
    c.serve([&](const Message& r) {
      CHECK_FALSE(c.is_readable(milliseconds(100)));  // it takes a while, and may
      return answer(200, "after " + r.method);
    });
  });
  Sluice sluice(R"(
workers: 1
pools:
  app:
    endpoints: [{address: "@a", name: a}]
    health: {type: off}
    timeouts: {first_byte: 400ms}
)",
                {{"a", origin.address()}});
  Wire client = Wire::to_port(sluice.port());
  client.send(request_text());  // leaves a connection to the endpoint for the next one
  REQUIRE(client.read_response().body == "after GET");
  client.send(request_text("/", "Transfer-Encoding: chunked\r\n", "PUT"));
  CHECK_FALSE(client.is_readable(milliseconds(600)));  // over first_byte: not the endpoint's turn
  client.send("0\r\n\r\n");
  const Message response = client.read_response();
  CHECK(response.status == 200);
  CHECK(response.body == "after PUT");
  CHECK(origin.connections() == 1);
}
