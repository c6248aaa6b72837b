#include "sluice/loop/tcp.h"

#include <doctest/doctest.h>
#include <netinet/tcp.h>

#include "sluice/loop/acceptor.h"
#include "support.h"

using namespace sluice;
using namespace sluice::loop;
using namespace sluice::loop::test;

namespace {

struct Dialer final : ConnectEvents {
  void on_connected(std::unique_ptr<Stream> made) noexcept override {
    stream = std::move(made);
    ++calls;
    connect.reset();
  }
  void on_connect_failed(Error why) noexcept override {
    error = why;
    ++calls;
    connect.reset();
  }
  std::unique_ptr<Connect> connect;
  std::unique_ptr<Stream> stream;
  Error error;
  int calls = 0;
};

struct Door final : AcceptorEvents {
  void on_accept(int accepted, const SocketAddress&) noexcept override { fd = accepted; }
  void on_accept_error(Error) noexcept override {}
  int fd = -1;
};

const SocketAddress kLoopback = *SocketAddress::from_ip("127.0.0.1", 0);

}  // namespace

TEST_CASE("loop/tcp: connects, and both sides talk") {
  Loop loop;
  int listening = *open_listener(kLoopback, {});
  Door door;
  Acceptor acceptor(loop, listening, &door);
  Dialer dialer;
  dialer.connect = connect(loop, local_address(listening), &dialer);
  CHECK(dialer.calls == 0);
  REQUIRE(run_until(loop, [&] { return dialer.stream != nullptr && door.fd >= 0; }));
  auto served = *adopt_socket(loop, door.fd);
  Recorder client, server;
  dialer.stream->start(&client);
  served->start(&server);
  dialer.stream->write(chain_of("question"));
  REQUIRE(run_until(loop, [&] { return server.received == "question"; }));
  served->write(chain_of("answer"));
  served->finish();
  REQUIRE(run_until(loop, [&] { return client.has_eof; }));
  CHECK(client.received == "answer");
  int no_delay = 0;
  socklen_t size = sizeof no_delay;
  getsockopt(door.fd, IPPROTO_TCP, TCP_NODELAY, &no_delay, &size);
  CHECK(no_delay != 0);
  ::close(listening);
}

TEST_CASE("loop/tcp: refused is kConnectRefused, later") {
  Loop loop;
  int listening = *open_listener(kLoopback, {});
  SocketAddress where = local_address(listening);
  ::close(listening);
  Dialer dialer;
  dialer.connect = connect(loop, where, &dialer);
  CHECK(dialer.calls == 0);
  REQUIRE(run_until(loop, [&] { return dialer.calls == 1; }));
  CHECK(dialer.error.code() == Errc::kConnectRefused);
  CHECK(dialer.error.sys() == ECONNREFUSED);
}

TEST_CASE("loop/tcp: an error known at once is told later, as kConnectFailed") {
  Loop loop;
  Dialer dialer;
  // Broadcast is no address to connect to.
  dialer.connect = connect(loop, *SocketAddress::from_ip("255.255.255.255", 9), &dialer);
  CHECK(dialer.calls == 0);
  REQUIRE(run_until(loop, [&] { return dialer.calls == 1; }));
  CHECK(dialer.error.code() == Errc::kConnectFailed);
  CHECK(dialer.error.sys() != 0);
}

TEST_CASE("loop/tcp: a destroyed Connect never calls") {
  Loop loop;
  int listening = *open_listener(kLoopback, {});
  SocketAddress where = local_address(listening);
  Dialer dialer;
  auto doomed = connect(loop, where, &dialer);
  doomed.reset();
  auto in_flight = connect(loop, where, &dialer);
  auto failing = connect(loop, *SocketAddress::from_ip("255.255.255.255", 9), &dialer);
  failing.reset();
  in_flight.reset();
  settle(loop);
  CHECK(dialer.calls == 0);
  ::close(listening);
}

TEST_CASE("loop/tcp: unix sockets connect, and a missing or dead one is refused") {
  Loop loop;
  char name[] = "/tmp/sluice-tcp-XXXXXX";
  REQUIRE(mkdtemp(name) != nullptr);
  std::string path = std::string(name) + "/s";
  SocketAddress where = *SocketAddress::from_path(path);
  Dialer missing;
  missing.connect = connect(loop, where, &missing);
  CHECK(missing.calls == 0);
  REQUIRE(run_until(loop, [&] { return missing.calls == 1; }));
  CHECK(missing.error.code() == Errc::kConnectRefused);

  int listening = *open_listener(where, {});
  Dialer dialer;
  dialer.connect = connect(loop, where, &dialer);
  CHECK(dialer.calls == 0);
  REQUIRE(run_until(loop, [&] { return dialer.stream != nullptr; }));
  int served = ::accept(listening, nullptr, nullptr);
  REQUIRE(served >= 0);
  Recorder events;
  dialer.stream->start(&events);
  REQUIRE(::send(served, "hi", 2, 0) == 2);
  REQUIRE(run_until(loop, [&] { return events.received == "hi"; }));
  auto unheard = connect(loop, where, &dialer);
  unheard.reset();

  ::close(served);
  ::close(listening);
  Dialer dead;
  dead.connect = connect(loop, where, &dead);
  REQUIRE(run_until(loop, [&] { return dead.calls == 1; }));
  CHECK(dead.error.code() == Errc::kConnectRefused);
  CHECK(dialer.calls == 1);
  ::unlink(path.c_str());
  ::rmdir(name);
}
