// Many ask for what one fetches: request collapsing, and what goes through a cached route while it
// streams.
#include <signal.h>

#include "tests/e2e/harness/e2e.h"

using namespace e2e;

namespace {

constexpr const char* kCached = R"(
workers: 2
drain_timeout: 20s
pools:
  app: {endpoints: [{address: "@a", name: a}], health: {type: off}, retry: {attempts: 1}}
routes:
  - {match: {path: /}, pool: app, cache: {@cache}}
cache: {memory: {size: 256MiB, max_object: @max}}
)";

Values values(const std::string& address, const std::string& cache = "",
              const std::string& max_object = "1MiB") {
  return {{"a", address}, {"cache", cache}, {"max", max_object}};
}

const std::string kFresh = "Cache-Control: max-age=60\r\n";

std::vector<Wire> connect_all(Sluice& sluice, size_t count) {
  const uint16_t port = sluice.port();
  std::vector<Wire> clients;
  for (size_t i = 0; i < count; ++i) clients.push_back(Wire::to_port(port));
  return clients;
}

// The head and so many bytes of a body with Content-Length or in chunks of the sizes that are sent.
void read_half(Wire& client, bool is_chunked, const std::string& half) {
  const Message head = client.read_head();
  CHECK(head.start == "HTTP/1.1 200 OK");
  std::string body;
  while (body.size() < half.size()) {
    if (!is_chunked) {
      body += client.read_exactly(half.size());
      break;
    }
    std::string size = client.read_until("\r\n");
    body += client.read_exactly(std::stoul(size, nullptr, 16));
    client.read_exactly(2);
  }
  CHECK((body == half));
}

std::string read_rest(Wire& client, bool is_chunked, size_t size) {
  if (!is_chunked) return client.read_exactly(size);
  std::string body;
  for (;;) {
    const size_t chunk = std::stoul(client.read_until("\r\n"), nullptr, 16);
    body += client.read_exactly(chunk);
    client.read_exactly(2);
    if (chunk == 0) return body;
  }
}

std::string chunk(const std::string& bytes) {
  char size[32];
  std::snprintf(size, sizeof size, "%zx\r\n", bytes.size());
  return size + bytes + "\r\n";
}

std::string begin_of(bool is_chunked, size_t size) {
  return "HTTP/1.1 200 OK\r\n" + kFresh +
         (is_chunked ? "Transfer-Encoding: chunked\r\n\r\n"
                     : "Content-Length: " + std::to_string(size) + "\r\n\r\n");
}

// Sends half of a body, and the other half once a gate is open.
struct Halves {
  std::string first = repeat("first-", 3000), second = repeat("other-", 3000);
  bool is_chunked = false;
  Gate asked, go_on;
  std::string framed(const std::string& half) const { return is_chunked ? chunk(half) : half; }
  std::string end() const { return is_chunked ? "0\r\n\r\n" : ""; }
  void serve(OriginConn& c) {
    c.expect_request();
    c.send(begin_of(is_chunked, first.size() + second.size()) + framed(first));
    asked.open();
    go_on.wait();
    c.send(framed(second) + end());
    c.wait_for_end();
  }
};

}  // namespace

// One fill ----------------------------------------------------------------------------------------

TEST_CASE("e2e/collapse: 1000 clients on one cold key make one request, and get it as it streams") {
  for (const bool is_chunked : {false, true}) {
    CAPTURE(is_chunked);
    Halves halves;
    halves.is_chunked = is_chunked;
    Origin origin([&](OriginConn& c) { halves.serve(c); });
    Sluice sluice(kCached, values(origin.address()));
    std::vector<Wire> clients = connect_all(sluice, 1000);
    for (Wire& client : clients) client.send(request_text());
    for (Wire& client : clients) read_half(client, is_chunked, halves.first);
    CHECK(origin.requests().size() == 1);  // every one has the first half before the second is sent
    halves.go_on.open();
    for (Wire& client : clients) {
      CHECK((read_rest(client, is_chunked, halves.second.size()) == halves.second));
    }
    CHECK(origin.requests().size() == 1);
    CHECK(sluice.reaches("sluice_cache_stores_total", "", 1));
    const Message hit = get(sluice.port());
    CHECK((hit.body == halves.first + halves.second));
    CHECK(hit.field("Cache-Status").starts_with("sluice; hit"));
    CHECK(sluice.log(1001).size() == 1001);
  }
}

