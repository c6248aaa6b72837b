// Each limit and each timeout, with its status and its reason.
#include "tests/e2e/harness/e2e.h"

using namespace e2e;

namespace {

std::string listener(const std::string& more) {
  return "listeners: [{name: web, bind: \"127.0.0.1:0\", " + more + "}]\n";
}

constexpr const char* kPool = R"(
pools:
  app:
    endpoints: [{address: "@a", name: a}]
    health: {type: off}
    retry: {attempts: 1}
)";

std::string pool(const std::string& more) { return std::string(kPool) + "    " + more + "\n"; }

void check_reason(const Message& response, int status, const std::string& token) {
  CHECK(response.status == status);
  CAPTURE(response.field("Proxy-Status"));
  CHECK(response.field("Proxy-Status").find("details=\"" + token + "\"") != std::string::npos);
}

void serve_ok(OriginConn& c) {
  c.serve([](const Message&) { return answer(200, "ok"); });
}

// The refusal, the close and the counter; the origin sees nothing.
void refuse(const std::string& limits, const std::string& request, int status,
            const std::string& token) {
  Origin origin(serve_ok);
  Sluice sluice(listener(limits) + kPool, {{"a", origin.address()}});
  Wire client = Wire::to_port(sluice.port());
  client.send(request);
  check_reason(client.read_response(), status, token);
  client.expect_close();
  CHECK(origin.connections() == 0);
  CHECK(sluice.reaches("sluice_errors_total", "reason=\"" + token + "\"", 1));
  const Json line = sluice.log(1)[0];
  CHECK(line.at("status") == status);
  CHECK(line.at("reason") == token);
  CHECK(get(sluice.port()).body == "ok");
}

}  // namespace

// Limits ------------------------------------------------------------------------------------------

TEST_CASE("e2e/limits: 414 for a long target, 431 for a large head or many fields") {
  refuse("limits: {target: 128B}", request_text("/" + repeat("a", 128)), 414, "target_too_long");
  refuse("limits: {head: 1KiB}", request_text("/", "A: " + repeat("a", 1024) + "\r\n"), 431,
         "header_too_large");
  refuse("limits: {fields: 4}", request_text("/", repeat("A: b\r\n", 4)), 431, "too_many_fields");
}

TEST_CASE("e2e/limits: what is just within them passes") {
  Origin origin(serve_ok);
  Sluice sluice(listener("limits: {target: 128B, fields: 4, body: 10B}") + kPool,
                {{"a", origin.address()}});
  CHECK(get(sluice.port(), "/" + repeat("a", 127)).status == 200);
  CHECK(get(sluice.port(), "/", repeat("A: b\r\n", 3)).status == 200);
  Wire client = Wire::to_port(sluice.port());
  client.send(request_text("/", "Content-Length: 10\r\n", "PUT") + "0123456789");
  CHECK(client.read_response().status == 200);
}

TEST_CASE("e2e/limits: 413 for a body over its limit") {
  refuse("limits: {body: 10B}", request_text("/", "Content-Length: 11\r\n", "PUT"), 413,
         "body_too_large");
  refuse("limits: {body: 10B}",
         request_text("/", "Transfer-Encoding: chunked\r\n", "PUT") + "b\r\n01234567890\r\n", 413,
         "body_too_large");
}

TEST_CASE("e2e/limits: 413 in the middle of chunks, and the endpoint never sees an end") {
  Gate begun;
  Origin origin([&](OriginConn& c) {
    c.expect_head();
    c.read_exactly(10);
    begun.open();
    CHECK(c.wait_for_end() != Ending::timeout);
    CHECK(c.rest().find("\r\n0\r\n") == std::string::npos);
  });
  Sluice sluice(listener("limits: {body: 10B}") + kPool, {{"a", origin.address()}});
  Wire client = Wire::to_port(sluice.port());
  client.send(request_text("/", "Transfer-Encoding: chunked\r\n", "PUT") + "5\r\n01234\r\n");
  begun.wait();
  client.send("6\r\n012345\r\n0\r\n\r\n");
  check_reason(client.read_response(), 413, "body_too_large");
  client.expect_close();
}

TEST_CASE("e2e/limits: connections over the limit get 503 and a close; freed places are used") {
  const auto check = [](const std::string& limits) {
    Origin origin(serve_ok);
    Sluice sluice(listener(limits) + kPool, {{"a", origin.address()}});
    const uint16_t port = sluice.port();
    Wire first = Wire::to_port(port), second = Wire::to_port(port);
    sluice.wait_for_value("sluice_listener_connections", "listener=\"web\"", 2);
    Wire third = Wire::to_port(port);
    const Message refused = third.read_response();
    check_reason(refused, 503, "too_many_connections");
    CHECK(refused.has("Retry-After"));
    third.expect_close();
    CHECK(sluice.reaches("sluice_connections_refused_total", "", 1));
    first.close();
    CHECK(eventually([&] { return sluice.status()["listeners"][0]["connections"] == 1; }));
    CHECK(get(port).body == "ok");
    second.send(request_text());
    CHECK(second.read_response().body == "ok");
  };
  SUBCASE("of the listener") { check("limits: {connections: 2}"); }
  SUBCASE("of one address") { check("limits: {per_address: 2}"); }
}

