// What the tests of loop share: socket pairs, a listener that records, waiting without sleeping.
#pragma once

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "sluice/loop/loop.h"
#include "sluice/loop/stream.h"
#include "sluice/loop/tcp.h"
#include "sluice/loop/timer.h"

namespace sluice::loop::test {

// Runs the loop until `is_done`, for at most 20 s (a sanitizer on a busy machine).
inline bool run_until(Loop& loop, const std::function<bool()>& is_done) {
  Timer alarm(
      loop, [](void*) noexcept {}, nullptr);
  TimePoint deadline = monotonic_now() + std::chrono::seconds(20);
  while (!is_done()) {
    if (monotonic_now() >= deadline) return false;
    if (!alarm.is_set()) alarm.set(deadline);  // wakes a loop that waits for nothing else
    loop.run_once(true);
  }
  return true;
}

// The same without waiting, for when the test itself moves things on (reads from a raw descriptor).
inline bool spin_until(Loop& loop, const std::function<bool()>& is_done) {
  TimePoint deadline = monotonic_now() + std::chrono::seconds(20);
  while (!is_done()) {
    if (monotonic_now() >= deadline) return false;
    loop.run_once(false);
  }
  return true;
}

// Lets everything happen that is due without waiting.
inline void settle(Loop& loop) {
  for (int i = 0; i < 10; ++i) loop.run_once(false);
}

class Recorder final : public StreamEvents {
 public:
  void on_read(Slice bytes) noexcept override {
    received += bytes.view();
    ++reads;
    CHECK_FALSE(has_eof);
    if (when_read) when_read(bytes);
  }
  void on_eof() noexcept override {
    CHECK_FALSE(has_eof);
    has_eof = true;
    if (when_eof) when_eof();
  }
  void on_drained() noexcept override {
    ++drained;
    if (when_drained) when_drained();
  }
  void on_broken(Error why) noexcept override {
    CHECK_FALSE(is_broken);
    is_broken = true;
    error = why;
    if (when_broken) when_broken();
  }

  std::string received;
  int reads = 0;
  int drained = 0;
  bool has_eof = false;
  bool is_broken = false;
  Error error;
  std::function<void(const Slice&)> when_read;
  std::function<void()> when_eof, when_drained, when_broken;
};

// A connected pair of unix sockets: one side a Stream, the other a blocking or non-blocking fd.
struct RawPair {
  explicit RawPair(Loop& loop) {
    int fds[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    auto adopted = adopt_socket(loop, fds[0]);
    REQUIRE(adopted);
    stream = *std::move(adopted);
    fd = fds[1];
  }
  RawPair(const RawPair&) = delete;
  RawPair& operator=(const RawPair&) = delete;
  ~RawPair() { close_fd(); }

  void close_fd() {
    if (fd >= 0) ::close(std::exchange(fd, -1));
  }
  void send(std::string_view text) {
    REQUIRE(::send(fd, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
  }
  // What is there now.
  std::string receive(size_t most = 1 << 20) {
    std::string bytes(most, '\0');
    ssize_t n = ::recv(fd, bytes.data(), most, MSG_DONTWAIT);
    bytes.resize(n < 0 ? 0 : static_cast<size_t>(n));
    return bytes;
  }

  std::unique_ptr<Stream> stream;
  int fd = -1;
};

// Two ends of a TCP connection over loopback, as plain descriptors.
struct TcpFds {
  TcpFds() {
    int listening = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    SocketAddress address = *SocketAddress::from_ip("127.0.0.1", 0);
    REQUIRE(::bind(listening, address.raw(), address.size()) == 0);
    REQUIRE(::listen(listening, 1) == 0);
    socklen_t size = SocketAddress::kCapacity;
    REQUIRE(getsockname(listening, address.raw(), &size) == 0);
    one = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(::connect(one, address.raw(), address.size()) == 0);
    other = ::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC);
    REQUIRE(other >= 0);
    ::close(listening);
  }
  int one, other;
};

inline void reset_and_close(int fd) {
  linger now{1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  ::close(fd);
}

inline Chain chain_of(std::string_view text) {
  Chain chain;
  chain.push_back(Slice::copy_of(text));
  return chain;
}

}  // namespace sluice::loop::test