TEST_CASE("e2e/collapse: who waited is told so; all connections can be used again") {
  Gate may_answer;
  Origin origin([&](OriginConn& c) {
    c.expect_request();
    may_answer.wait();
    c.reply("body", kFresh);
    c.wait_for_end();
  });
  Sluice sluice(kCached, values(origin.address()));
  std::vector<Wire> clients = connect_all(sluice, 40);
  for (Wire& client : clients) client.send(request_text());
  sluice.wait_for_value("sluice_cache_collapsed_total", "", 39);
  may_answer.open();
  int leaders = 0;
  for (Wire& client : clients) {
    const Message response = client.read_response();
    CHECK(response.body == "body");
    const std::string status = response.field("Cache-Status");
    if (status == "sluice; fwd=uri-miss; stored")
      ++leaders;
    else
      CHECK(status == "sluice; fwd=uri-miss; collapsed");
  }
  CHECK(leaders == 1);
  for (Wire& client : clients) {
    client.send(request_text());
    CHECK(client.read_response().body == "body");
  }
  CHECK(origin.requests().size() == 1);
}

TEST_CASE("e2e/collapse: waiters may ask for ranges, HEAD and conditions of what streams") {
  Halves halves;
  Origin origin([&](OriginConn& c) { halves.serve(c); });
  Sluice sluice(kCached, values(origin.address()));
  std::vector<Wire> clients = connect_all(sluice, 4);
  clients[0].send(request_text());
  halves.asked.wait();
  read_half(clients[0], false, halves.first);
  const std::string whole = halves.first + halves.second;
  // The one begins where nothing is yet; it is answered when it comes, and nobody is held up.
  clients[1].send(request_text("/", "Range: bytes=30000-30009\r\n"));
  clients[2].send(request_text("/", "Range: bytes=10-19\r\n"));
  const Message ready = clients[2].read_response();
  CHECK(ready.status == 206);
  CHECK((ready.body == whole.substr(10, 10)));
  clients[3].send(request_text("/", "Range: bytes=5-6,29000-29001\r\n"));
  halves.go_on.open();
  const Message late = clients[1].read_response();
  CHECK(late.status == 206);
  CHECK((late.body == whole.substr(30000, 10)));
  CHECK(clients[3].read_response().complete);
  CHECK((clients[0].read_exactly(halves.second.size()) == halves.second));
  CHECK(origin.requests().size() == 1);
}

TEST_CASE("e2e/collapse: requests for another variant do not wait for this one's end") {
  Gate may_end;
  Origin origin([&](OriginConn& c) {
    for (;;) {
      const Message request = c.expect_request();
      const std::string coding = request.field("Accept-Encoding");
      c.send("HTTP/1.1 200 OK\r\nVary: Accept-Encoding\r\n" + kFresh + "Content-Length: 8\r\n\r\n" +
             coding + "");
      if (coding == "gzip") may_end.wait();
      c.send(coding);
      if (coding.size() == 2) c.send("....");
    }
  });
  Sluice sluice(kCached, values(origin.address()));
  std::vector<Wire> clients = connect_all(sluice, 8);
  clients[0].send(request_text("/", "Accept-Encoding: gzip\r\n"));
  clients[0].read_head();
  for (size_t i = 1; i < clients.size(); ++i) {
    clients[i].send(request_text("/", "Accept-Encoding: br\r\n"));
  }
  for (size_t i = 1; i < clients.size(); ++i) CHECK(clients[i].read_response().body == "brbr....");
  may_end.open();
  CHECK(clients[0].read_exactly(8) == "gzipgzip");
}

// Clients that leave, or are slow -----------------------------------------------------------------

TEST_CASE("e2e/collapse: a leader that goes away breaks nobody") {
  const auto check = [](bool before_the_head) {
    CAPTURE(before_the_head);
    Gate may_answer, go_on;
    Origin origin([&](OriginConn& c) {
      c.expect_request();
      if (before_the_head) may_answer.wait();
      c.send(begin_of(false, 10) + "01234");
      go_on.wait();
      c.send("56789");
      c.wait_for_end();
    });
    Sluice sluice(kCached, values(origin.address()));
    Wire leader = Wire::to_port(sluice.port());
    leader.send(request_text());
    origin.wait_for_requests(1);
    if (!before_the_head) leader.read_head();
    std::vector<Wire> others = connect_all(sluice, 20);
    for (Wire& other : others) other.send(request_text());
    sluice.wait_for_value("sluice_cache_collapsed_total", "", 20);
    leader.reset();
    CHECK(eventually([&] { return sluice.status().at("listeners")[0].at("connections") == 20; }));
    may_answer.open();
    go_on.open();
    for (Wire& other : others) CHECK(other.read_response().body == "0123456789");
    CHECK(origin.requests().size() == 1);
  };
  check(true);
  check(false);
}