// Timeouts of clients -----------------------------------------------------------------------------

TEST_CASE("e2e/timeouts: 408 for a head that does not come whole, however it trickles") {
  Origin origin(serve_ok);
  Sluice sluice(listener("timeouts: {head: 200ms}") + kPool, {{"a", origin.address()}});
  Wire client = Wire::to_port(sluice.port());
  SUBCASE("stopped") { client.send("GET / HTTP/1.1\r\nHost: a\r\n"); }
  SUBCASE("trickling") {
    client.send("GET / HTTP/1.1\r\nHost: a\r\nA: ");
    while (!client.is_readable(milliseconds(20))) client.send("b");
  }
  SUBCASE("the second one of a connection") {
    client.send(request_text() + "GET /");
    CHECK(client.read_response().body == "ok");
  }
  check_reason(client.read_response(), 408, "head_timeout");
  client.expect_close();
}

TEST_CASE("e2e/timeouts: 408 for a body that stalls, and the endpoint sees no end") {
  Origin origin([](OriginConn& c) {
    c.expect_head();
    CHECK(c.read_exactly(3) == "abc");
    CHECK(c.wait_for_end() != Ending::timeout);
    CHECK(c.rest().empty());
  });
  Sluice sluice(listener("timeouts: {body: 150ms}") + kPool, {{"a", origin.address()}});
  Wire client = Wire::to_port(sluice.port());
  client.send(request_text("/", "Content-Length: 9\r\n", "PUT") + "abc");
  check_reason(client.read_response(), 408, "body_timeout");
  client.expect_close();
}

TEST_CASE("e2e/timeouts: a slow but steady body is not cut") {
  Origin origin(
      [](OriginConn& c) { c.serve([](const Message& r) { return answer(200, r.body); }); });
  Sluice sluice(listener("timeouts: {body: 600ms}") + kPool, {{"a", origin.address()}});
  Wire client = Wire::to_port(sluice.port());
  client.send(request_text("/", "Content-Length: 12\r\n", "PUT"));
  for (int i = 0; i < 12; ++i) {
    CHECK_FALSE(client.is_readable(milliseconds(80)));
    client.send("x");
  }
  CHECK(client.read_response().body == repeat("x", 12));
}

TEST_CASE("e2e/timeouts: idle connections close without a word") {
  Origin origin(serve_ok);
  Sluice sluice(listener("timeouts: {idle: 100ms, head: 100ms}") + kPool,
                {{"a", origin.address()}});
  Wire used = Wire::to_port(sluice.port());
  used.send(request_text());
  CHECK(used.read_response().body == "ok");
  used.expect_close();
  Wire unused = Wire::to_port(sluice.port());
  unused.expect_close();
  sluice.wait_for_value("sluice_connections_closed_total", "reason=\"idle\"", 2);
  CHECK(sluice.log(1).size() == 1);
}

