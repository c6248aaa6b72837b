// As long as it is the client that is waited for, the endpoint's deadlines stand still: it is
// neither cut, nor counted as failed, nor taken out.
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <list>

#include "tests/e2e/harness/e2e.h"

using namespace e2e;

namespace {

// Two failures in a row would take the endpoint out.
constexpr const char* kStrictPool = R"(
listeners: [{name: web, bind: "127.0.0.1:0"}, {name: near, bind: "unix:@near"}]
pools:
  app:
    endpoints: [{address: "@a", name: a}]
    health: {type: off}
    timeouts: {between_bytes: 300ms}
    outlier: {failures: 2, base: 60s, max_share: 100%}
)";

bool was_blamed(Sluice& sluice) {
  const Json endpoint = sluice.endpoint("app", "a");
  return endpoint.at("failures") != 0 || sluice.value("sluice_outlier_ejections_total") != 0;
}

// What is to pass without blame: longer than between_bytes.
bool is_blamed_within(Sluice& sluice, milliseconds time) {
  return eventually([&] { return was_blamed(sluice); }, time);
}

bool is_writable(const Wire& wire, milliseconds within) {
  pollfd ready{wire.fd(), POLLOUT, 0};
  return poll(&ready, 1, static_cast<int>(within.count())) != 0;
}

// Sends until the other side has taken nothing for `patience`; how much it took.
uint64_t send_until_stuck(Wire& wire, uint64_t most, milliseconds patience) {
  const std::string piece(65536, 'x');
  uint64_t sent = 0;
  while (sent < most && is_writable(wire, patience)) {
    const size_t size = std::min<uint64_t>(piece.size(), most - sent);
    const ssize_t got = send(wire.fd(), piece.data(), size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (got < 0 && errno != EAGAIN) throw Failure("cut off in the middle of its answer");
    if (got > 0) sent += static_cast<uint64_t>(got);
  }
  return sent;
}

// Piece by piece: to make it all first would be a pause of the endpoint's own.
void send_rest(Wire& wire, uint64_t size) {
  const std::string piece(65536, 'x');
  for (uint64_t sent = 0; sent < size; sent += piece.size()) {
    wire.send(std::string_view(piece).substr(0, size - sent));
  }
}

// A client that reads raw bytes, and so knows how many sluice still holds for it: those that it has
// passed on but not yet given to the kernel.
class Reader {
 public:
  Reader(Sluice& sluice, Wire client) : sluice_(sluice), client_(std::move(client)) {}

  void send(const std::string& bytes) { client_.send(bytes); }
  uint64_t taken() const { return taken_; }
  std::string take(size_t most) {
    REQUIRE(client_.is_readable(kPatience));
    std::string bytes(most, '\0');
    const ssize_t got = recv(client_.fd(), bytes.data(), most, 0);
    if (got <= 0) throw Failure("the answer ended early");
    bytes.resize(static_cast<size_t>(got));
    taken_ += bytes.size();
    return bytes;
  }
  // When nothing moves any more.
  int64_t pending() {
    int64_t before = -1, now = -1;
    const auto is_steady = [&] {
      before = std::exchange(now, measure());
      return now == before;
    };
    if (!eventually(is_steady)) throw Failure("the answer does not come to rest");
    return now;
  }

 private:
  int64_t measure() {
    int queued = 0;
    ioctl(client_.fd(), FIONREAD, &queued);
    const auto passed_on = static_cast<int64_t>(sluice_.value("sluice_client_sent_bytes_total"));
    return passed_on - static_cast<int64_t>(taken_) - queued;
  }

  Sluice& sluice_;
  Wire client_;
  uint64_t taken_ = 0;
};

}  // namespace