TEST_CASE("e2e/collapse: a fill that nobody waits for any more is stored all the same") {
  Halves halves;
  Origin origin([&](OriginConn& c) { halves.serve(c); });
  Sluice sluice(kCached, values(origin.address()));
  {
    Wire leader = Wire::to_port(sluice.port());
    leader.send(request_text());
    read_half(leader, false, halves.first);
    leader.reset();
  }
  CHECK(eventually([&] { return sluice.status().at("listeners")[0].at("connections") == 0; }));
  halves.go_on.open();
  sluice.wait_for_value("sluice_cache_stores_total", "", 1);
  CHECK((get(sluice.port()).body == halves.first + halves.second));
  CHECK(origin.requests().size() == 1);
}

TEST_CASE("e2e/collapse: what is not stored ends with the client that asked for it") {
  Gate gone;
  Origin origin([&](OriginConn& c) {
    c.expect_request();
    c.send("HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 100000000\r\n\r\nbegin");
    CHECK(c.wait_for_end() != Ending::timeout);
    gone.open();
  });
  Sluice sluice(kCached, values(origin.address()));
  Wire client = Wire::to_port(sluice.port());
  client.send(request_text());
  client.read_head();
  client.reset();
  gone.wait();
}

TEST_CASE("e2e/collapse: a slow reader among those who wait holds up nobody") {
  const std::string body = repeat("0123456789abcdef", 1'500'000);  // more than sockets buffer
  Gate may_answer;
  Origin origin([&](OriginConn& c) {
    c.expect_request();
    may_answer.wait();
    c.send(begin_of(false, body.size()) + body);
    c.wait_for_end();
  });
  Sluice sluice(kCached, values(origin.address(), "", "32MiB"));
  std::vector<Wire> slow;
  for (int i = 0; i < 2; ++i) {  // the leader, and one more
    slow.push_back(Wire::to_port(sluice.port()));
    slow.back().send(request_text());
    origin.wait_for_requests(1);
  }
  std::vector<Wire> clients = connect_all(sluice, 6);
  for (Wire& client : clients) client.send(request_text());
  sluice.wait_for_value("sluice_cache_collapsed_total", "", 7);
  may_answer.open();
  for (Wire& client : clients) CHECK((client.read_response().body == body));
  sluice.wait_for_value("sluice_cache_stores_total", "", 1);
  for (Wire& client : slow) CHECK((client.read_response().body == body));
  CHECK(origin.requests().size() == 1);
}

// Endpoints that refuse or fail -------------------------------------------------------------------

TEST_CASE("e2e/collapse: an answer that is not stored frees all who wait at once") {
  Gate first, rest;
  std::atomic<int> count{0};
  Origin origin([&](OriginConn& c) {
    c.serve([&](const Message&) {
      const int number = ++count;
      (number == 1 ? first : rest).wait();
      return answer(200, "n" + std::to_string(number), "Cache-Control: private\r\n");
    });
  });
  Sluice sluice(kCached, values(origin.address()));
  std::vector<Wire> clients = connect_all(sluice, 30);
  for (Wire& client : clients) client.send(request_text());
  sluice.wait_for_value("sluice_cache_collapsed_total", "", 29);
  origin.wait_for_requests(1);
  CHECK(origin.requests().size() == 1);
  first.open();
  origin.wait_for_requests(30);  // all at the same time
  rest.open();
  std::map<std::string, int> bodies;
  for (Wire& client : clients) ++bodies[client.read_response().body];
  CHECK(bodies.size() == 30);  // each its own
}

