// When a request is sent again, to whom, and when not.
#include "tests/e2e/harness/e2e.h"

using namespace e2e;

namespace {

// "@more" takes what a test adds to the pool.
constexpr const char* kTwo = R"(
workers: 1
pools:
  app:
    endpoints: [{address: "@a", name: a}, {address: "@b", name: b}]
    health: {type: off}
    outlier: {failures: 0}
    @more
)";

void serve_503(OriginConn& c) {
  c.serve([](const Message&) { return answer(503, "busy"); });
}

void serve_body(OriginConn& c) {
  c.serve([](const Message& r) { return answer(200, "b:" + r.body); });
}

// Takes one request and goes away.
void drop_request(OriginConn& c) { c.expect_request(); }

Message ask(Sluice& sluice, const std::string& method, const std::string& body = "") {
  Wire client = Wire::to_port(sluice.port());
  client.send(request_text("/", "Content-Length: " + std::to_string(body.size()) + "\r\n", method) +
              body);
  return client.read_response(method);
}

}  // namespace

TEST_CASE("e2e/retry: a refused connection goes to another endpoint, whatever the method") {
  RefusingPort a;
  Origin b(serve_body);
  Sluice sluice(kTwo, {{"a", a.address()}, {"b", b.address()}, {"more", "retry: {budget: 100%}"}});
  for (const std::string method : {"GET", "POST", "DELETE"}) {
    CAPTURE(method);
    CHECK(ask(sluice, method, "x").body == "b:x");
    CHECK(ask(sluice, method, "y").body == "b:y");
  }
  CHECK(sluice.value("sluice_retries_total") >= 3);
  const auto lines = sluice.log(6);
  const auto is_retried = [](const Json& line) { return line.at("attempts") == 2; };
  CHECK(std::count_if(lines.begin(), lines.end(), is_retried) >= 3);
  for (const Json& line : lines) CHECK(line.at("endpoint") == "b");
}

TEST_CASE("e2e/retry: methods that nobody knows are not retried") {
  RefusingPort a;
  Origin b(serve_body);
  Sluice sluice(kTwo, {{"a", a.address()}, {"b", b.address()}, {"more", ""}});
  CHECK(ask(sluice, "BREW").status == 502);
  CHECK(sluice.reaches("sluice_retries_total", "", 0));
}

TEST_CASE("e2e/retry: a connection lost before the answer, for idempotent methods only") {
  Origin a(drop_request), b(serve_body);
  Sluice sluice(kTwo, {{"a", a.address()}, {"b", b.address()}, {"more", ""}});
  CHECK(ask(sluice, "PUT", "again").body == "b:again");  // a, then b with the same body
  CHECK(sluice.reaches("sluice_retries_total", "", 1));
  CHECK(a.requests().size() == 1);
  CHECK(a.request(0).body == "again");
  const std::vector<Message> answers = {ask(sluice, "POST"), ask(sluice, "POST")};
  const bool one_failed = (answers[0].status == 502) != (answers[1].status == 502);
  CHECK(one_failed);
  CHECK(sluice.reaches("sluice_retries_total", "", 1));
  CHECK(a.requests().size() == 2);
}

TEST_CASE("e2e/retry: a 503 is asked of another endpoint; of a POST it is passed on") {
  Origin a(serve_503), b(serve_body);
  Sluice sluice(kTwo, {{"a", a.address()}, {"b", b.address()}, {"more", ""}});
  CHECK(ask(sluice, "GET").status == 200);  // a, then b
  CHECK(a.requests().size() == 1);
  CHECK(sluice.log(1)[0].at("attempts") == 2);
  const Message first = ask(sluice, "POST"), second = ask(sluice, "POST");
  CHECK(((first.status == 503) != (second.status == 503)));
  CHECK((first.body == "busy" || second.body == "busy"));  // theirs, without a Proxy-Status
  CHECK_FALSE((first.has("Proxy-Status") || second.has("Proxy-Status")));
}

TEST_CASE("e2e/retry: the last answer is passed on when all say 503") {
  Origin a(serve_503), b(serve_503);
  Sluice sluice(kTwo, {{"a", a.address()}, {"b", b.address()}, {"more", ""}});
  const Message response = ask(sluice, "GET");
  CHECK(response.status == 503);
  CHECK(response.body == "busy");
  CHECK(a.requests().size() == 1);
  CHECK(b.requests().size() == 1);  // never one that was tried while another is usable
}

TEST_CASE("e2e/retry: what is not listed is not retried, and attempts: 1 means none") {
  Origin a(serve_503), b(serve_503);
  SUBCASE("attempts: 1") {
    Sluice sluice(kTwo, {{"a", a.address()}, {"b", b.address()}, {"more", "retry: {attempts: 1}"}});
    CHECK(ask(sluice, "GET").status == 503);
  }
  SUBCASE("on: [connect]") {
    Sluice sluice(kTwo,
                  {{"a", a.address()}, {"b", b.address()}, {"more", "retry: {on: [connect]}"}});
    CHECK(ask(sluice, "GET").status == 503);
  }
  CHECK(a.requests().size() + b.requests().size() == 1);
}

TEST_CASE("e2e/retry: never after bytes of an answer came") {
  Origin b(serve_body);
  const auto check = [&](const std::string& begin, bool has_head) {
    Origin a([&](OriginConn& c) {
      c.expect_request();
      c.send(begin);
    });
    Sluice sluice(kTwo, {{"a", a.address()}, {"b", b.address()}, {"more", ""}});
    const Message response = ask(sluice, "GET");
    CHECK(response.status == (has_head ? 200 : 502));
    CHECK((!has_head || !response.complete));
    CHECK(sluice.reaches("sluice_retries_total", "", 0));
    CHECK(a.requests().size() == 1);
  };
  check("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", true);
  check("HTTP/1.1 200 OK\r\nContent-Le", false);
  CHECK(b.requests().empty());
}