TEST_CASE("e2e/regress: an endpoint whose client does not read is not blamed") {
  constexpr uint64_t kSize = 40'000'000;
  constexpr size_t kClients = 4;  // twice as many as outlier.failures
  std::atomic<size_t> stuck{0};
  Origin origin([&](OriginConn& c) {
    c.expect_request();
    c.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(kSize) + "\r\n\r\n");
    const uint64_t taken = send_until_stuck(c, kSize, milliseconds(1500));
    CHECK(taken < kSize);
    ++stuck;
    send_rest(c, kSize - taken);
    c.wait_for_end();
  });
  TempDir dir;
  Sluice sluice(kStrictPool, {{"a", origin.address()}, {"near", dir.path("near.sock")}});
  std::list<Wire> clients;
  for (size_t i = 0; i < kClients; ++i) {
    clients.push_back(Wire::to_port(sluice.port()));
    clients.back().send(request_text());
  }
  REQUIRE(eventually([&] { return stuck == kClients || !origin.failures().empty(); }));
  CHECK_FALSE(was_blamed(sluice));
  for (Wire& client : clients) {
    client.read_head();
    CHECK(client.discard(kSize) == kSize);
  }
  CHECK_FALSE(was_blamed(sluice));
  CHECK(sluice.endpoint("app", "a").at("state") == "up");
}

TEST_CASE("e2e/regress: an endpoint paused for its client is not blamed between the watermarks") {
  // Over a unix socket, whose buffers do not grow. The request's body comes at the same time, so
  // that the exchange looks at both sides again while the endpoint is paused.
  constexpr uint64_t kSize = 20'000'000;
  constexpr int64_t kLow = 64 * 1024, kHigh = 256 * 1024;
  TempDir dir;
  Gate stuck;
  Origin origin([&](OriginConn& c) {
    c.expect_head();
    c.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(kSize) + "\r\n\r\n");
    const uint64_t sent = send_until_stuck(c, kSize, milliseconds(200));
    CHECK(sent < kSize);
    stuck.open();
    send_rest(c, kSize - sent);
    CHECK(c.read_until("0\r\n\r\n").size() > 5);
    c.wait_for_end();
  });
  Sluice sluice(kStrictPool, {{"a", origin.address()}, {"near", dir.path("near.sock")}});
  Reader client(sluice, Wire::to_unix(dir.path("near.sock")));
  client.send(request_text("/", "Transfer-Encoding: chunked\r\n", "PUT"));
  stuck.wait();
  CHECK(client.pending() > kHigh);
  const size_t head = client.take(16'384).find("\r\n\r\n") + 4;
  for (int round = 0; round < 2; ++round) {
    for (int64_t pending = 0; pending <= kLow || pending >= kHigh; pending = client.pending()) {
      client.take(16'384);
    }
    client.send("1\r\nx\r\n");
    REQUIRE_FALSE(is_blamed_within(sluice, milliseconds(700)));
    while (client.pending() < kHigh) client.take(16'384);  // on to the next time
  }
  client.send("0\r\n\r\n");
  while (client.taken() < head + kSize) client.take(65'536);
  CHECK(client.taken() == head + kSize);
  CHECK_FALSE(was_blamed(sluice));
}

TEST_CASE("e2e/regress: an endpoint that answers early waits for the rest of a slow upload") {
  Origin origin([](OriginConn& c) {
    c.expect_head();
    c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n");
    for (int i = 0; i < 3; ++i) CHECK(c.read_exactly(4) == "part");
    c.send("4\r\ndone\r\n0\r\n\r\n");
    c.wait_for_end();
  });
  TempDir dir;
  Sluice sluice(kStrictPool, {{"a", origin.address()}, {"near", dir.path("near.sock")}});
  Wire client = Wire::to_port(sluice.port());
  client.send(request_text("/", "Content-Length: 12\r\n", "PUT") + "part");
  Message response = client.read_head();
  for (int i = 0; i < 2; ++i) {
    REQUIRE_FALSE(is_blamed_within(sluice, milliseconds(700)));
    client.send("part");
  }
  client.read_body(response, true);
  CHECK(response.complete);
  CHECK(response.body == "begundone");
  CHECK_FALSE(was_blamed(sluice));
}
