// Bodies of any size stream both ways in bounded memory, however slow either side is.
#include <poll.h>
#include <sys/socket.h>

#include "tests/e2e/harness/e2e.h"

using namespace e2e;

namespace {

constexpr uint64_t kLarge = 100'000'000;
constexpr uint64_t kMostGrowthKib = 20 * 1024;

constexpr const char* kOnePool = R"(
pools:
  app: {endpoints: [{address: "@a", name: a}], health: {type: off}}
)";

// Bytes that differ by place, so that lost or doubled pieces are noticed.
class Pattern {
 public:
  std::string next(size_t size) {
    std::string piece(size, '\0');
    for (char& c : piece) c = static_cast<char>((at_++ * 2654435761u) >> 20);
    return piece;
  }
  bool accept(const std::string& piece) { return piece == next(piece.size()); }
  uint64_t at() const { return at_; }

 private:
  uint64_t at_ = 0;
};

void send_pattern(Wire& wire, uint64_t size, bool chunked) {
  constexpr size_t kPiece = 50'000;
  Pattern pattern;
  while (pattern.at() < size) {
    const std::string piece = pattern.next(std::min<uint64_t>(kPiece, size - pattern.at()));
    if (!chunked) {
      wire.send(piece);
      continue;
    }
    char line[20];
    std::snprintf(line, sizeof line, "%zx\r\n", piece.size());
    wire.send(line + piece + "\r\n");
  }
  if (chunked) wire.send("0\r\n\r\n");
}

void expect_pattern(Wire& wire, uint64_t size, bool chunked) {
  Pattern pattern;
  while (pattern.at() < size) {
    size_t piece = std::min<uint64_t>(65536, size - pattern.at());
    if (chunked) piece = std::stoull(wire.read_until("\r\n"), nullptr, 16);
    if (!pattern.accept(wire.read_exactly(piece))) throw Failure("the body is not what was sent");
    if (chunked) wire.read_exactly(2);
  }
  if (chunked && wire.read_until("\r\n\r\n") != "0\r\n\r\n") throw Failure("no end of chunks");
}

std::string framing(bool chunked) {
  return chunked ? "Transfer-Encoding: chunked\r\n"
                 : "Content-Length: " + std::to_string(kLarge) + "\r\n";
}

void check_growth(Sluice& sluice, uint64_t before_kib) {
  const uint64_t growth = sluice.peak_rss_kib() - std::min(before_kib, sluice.peak_rss_kib());
  MESSAGE("grew by " << growth << " KiB");
  if (!kSanitized) CHECK(growth < kMostGrowthKib);
}

// Sends until nothing more is taken for a while; how much was.
uint64_t send_until_stuck(Wire& wire, uint64_t most) {
  const std::string piece(65536, 'x');
  uint64_t sent = 0;
  while (sent < most) {
    pollfd ready{wire.fd(), POLLOUT, 0};
    if (poll(&ready, 1, 300) == 0) break;
    const size_t size = std::min<uint64_t>(piece.size(), most - sent);
    const ssize_t got = send(wire.fd(), piece.data(), size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (got > 0) sent += static_cast<uint64_t>(got);
  }
  return sent;
}

void upload(bool chunked) {
  Origin origin([&](OriginConn& c) {
    c.expect_head();
    expect_pattern(c, kLarge, chunked);
    c.reply("got it");
  });
  Sluice sluice(kOnePool, {{"a", origin.address()}});
  Wire client = Wire::to_port(sluice.port());
  const uint64_t before = sluice.rss_kib();
  client.send(request_text("/", framing(chunked), "POST"));
  send_pattern(client, kLarge, chunked);
  CHECK(client.read_response().body == "got it");
  check_growth(sluice, before);
  CHECK(sluice.log(1)[0].at("bytes_in") == kLarge);
}

void download(bool chunked) {
  Origin origin([&](OriginConn& c) {
    c.expect_request();
    c.send("HTTP/1.1 200 OK\r\n" + framing(chunked) + "\r\n");
    send_pattern(c, kLarge, chunked);
    c.wait_for_end();
  });
  Sluice sluice(kOnePool, {{"a", origin.address()}});
  Wire client = Wire::to_port(sluice.port());
  const uint64_t before = sluice.rss_kib();
  client.send(request_text());
  CHECK(client.read_head().has(chunked ? "Transfer-Encoding" : "Content-Length"));
  expect_pattern(client, kLarge, chunked);
  check_growth(sluice, before);
  CHECK(sluice.log(1)[0].at("bytes_out") == kLarge);
}

}  // namespace