TEST_CASE(
    "e2e/collapse: a fill that breaks off cuts those it had begun to answer, and is not kept") {
  for (const bool is_chunked : {false, true}) {
    CAPTURE(is_chunked);
    Gate breaks;
    std::atomic<int> count{0};
    Origin origin([&](OriginConn& c) {
      c.expect_request();
      if (++count > 1) return c.reply("whole", kFresh);
      c.send(begin_of(is_chunked, 10) + (is_chunked ? chunk("01234") : "01234"));
      breaks.wait();
      c.close();
    });
    Sluice sluice(kCached, values(origin.address()));
    std::vector<Wire> clients = connect_all(sluice, 20);
    for (Wire& client : clients) client.send(request_text());
    for (Wire& client : clients) read_half(client, is_chunked, "01234");
    breaks.open();
    for (Wire& client : clients) CHECK(client.wait_for_end() != Ending::timeout);
    CHECK(get(sluice.port()).body == "whole");
    CHECK(origin.requests().size() == 2);
    CHECK(sluice.log(21)[0].at("reason") != "");
  }
}

TEST_CASE("e2e/collapse: a leader that gets no answer does not send all others after it") {
  Gate may_fail;
  Origin origin([&](OriginConn& c) {
    c.expect_request();
    may_fail.wait();
    c.close();
  });
  Sluice sluice(kCached, values(origin.address()));
  std::vector<Wire> clients = connect_all(sluice, 100);
  for (Wire& client : clients) client.send(request_text("/", "", "GET"));
  sluice.wait_for_value("sluice_cache_collapsed_total", "", 99);
  may_fail.open();
  for (Wire& client : clients) CHECK(client.read_response().status == 502);
  CHECK(origin.requests().size() <= 10);  // a few try again, not a herd
}

TEST_CASE("e2e/collapse: the next one takes over when the first gets no answer") {
  Gate may_fail;
  std::atomic<int> count{0};
  Origin origin([&](OriginConn& c) {
    c.expect_request();
    if (++count > 1) {
      c.reply("body", kFresh);
      c.wait_for_end();
      return;
    }
    may_fail.wait();
    c.close();
  });
  Sluice sluice(kCached, values(origin.address()));
  std::vector<Wire> clients = connect_all(sluice, 30);
  for (Wire& client : clients) client.send(request_text());
  sluice.wait_for_value("sluice_cache_collapsed_total", "", 29);
  may_fail.open();
  int failed = 0;
  for (Wire& client : clients) failed += client.read_response().status == 502 ? 1 : 0;
  CHECK(failed <= 1);
  CHECK(origin.requests().size() == 2);
}

// Large bodies ------------------------------------------------------------------------------------

