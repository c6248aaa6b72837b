// What a response costs in memory is bounded in bytes held, not only in bytes of content.
#include <poll.h>
#include <sys/socket.h>

#include <list>

#include "tests/e2e/harness/e2e.h"

using namespace e2e;

namespace {

// Sends whole pieces again and again until the other side takes no more for a while.
void send_until_stuck(Wire& wire, const std::string& piece) {
  constexpr int kPatienceMs = 300;
  for (size_t offset = 0;;) {
    pollfd ready{wire.fd(), POLLOUT, 0};
    if (poll(&ready, 1, kPatienceMs) == 0) return;
    const ssize_t got =
        send(wire.fd(), piece.data() + offset, piece.size() - offset, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (got < 0 && errno != EAGAIN) throw Failure("cut off in the middle of its answer");
    if (got > 0) offset = (offset + static_cast<size_t>(got)) % piece.size();
  }
}

}  // namespace

TEST_CASE("e2e/regress: chunks of one byte to clients that do not read cost bounded memory") {
  constexpr size_t kClients = 20;
  constexpr uint64_t kMostEachKib = 4 * 1024;
  const std::string chunks = repeat("1\r\nx\r\n", 10'000);
  std::atomic<size_t> stuck{0};
  Origin origin([&](OriginConn& c) {
    c.expect_request();
    c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    send_until_stuck(c, chunks);
    ++stuck;
    c.wait_for_end();
  });
  TempDir dir;  // a unix socket, so that no kernel buffer grows to megabytes before ours fill
  Sluice sluice(R"(
listeners: [{name: web, bind: "127.0.0.1:0"}, {name: near, bind: "unix:@near"}]
pools:
  app: {endpoints: [{address: "@a", name: a}], health: {type: off}}
)",
                {{"a", origin.address()}, {"near", dir.path("near.sock")}});
  const uint64_t before = sluice.rss_kib();
  std::list<Wire> clients;
  for (size_t i = 0; i < kClients; ++i) {
    clients.push_back(Wire::to_unix(dir.path("near.sock")));
    clients.back().send(request_text());
  }
  REQUIRE(eventually([&] { return stuck == kClients; }, kPatience * 3));
  const uint64_t grown = sluice.rss_kib() - before;
  MESSAGE("each cost " << grown / kClients << " KiB");
  if (!kSanitized) CHECK(grown < kClients * kMostEachKib);
  for (Wire& client : clients) {
    client.read_head();
    CHECK(client.discard(100'000) == 100'000);
  }
}