TEST_CASE("e2e/retry: a body too large to keep is not sent again") {
  Origin a([](OriginConn& c) {
    c.expect_request();
    c.send(answer(503, "busy"));
    c.wait_for_end();
  });
  Origin b(serve_body);
  Sluice sluice(kTwo, {{"a", a.address()}, {"b", b.address()}, {"more", ""}});
  CHECK(ask(sluice, "PUT", repeat("x", 1'000'000)).status == 503);
  CHECK(a.requests().size() == 1);
  CHECK(b.requests().empty());
}

TEST_CASE("e2e/retry: attempts: 3 tries three endpoints") {
  RefusingPort a, b;
  Origin c(serve_body);
  Sluice sluice(R"(
workers: 1
pools:
  app:
    endpoints: [{address: "@a", name: a}, {address: "@b", name: b}, {address: "@c", name: c}]
    health: {type: off}
    retry: {attempts: 3}
)",
                {{"a", a.address()}, {"b", b.address()}, {"c", c.address()}});
  CHECK(ask(sluice, "GET").status == 200);
  CHECK(sluice.log(1)[0].at("attempts") == 3);
  CHECK(sluice.reaches("sluice_retries_total", "", 2));
}

TEST_CASE("e2e/retry: the budget bounds retries to a share of the requests") {
  SimpleOrigin a("a"), b("b");
  a.set_status(503);
  b.set_status(503);
  Sluice sluice(kTwo, {{"a", a.address()}, {"b", b.address()}, {"more", "retry: {budget: 10%}"}});
  Wire client = Wire::to_port(sluice.port());
  constexpr int kRequests = 200;
  const auto took = time_of([&] {
    for (int i = 0; i < kRequests; ++i) {
      client.send(request_text());
      CHECK(client.read_response().status == 503);
    }
  });
  // 10 % of them, or 3 in each second that the test touched.
  const double most = 0.1 * kRequests + 3.0 * (static_cast<double>(took.count()) / 1000.0 + 2);
  const double retries = sluice.value("sluice_retries_total");
  CHECK(retries >= 3);
  CHECK(retries <= most);
  CHECK(sluice.reaches("sluice_retry_budget_exhausted_total", "", kRequests - retries));
  CHECK(a.requests() + b.requests() == kRequests + static_cast<size_t>(retries));
}

// The keep-alive race -----------------------------------------------------------------------------

namespace {

constexpr const char* kOne = R"(
workers: 1
pools:
  app:
    endpoints: [{address: "@a", name: a}]
    health: {type: off}
    retry: {attempts: 1}
)";

// The first connection is closed just when its second request comes.
void close_on_second(OriginConn& c) {
  c.expect_request();
  c.reply("one");
  c.expect_request();
  if (c.index() > 0) c.reply("two");
}

}  // namespace

TEST_CASE("e2e/retry: a request lost to the keep-alive race is sent once more (RFC 9112 9.3.1)") {
  const auto check = [](const std::function<void(OriginConn&)>& lose) {
    Origin origin([&](OriginConn& c) {
      c.expect_request();
      c.reply("one");
      if (c.index() > 0) return;
      c.expect_request();
      lose(c);
    });
    Sluice sluice(kOne, {{"a", origin.address()}});
    CHECK(ask(sluice, "GET").body == "one");
    CHECK(ask(sluice, "PUT", "x").body == "one");
    CHECK(origin.requests().size() == 3);
    CHECK(origin.request(2).body == "x");
    CHECK(sluice.reaches("sluice_keepalive_race_resends_total", "", 1));
    CHECK(sluice.reaches("sluice_retries_total", "", 0));
    CHECK(sluice.log(2)[1].at("attempts") == 1);
  };
  check([](OriginConn& c) { c.close(); });
  check([](OriginConn& c) { c.reset(); });
}

TEST_CASE("e2e/retry: a POST lost to the keep-alive race is not sent again") {
  Origin origin(close_on_second);
  Sluice sluice(kOne, {{"a", origin.address()}});
  CHECK(ask(sluice, "GET").body == "one");
  CHECK(ask(sluice, "POST", "x").status == 502);
  CHECK(origin.requests().size() == 2);
  CHECK(sluice.reaches("sluice_keepalive_race_resends_total", "", 0));
}

TEST_CASE("e2e/retry: a resend is done once; on a fresh connection a loss is a loss") {
  Origin origin([](OriginConn& c) {
    c.expect_request();
    if (c.index() > 0) return;
    c.reply("one");
    c.expect_request();
  });
  Sluice sluice(kOne, {{"a", origin.address()}});
  CHECK(ask(sluice, "GET").body == "one");
  const Message lost = ask(sluice, "GET");
  CHECK(lost.status == 502);
  CHECK(lost.field("Proxy-Status").find("reset_before_headers") != std::string::npos);
  CHECK(origin.requests().size() == 3);
}

TEST_CASE("e2e/retry: a connection that its endpoint closed while idle is not used") {
  Gate may_close;
  Origin origin([&](OriginConn& c) {
    c.expect_request();
    c.reply("ok");
    may_close.wait();
  });
  Sluice sluice(kOne, {{"a", origin.address()}});
  CHECK(ask(sluice, "POST").body == "ok");
  sluice.wait_for_value("sluice_upstream_connections_idle", "", 1);
  may_close.open();
  CHECK(eventually([&] { return sluice.value("sluice_upstream_connections_idle") == 0; }));
  CHECK(ask(sluice, "POST").body == "ok");
  CHECK(sluice.reaches("sluice_keepalive_race_resends_total", "", 0));
}