TEST_CASE("e2e/timeouts: a client that does not read its answer is let go") {
  Origin origin([](OriginConn& c) {
    c.expect_request();
    c.send("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
    c.try_send(std::string(100'000'000, 'x'));
  });
  Sluice sluice(listener("timeouts: {body: 200ms}") + kPool, {{"a", origin.address()}});
  Wire client = Wire::to_port(sluice.port());
  client.send(request_text());
  CHECK(sluice.log(1)[0].at("reason") == "client_stalled");
  CHECK(client.discard(100'000'000) < 100'000'000);
}

// Timeouts of endpoints ---------------------------------------------------------------------------

TEST_CASE("e2e/timeouts: 504 when an endpoint does not take the connection") {
  Listening full = listen_on_loopback(0);
  std::vector<Wire> fillers;
  // The first fills the queue; then the kernel drops what asks to connect.
  fillers.push_back(Wire::to_port(full.port));
  Sluice sluice(pool("timeouts: {connect: 150ms}"),
                {{"a", "127.0.0.1:" + std::to_string(full.port)}});
  Message response;
  const auto took = time_of([&] { response = get(sluice.port()); });
  check_reason(response, 504, "connect_timeout");
  CHECK(response.field("Proxy-Status").find("error=connection_timeout") != std::string::npos);
  CHECK(took >= milliseconds(140));
  CHECK(sluice.reaches("sluice_upstream_connect_failures_total", "", 1));
}

TEST_CASE("e2e/timeouts: 504 when no answer begins, and that connection is not used again") {
  Origin origin([](OriginConn& c) {
    c.expect_request();
    if (c.index() == 0) {
      CHECK(c.wait_for_end() != Ending::timeout);
    } else {
      c.reply("second");
    }
  });
  Sluice sluice(pool("timeouts: {first_byte: 150ms}"), {{"a", origin.address()}});
  Wire client = Wire::to_port(sluice.port());
  client.send(request_text());
  const Message response = client.read_response();
  check_reason(response, 504, "header_timeout");
  CHECK(response.field("Proxy-Status").find("error=http_response_timeout") != std::string::npos);
  client.send(request_text());
  CHECK(client.read_response().body == "second");
}

TEST_CASE("e2e/timeouts: the answer of a slow upload is not late before its request is whole") {
  Origin origin(
      [](OriginConn& c) { c.serve([](const Message& r) { return answer(200, r.body); }); });
  Sluice sluice(pool("timeouts: {first_byte: 300ms}"), {{"a", origin.address()}});
  Wire client = Wire::to_port(sluice.port());
  client.send(request_text("/", "Content-Length: 2\r\n", "PUT") + "a");
  CHECK_FALSE(client.is_readable(milliseconds(500)));
  client.send("b");
  CHECK(client.read_response().body == "ab");
}

TEST_CASE("e2e/timeouts: an answer that stalls is cut, not completed") {
  Origin origin([](OriginConn& c) {
    c.expect_request();
    c.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    CHECK(c.wait_for_end() != Ending::timeout);
  });
  Sluice sluice(pool("timeouts: {between_bytes: 150ms}"), {{"a", origin.address()}});
  const Message response = get(sluice.port());
  CHECK(response.status == 200);
  CHECK(response.body == "half");
  CHECK_FALSE(response.complete);
  CHECK(sluice.log(1)[0].at("reason") == "response_stalled");
}

TEST_CASE("e2e/timeouts: an answer head that stalls half way is 504") {
  Origin origin([](OriginConn& c) {
    c.expect_request();
    c.send("HTTP/1.1 200 OK\r\nContent-");
    CHECK(c.wait_for_end() != Ending::timeout);
  });
  Sluice sluice(pool("timeouts: {first_byte: 200ms, between_bytes: 200ms}"),
                {{"a", origin.address()}});
  CHECK(get(sluice.port()).status == 504);
}

TEST_CASE("e2e/timeouts: a slow but steady answer is not cut") {
  Origin origin([](OriginConn& c) {
    c.expect_request();
    c.send("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n");
    for (int i = 0; i < 12; ++i) {
      CHECK_FALSE(c.is_readable(milliseconds(60)));
      c.send("x");
    }
    c.wait_for_end();
  });
  Sluice sluice(pool("timeouts: {first_byte: 400ms, between_bytes: 400ms}"),
                {{"a", origin.address()}});
  CHECK(get(sluice.port()).body == repeat("x", 12));
}

TEST_CASE("e2e/timeouts: 504 when an endpoint does not read the request") {
  Gate done;
  Origin origin([&](OriginConn& c) {
    c.expect_head();
    done.wait();
  });
  Sluice sluice(pool("timeouts: {between_bytes: 200ms}"), {{"a", origin.address()}});
  Wire client = Wire::to_port(sluice.port());
  client.send(request_text("/", "Content-Length: 100000000\r\n", "PUT"));
  while (!client.is_readable(milliseconds(0)) && client.try_send(repeat("x", 65536))) {
  }
  check_reason(client.read_response(), 504, "send_stalled");
  done.open();
}

TEST_CASE("e2e/timeouts: unused connections to endpoints are closed after their idle time") {
  Gate closed;
  Origin origin([&](OriginConn& c) {
    c.expect_request();
    c.reply("ok");
    CHECK(c.wait_for_end() == Ending::eof);
    closed.open();
  });
  Sluice sluice(pool("timeouts: {idle: 100ms}"), {{"a", origin.address()}});
  CHECK(get(sluice.port()).body == "ok");
  closed.wait();
  CHECK(sluice.reaches("sluice_upstream_connections_idle", "", 0));
}

TEST_CASE(
    "e2e/limits: a full endpoint has its requests wait; queue full and queue timeout are 503") {
  SimpleOrigin origin;
  origin.set_delay(milliseconds(10'000));
  Sluice sluice(pool("max_in_flight: 1\n    queue: {size: 1, timeout: 300ms}"),
                {{"a", origin.address()}});
  Wire first = Wire::to_port(sluice.port());
  first.send(request_text());
  CHECK(eventually([&] { return origin.requests() == 1; }));
  Wire second = Wire::to_port(sluice.port());
  second.send(request_text());
  sluice.wait_for_value("sluice_queue_waits_total", "", 1);
  const Message full = get(sluice.port());
  check_reason(full, 503, "queue_full");
  CHECK(full.has("Retry-After"));
  const Message late = second.read_response();
  check_reason(late, 503, "queue_timeout");
  CHECK(late.has("Retry-After"));
  CHECK(late.field("Connection") != "close");
  const auto lines = sluice.log(2);
  CHECK(lines[1].at("queue_ms").get<double>() >= 290);
  CHECK(origin.requests() == 1);
}