TEST_CASE("e2e/collapse: a body over max_object reaches its client whole, however it is framed") {
  const std::string body = repeat("0123456789abcdef", 250'000);  // 4 MB
  for (const bool is_chunked : {false, true}) {
    CAPTURE(is_chunked);
    Origin origin([&](OriginConn& c) {
      for (;;) {
        c.expect_request();
        c.send(begin_of(is_chunked, body.size()));
        for (size_t at = 0; at < body.size(); at += 50'000) {
          const std::string part = body.substr(at, 50'000);
          c.send(is_chunked ? chunk(part) : part);
        }
        if (is_chunked) c.send("0\r\n\r\n");
      }
    });
    Sluice sluice(kCached, values(origin.address()));
    Wire client = Wire::to_port(sluice.port());
    for (int i = 0; i < 2; ++i) {
      client.send(request_text());
      const Message response = client.read_response();
      CHECK(response.complete);
      CHECK((response.body == body));
    }
    CHECK(origin.requests().size() == 2);
    CHECK(sluice.value("sluice_cache_stores_total") == 0);
    for (const Json& line : sluice.log(2)) CHECK(line.at("bytes_out").get<size_t>() >= body.size());
  }
}

TEST_CASE(
    "e2e/collapse: a body that outgrows the limit ends for those who follow, never as whole") {
  const std::string half = repeat("0123456789abcdef", 2000);
  const std::string rest = repeat("the rest of it..", 80'000);
  Gate asked, go_on;
  Origin origin([&](OriginConn& c) {
    for (;;) {
      c.expect_request();
      c.send(begin_of(true, 0) + chunk(half));
      if (c.index() == 0) {
        asked.open();
        go_on.wait();
      }
      c.send(chunk(rest) + "0\r\n\r\n");
    }
  });
  Sluice sluice(kCached, values(origin.address()));
  std::vector<Wire> clients = connect_all(sluice, 10);
  clients[0].send(request_text());
  asked.wait();
  for (size_t i = 1; i < clients.size(); ++i) clients[i].send(request_text());
  for (Wire& client : clients) read_half(client, true, half);
  go_on.open();
  CHECK((read_rest(clients[0], true, 0) == rest));
  for (size_t i = 1; i < clients.size(); ++i) {
    clients[i].wait_for_end();
    CHECK_FALSE(clients[i].rest().ends_with("\r\n0\r\n\r\n"));
  }
  // Nobody waits for another any more.
  Wire later = Wire::to_port(sluice.port());
  later.send(request_text());
  CHECK((later.read_response().body == half + rest));
}

TEST_CASE(
    "e2e/collapse: a client that has to wait while the body outgrows the limit loses nothing") {
  constexpr size_t kPieces = 3000;
  std::atomic<size_t> sent{0};
  Origin origin([&](OriginConn& c) {
    c.expect_request();
    c.send(begin_of(true, 0));
    for (size_t i = 0; i < kPieces; ++i, ++sent) {
      c.send(chunk(std::string(50'000, static_cast<char>('a' + i % 26))));  // 150 MB in all
    }
    c.send("0\r\n\r\n");
    c.wait_for_end();
  });
  Sluice sluice(kCached, values(origin.address()));
  Wire client = Wire::to_port(sluice.port());
  client.send(request_text());
  client.read_head();
  const uint64_t before = sluice.rss_kib();
  size_t seen = 0, unchanged = 0;
  // Until the endpoint is held back, well before its end.
  CHECK(eventually([&] {
    unchanged = sent == seen ? unchanged + 1 : 0;
    seen = sent;
    return unchanged > 50;
  }));
  CHECK(sent < kPieces / 2);
  if (!kSanitized) CHECK(sluice.peak_rss_kib() < before + 40'000);
  size_t at = 0, wrong = 0;
  for (;;) {
    const size_t size = std::stoul(client.read_until("\r\n"), nullptr, 16);
    const std::string bytes = client.read_exactly(size);
    client.read_exactly(2);
    if (size == 0) break;
    for (const char byte : bytes) {
      if (byte != static_cast<char>('a' + at++ / 50'000 % 26)) ++wrong;
    }
  }
  CHECK(at == kPieces * 50'000);
  CHECK(wrong == 0);
  if (!kSanitized) CHECK(sluice.peak_rss_kib() < before + 40'000);
}

// What goes along with a response -----------------------------------------------------------------

TEST_CASE("e2e/collapse: interim responses reach the one who asked (RFC 8297)") {
  Gate go_on;
  Origin origin([&](OriginConn& c) {
    c.expect_request();
    c.send(
        "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
        "HTTP/1.1 103 Early Hints\r\nLink: </b.css>\r\n\r\n");
    go_on.wait();
    c.reply("body", kFresh);
    c.wait_for_end();
  });
  Sluice sluice(kCached, values(origin.address()));
  Wire client = Wire::to_port(sluice.port());
  client.send(request_text());
  const Message first = client.read_response();
  CHECK(first.status == 103);
  CHECK(first.field("Link") == "</a.css>");
  const Message second = client.read_response();
  go_on.open();
  CHECK(second.status == 103);
  CHECK(second.field("Link") == "</b.css>");
  CHECK(client.read_response().body == "body");
  client.send(request_text());
  CHECK(client.read_response().body == "body");
}

TEST_CASE(
    "e2e/collapse: trailers come through when a response is not stored, and break none that is") {
  for (const bool is_stored : {false, true}) {
    CAPTURE(is_stored);
    Origin origin([&](OriginConn& c) {
      for (;;) {
        c.expect_request();
        c.send("HTTP/1.1 200 OK\r\nCache-Control: " +
               std::string(is_stored ? "max-age=60" : "no-store") +
               "\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nX-Sum: 1\r\n\r\n");
      }
    });
    Sluice sluice(kCached, values(origin.address()));
    Wire client = Wire::to_port(sluice.port());
    for (int i = 0; i < 2; ++i) {
      client.send(request_text("/", "TE: trailers\r\n"));
      const Message response = client.read_response();
      CHECK(response.body == "body");
      CHECK(response.complete);
      if (!is_stored) {
        REQUIRE(response.trailers.size() == 1);
        CHECK(response.trailers[0].name == "X-Sum");
      }
    }
  }
}

TEST_CASE("e2e/collapse: a GET with a body passes the cache by, body and all") {
  Origin origin([&](OriginConn& c) {
    c.serve([](const Message& request) { return answer(200, request.body, kFresh); });
  });
  Sluice sluice(kCached, values(origin.address()));
  Wire client = Wire::to_port(sluice.port());
  for (int i = 0; i < 2; ++i) {
    client.send(request_text("/", "Content-Length: 3\r\n") + "abc");
    const Message response = client.read_response();
    CHECK(response.body == "abc");
    CHECK(response.field("Cache-Status").starts_with("sluice; fwd=request"));
  }
  CHECK(origin.requests().size() == 2);
}

// Drain and reload --------------------------------------------------------------------------------

TEST_CASE("e2e/collapse: TERM while fills are under way: all get the whole, exit 0") {
  Halves halves;
  Origin origin([&](OriginConn& c) { halves.serve(c); });
  Sluice sluice(kCached, values(origin.address()));
  std::vector<Wire> clients = connect_all(sluice, 50);
  for (Wire& client : clients) client.send(request_text());
  for (Wire& client : clients) read_half(client, false, halves.first);
  sluice.signal(SIGTERM);
  CHECK(eventually([&] { return sluice.admin("GET", "/readyz").status == 503; }));
  halves.go_on.open();
  for (Wire& client : clients) {
    CHECK((client.read_exactly(halves.second.size()) == halves.second));
    client.expect_close();
  }
  CHECK(sluice.wait() == 0);
}

TEST_CASE("e2e/collapse: a fill in the background does not hold up the end for long") {
  std::atomic<int> count{0};
  Origin origin([&](OriginConn& c) {
    for (;;) {
      c.expect_request();
      if (++count > 1) {
        c.wait_for_end();
        return;
      }
      c.send(answer(
          200, "old",
          "Cache-Control: max-age=1, stale-while-revalidate=600\r\nAge: 9\r\nETag: \"1\"\r\n"));
    }
  });
  Sluice sluice(kCached, values(origin.address()));
  for (int i = 0; i < 2; ++i) CHECK(get(sluice.port()).body == "old");
  origin.wait_for_requests(2);
  const auto took = time_of([&] {
    sluice.signal(SIGTERM);
    CHECK(sluice.wait() == 0);
  });
  CHECK(took < seconds(5) * kSlow);  // nobody waits for it; the drain would last 20 s
}

TEST_CASE("e2e/collapse: at the end of the drain what hangs is cut, exit 0") {
  Halves halves;
  Origin origin([&](OriginConn& c) { halves.serve(c); });
  origin.ignore_failures();
  Sluice sluice(std::string("shutdown_delay: 0ms") + R"(
workers: 2
drain_timeout: 300ms
pools: {app: {endpoints: [{address: "@a"}], health: {type: off}}}
routes: [{match: {path: /}, pool: app, cache: {}}]
)",
                {{"a", origin.address()}});
  std::vector<Wire> clients = connect_all(sluice, 20);
  for (Wire& client : clients) client.send(request_text());
  for (Wire& client : clients) read_half(client, false, halves.first);
  sluice.signal(SIGTERM);
  CHECK(sluice.wait() == 0);
  halves.go_on.open();
}

TEST_CASE("e2e/collapse: reloads while fills are under way lose nothing") {
  Halves halves;
  Origin origin([&](OriginConn& c) { halves.serve(c); });
  Origin later([](OriginConn& c) { c.serve([](const Message&) { return answer(200, "later"); }); });
  Sluice sluice(kCached, values(origin.address()));
  std::vector<Wire> clients = connect_all(sluice, 30);
  for (Wire& client : clients) client.send(request_text());
  for (Wire& client : clients) read_half(client, false, halves.first);
  for (const char* cache : {"default_ttl: 5s", "stale_if_error: 5s", ""}) {
    sluice.rewrite(kCached, values(later.address(), cache));
    CHECK(sluice.reload().status == 200);
  }
  Wire joins = Wire::to_port(sluice.port());  // in the new snapshot, on the fill of the old one
  joins.send(request_text());
  read_half(joins, false, halves.first);
  halves.go_on.open();
  clients.push_back(std::move(joins));
  for (Wire& client : clients) {
    CHECK((client.read_exactly(halves.second.size()) == halves.second));
    client.send(request_text());
    CHECK((client.read_response().body == halves.first + halves.second));
  }
  CHECK(get(sluice.port(), "/other").body == "later");
  CHECK(origin.requests().size() == 1);
}
