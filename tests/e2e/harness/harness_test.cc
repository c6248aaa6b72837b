// The harness judged by itself: a client of it against an origin of it.
#include "tests/e2e/harness/e2e.h"

using namespace e2e;

TEST_CASE("e2e/harness: a scripted origin and a raw client see each other's bytes") {
  Origin origin([](OriginConn& c) {
    const Message request = c.expect_request();
    c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: " +
           request.target + "\r\n\r\n");
  });
  Wire client = Wire::to_port(origin.port());
  client.send_split("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
  const Message response = client.read_response();
  CHECK(response.status == 200);
  CHECK(response.body == "abc");
  CHECK(response.complete);
  REQUIRE(response.trailers.size() == 1);
  CHECK(response.trailers[0].value == "/x");
  client.expect_close();
  CHECK(origin.request(0).body == "hi");
  CHECK(origin.request(0).names() == "Host,Content-Length");
}

TEST_CASE("e2e/harness: a short body is not complete") {
  Origin origin([](OriginConn& c) {
    c.expect_request();
    c.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort");
  });
  const Message response = get(origin.port());
  CHECK_FALSE(response.complete);
  CHECK(response.body == "short");
}

TEST_CASE("e2e/harness: what goes wrong in a script is told") {
  Origin origin([](OriginConn& c) {
    c.expect_request();
    throw Failure("on purpose");
  });
  origin.ignore_failures();
  Wire client = Wire::to_port(origin.port());
  client.send(request_text());
  client.expect_close();
  CHECK(origin.failures().find("on purpose") != std::string::npos);
}

TEST_CASE("e2e/harness: a simple origin answers, dies and comes back") {
  SimpleOrigin origin("me", "body");
  CHECK(get(origin.port()).field("X-Origin") == "me");
  origin.set_delay(milliseconds(20));
  CHECK(time_of([&] { get(origin.port()); }) >= milliseconds(20));
  const Finished fetched = curl({"http://" + origin.address() + "/x"});
  CHECK(fetched.out == "body");
  origin.stop();
  CHECK_THROWS_AS(get(origin.port()), Failure);
  origin.start();
  CHECK(get(origin.port()).body == "body");
  CHECK(origin.requests() == 4);
}

TEST_CASE("e2e/harness: wrk's summary is read") {
  const Load load = parse_wrk(
      "  1234 requests in 5.00s, 1MB read\n  Socket errors: connect 1, read 2, write 3, timeout 4\n"
      "  Non-2xx or 3xx responses: 5\n");
  CHECK(load.requests == 1234);
  CHECK(load.errors() == 15);
  SimpleOrigin origin;
  const Load real = Wrk("http://" + origin.address() + "/", 4, seconds(1)).finish();
  CHECK(real.requests > 10);
  CHECK(real.errors() == 0);
}
