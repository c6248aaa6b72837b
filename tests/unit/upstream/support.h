// What the tests of upstream share: configured pools, an exchange that only listens, a scripted
// endpoint on a socket pair.
#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sluice/http/h1_parser.h"
#include "sluice/stats/counters.h"
#include "sluice/upstream/endpoint.h"
#include "sluice/upstream/upstream_stream.h"
#include "tests/unit/loop/support.h"

namespace sluice::upstream::test {

using loop::test::run_until;
using loop::test::settle;
using loop::test::spin_until;

inline config::Endpoint endpoint_config(const std::string& name, uint16_t port = 1,
                                        uint32_t weight = 1) {
  config::Endpoint endpoint;
  endpoint.name = name;
  endpoint.address.host = "127.0.0.1";
  endpoint.address.port = port;
  endpoint.weight = weight;
  return endpoint;
}

// A listening TCP socket on a port that the kernel chose.
struct Listening {
  Listening() {
    fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    address = *SocketAddress::from_ip("127.0.0.1", 0);
    REQUIRE(::bind(fd, address.raw(), address.size()) == 0);
    REQUIRE(::listen(fd, 16) == 0);
    socklen_t size = SocketAddress::kCapacity;
    REQUIRE(getsockname(fd, address.raw(), &size) == 0);
  }
  ~Listening() { stop(); }
  void stop() {
    if (fd >= 0) ::close(std::exchange(fd, -1));
  }
  // A connection that has come, or -1.
  int accept() { return ::accept4(fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK); }
  uint16_t port() const { return address.port(); }

  int fd;
  SocketAddress address;
};

// What an exchange would do with an UpstreamStream, and nothing by itself.
class Asker final : public UpstreamListener {
 public:
  explicit Asker(loop::Loop& loop) : arena(loop.chunks()) {}
  void on_upstream_progress() noexcept override {
    ++progress;
    CHECK_FALSE(is_calling);
    if (stream == nullptr) return;
    body += stream->body().to_string();
    stream->body().clear();
    if (when_progress) when_progress();
  }

  void begin(UpstreamStream& its_stream) {
    stream = &its_stream;
    stream->begin(this, &arena);
  }
  // Sends a whole request of head text and body.
  void ask(std::string_view text, std::string_view request_body = {}) {
    send_head(text);
    is_calling = true;
    if (!request_body.empty()) stream->send_body(loop::test::chain_of(request_body));
    stream->send_end(nullptr);
    stream->flush();
    is_calling = false;
  }
  void send_head(std::string_view text) {
    is_calling = true;
    auto parsed = http::parse_request_head(arena.copy(text), {}, arena);
    REQUIRE(parsed);
    http::RequestForwarding how;
    how.target = parsed->path;
    how.host = parsed->authority;
    how.client_ip = "127.0.0.1";
    how.scheme = "http";
    how.request_id = "r";
    how.framing = parsed->framing;
    stream->send_head(*parsed, how);
    is_calling = false;
  }
  void release() {
    is_calling = true;
    std::exchange(stream, nullptr)->release();
    is_calling = false;
  }
  void abandon(CloseReason reason = CloseReason::kAborted) {
    std::exchange(stream, nullptr)->abandon(reason);
  }

  Arena arena;
  UpstreamStream* stream = nullptr;
  int progress = 0;
  bool is_calling = false;
  std::string body;
  std::function<void()> when_progress;
};

inline constexpr std::string_view kGet = "GET /x HTTP/1.1\r\nHost: h\r\n\r\n";
inline constexpr std::string_view kHello = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

}  // namespace sluice::upstream::test