TEST_CASE("e2e/bodies: 100 MB up with a length") { upload(false); }
TEST_CASE("e2e/bodies: 100 MB up in chunks") { upload(true); }
TEST_CASE("e2e/bodies: 100 MB down with a length") { download(false); }
TEST_CASE("e2e/bodies: 100 MB down in chunks") { download(true); }

TEST_CASE("e2e/bodies: an endpoint is held back when its client does not read") {
  std::atomic<uint64_t> taken{0};
  Gate stuck, go_on;
  Origin origin([&](OriginConn& c) {
    c.expect_request();
    c.send("HTTP/1.1 200 OK\r\n" + framing(false) + "\r\n");
    taken = send_until_stuck(c, kLarge);
    stuck.open();
    go_on.wait();
    std::string rest(kLarge - taken, 'x');
    c.send(rest);
    c.wait_for_end();
  });
  Sluice sluice(kOnePool, {{"a", origin.address()}});
  Wire client = Wire::to_port(sluice.port());
  const uint64_t before = sluice.rss_kib();
  client.send(request_text());
  stuck.wait();
  MESSAGE("taken before it was held back: " << uint64_t{taken});
  CHECK(taken < kLarge);  // else nothing was held back and the test shows nothing
  if (!kSanitized) CHECK(sluice.rss_kib() < before + 8 * 1024);
  go_on.open();
  client.read_head();
  CHECK(client.discard(kLarge) == kLarge);
  check_growth(sluice, before);
}

TEST_CASE("e2e/bodies: a client is held back when its endpoint does not read") {
  Gate go_on;
  Origin origin([&](OriginConn& c) {
    c.expect_head();
    go_on.wait();
    CHECK(c.discard(kLarge) == kLarge);
    c.reply("at last");
  });
  Sluice sluice(kOnePool, {{"a", origin.address()}});
  Wire client = Wire::to_port(sluice.port());
  const uint64_t before = sluice.rss_kib();
  client.send(request_text("/", framing(false), "PUT"));
  const uint64_t taken = send_until_stuck(client, kLarge);
  MESSAGE("taken before it was held back: " << uint64_t{taken});
  CHECK(taken < kLarge);
  if (!kSanitized) CHECK(sluice.rss_kib() < before + 8 * 1024);
  go_on.open();
  client.send(std::string(kLarge - taken, 'x'));
  CHECK(client.read_response().body == "at last");
  check_growth(sluice, before);
}

TEST_CASE("e2e/bodies: a pipelining client that reads nothing is held back") {
  SimpleOrigin origin("a", repeat("x", 10'000));
  Sluice sluice(kOnePool, {{"a", origin.address()}});
  Wire client = Wire::to_port(sluice.port());
  const uint64_t before = sluice.rss_kib();
  const std::string piece = repeat(request_text(), 1000);
  uint64_t sent = 0;
  const uint64_t most = 60'000'000;
  for (bool stuck = false; !stuck && sent < most;) {
    pollfd ready{client.fd(), POLLOUT, 0};
    stuck = poll(&ready, 1, 300) == 0;
    const size_t offset = sent % piece.size();
    const ssize_t got = send(client.fd(), piece.data() + offset, piece.size() - offset,
                             MSG_DONTWAIT | MSG_NOSIGNAL);
    if (got > 0) sent += static_cast<uint64_t>(got);
  }
  CHECK(sent < most);
  check_growth(sluice, before);
  for (int i = 0; i < 50; ++i) CHECK(client.read_response().body.size() == 10'000);
}

TEST_CASE("e2e/bodies: many small chunks, and one byte at a time") {
  Origin origin(
      [](OriginConn& c) { c.serve([](const Message& r) { return answer(200, r.body); }); });
  Sluice sluice(kOnePool, {{"a", origin.address()}});
  Wire client = Wire::to_port(sluice.port());
  client.send(request_text("/", "Transfer-Encoding: chunked\r\n", "POST") +
              repeat("1\r\nx\r\n", 50'000) + "0\r\n\r\n");
  CHECK(client.read_response().body == repeat("x", 50'000));
  client.send(request_text("/", "Content-Length: 3000\r\n", "POST"));
  client.send_split(repeat("abc", 1000));
  CHECK(client.read_response().body == repeat("abc", 1000));
}
