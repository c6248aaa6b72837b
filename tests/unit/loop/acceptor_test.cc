#include "sluice/loop/acceptor.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <vector>

#include "support.h"

using namespace sluice;
using namespace sluice::loop;
using namespace sluice::loop::test;

namespace {

struct Door final : AcceptorEvents {
  ~Door() {
    for (int fd : fds) ::close(fd);
  }
  void on_accept(int fd, const SocketAddress& from) noexcept override {
    fds.push_back(fd);
    peer = from;
    if (when_accepted) when_accepted();
  }
  void on_accept_error(Error why) noexcept override {
    ++errors;
    error = why;
  }
  std::vector<int> fds;
  SocketAddress peer;
  int errors = 0;
  Error error;
  std::function<void()> when_accepted;
};

struct TempDir {
  TempDir() {
    char name[] = "/tmp/sluice-loop-XXXXXX";
    REQUIRE(mkdtemp(name) != nullptr);
    path = name;
  }
  ~TempDir() {
    ::unlink((path + "/s").c_str());
    ::rmdir(path.c_str());
  }
  SocketAddress socket() const { return *SocketAddress::from_path(path + "/s"); }
  std::string path;
};

// Blocking; -1 with errno when refused.
int dial(const SocketAddress& address) {
  int fd = ::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (::connect(fd, address.raw(), address.size()) == 0) return fd;
  int why = errno;
  ::close(fd);
  errno = why;
  return -1;
}

const SocketAddress kLoopback = *SocketAddress::from_ip("127.0.0.1", 0);

struct Listening {
  explicit Listening(const SocketAddress& address = kLoopback) {
    auto opened = open_listener(address, {});
    REQUIRE(opened);
    fd = *opened;
    where = local_address(fd);
  }
  ~Listening() { close(); }
  void close() {
    if (fd >= 0) ::close(std::exchange(fd, -1));
  }
  int fd;
  SocketAddress where;
};

}  // namespace

TEST_CASE("loop/acceptor: accepts with the peer's address, non-blocking and closed on exec") {
  Loop loop;
  Listening listening;
  Door door;
  Acceptor acceptor(loop, listening.fd, &door);
  int client = dial(listening.where);
  REQUIRE(run_until(loop, [&] { return door.fds.size() == 1; }));
  CHECK(door.peer == local_address(client));
  CHECK((fcntl(door.fds[0], F_GETFL) & O_NONBLOCK) != 0);
  CHECK((fcntl(door.fds[0], F_GETFD) & FD_CLOEXEC) != 0);
  ::close(client);
}

TEST_CASE("loop/acceptor: more waiting than are taken in a wake all come") {
  Loop loop;
  Listening listening;
  Door door;
  std::vector<int> clients;
  for (int i = 0; i < 150; ++i) clients.push_back(dial(listening.where));
  Acceptor acceptor(loop, listening.fd, &door);
  REQUIRE(run_until(loop, [&] { return door.fds.size() == 150; }));
  for (int fd : clients) ::close(fd);
}

TEST_CASE("loop/acceptor: an address in use is an error that says so, despite SO_REUSEPORT") {
  Listening first;
  auto second = open_listener(first.where, {});
  REQUIRE_FALSE(second);
  CHECK(second.error().code() == Errc::kSystem);
  CHECK(second.error().sys() == EADDRINUSE);
  CHECK(std::string(second.error().text()) == "address already in use");
}

TEST_CASE("loop/acceptor: siblings share one port and its connections") {
  Loop loop;
  Listening first;
  auto sibling = open_sibling(first.fd, {});
  REQUIRE(sibling);
  CHECK(local_address(*sibling) == first.where);
  CHECK_FALSE(open_listener(first.where, {}));
  Door one, other;
  Acceptor a(loop, first.fd, &one), b(loop, *sibling, &other);
  std::vector<int> clients;
  for (int i = 0; i < 100; ++i) clients.push_back(dial(first.where));
  REQUIRE(run_until(loop, [&] { return one.fds.size() + other.fds.size() == 100; }));
  CHECK(one.fds.size() > 10);
  CHECK(other.fds.size() > 10);
  for (int fd : clients) ::close(fd);
  ::close(*sibling);
}

TEST_CASE("loop/acceptor: the port can be taken again while connections linger in TIME_WAIT") {
  SocketAddress where;
  {
    Listening listening;
    where = listening.where;
    int client = dial(where);
    int served = ::accept(listening.fd, nullptr, nullptr);
    ::close(served);  // who closes first keeps TIME_WAIT
    ::close(client);
  }
  auto again = open_listener(where, {});
  REQUIRE(again);
  ::close(*again);
}

TEST_CASE("loop/acceptor: [::] and 0.0.0.0 are two listeners") {
  auto six = open_listener(*SocketAddress::from_ip("::", 0), {});
  if (!six) return;  // no IPv6 here
  auto four = open_listener(*SocketAddress::from_ip("0.0.0.0", local_address(*six).port()), {});
  CHECK(four);
  if (four) ::close(*four);
  ::close(*six);
}

TEST_CASE("loop/acceptor: paused, connections wait in the kernel; resumed, they come") {
  Loop loop;
  Listening listening;
  Door door;
  Acceptor acceptor(loop, listening.fd, &door);
  acceptor.pause();
  acceptor.pause();
  int client = dial(listening.where);
  settle(loop);
  CHECK(door.fds.empty());
  acceptor.resume();
  REQUIRE(run_until(loop, [&] { return door.fds.size() == 1; }));
  ::close(client);
}

TEST_CASE("loop/acceptor: pausing inside on_accept stops at once") {
  Loop loop;
  Listening listening;
  Door door;
  Acceptor acceptor(loop, listening.fd, &door);
  door.when_accepted = [&] { acceptor.pause(); };
  int clients[] = {dial(listening.where), dial(listening.where), dial(listening.where)};
  REQUIRE(run_until(loop, [&] { return door.fds.size() == 1; }));
  settle(loop);
  CHECK(door.fds.size() == 1);
  door.when_accepted = nullptr;
  acceptor.resume();
  REQUIRE(run_until(loop, [&] { return door.fds.size() == 3; }));
  for (int fd : clients) ::close(fd);
}

TEST_CASE("loop/acceptor: drain_and_close() takes what is queued, also when paused, then refuses") {
  Loop loop;
  Listening listening;
  Door door;
  Acceptor acceptor(loop, listening.fd, &door);
  acceptor.pause();
  std::vector<int> clients;
  for (int i = 0; i < 100; ++i) clients.push_back(dial(listening.where));
  listening.close();
  acceptor.drain_and_close();
  CHECK(door.fds.size() == 100);
  CHECK(dial(listening.where) == -1);
  CHECK(errno == ECONNREFUSED);
  acceptor.drain_and_close();
  acceptor.pause();
  acceptor.resume();
  for (int fd : clients) ::close(fd);
}

TEST_CASE("loop/acceptor: destroyed inside on_accept, from a wake or a drain") {
  for (bool is_drain : {false, true}) {
    Loop loop;
    Listening listening;
    Door door;
    auto acceptor = std::make_unique<Acceptor>(loop, listening.fd, &door);
    door.when_accepted = [&] { acceptor.reset(); };
    int clients[] = {dial(listening.where), dial(listening.where)};
    if (is_drain) {
      acceptor->drain_and_close();
    } else {
      REQUIRE(run_until(loop, [&] { return acceptor == nullptr; }));
    }
    settle(loop);
    CHECK(door.fds.size() == 1);
    for (int fd : clients) ::close(fd);
  }
}

TEST_CASE("loop/acceptor: out of descriptors it waits, without spinning, and goes on by itself") {
  Loop loop;
  Listening listening;
  Door door;
  Acceptor acceptor(loop, listening.fd, &door);
  int client = dial(listening.where);
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
  rlimit none = before;
  none.rlim_cur = 0;  // open descriptors stay usable, new ones are EMFILE
  REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
  bool has_failed_thrice = run_until(loop, [&] { return door.errors == 3; });
  REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
  REQUIRE(has_failed_thrice);
  CHECK(door.error.sys() == EMFILE);
  CHECK(door.fds.empty());
  REQUIRE(run_until(loop, [&] { return door.fds.size() == 1; }));
  CHECK(door.errors == 3);
  ::close(client);
}

TEST_CASE("loop/acceptor: made without a descriptor left, it begins when there is one") {
  Loop loop;
  Listening listening;
  Door door;
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
  rlimit none = before;
  none.rlim_cur = 0;
  REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
  Acceptor acceptor(loop, listening.fd, &door);
  auto never = std::make_unique<Acceptor>(loop, listening.fd, &door);
  acceptor.pause();
  acceptor.resume();
  never.reset();
  REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
  int client = dial(listening.where);
  REQUIRE(run_until(loop, [&] { return door.fds.size() == 1; }));
  ::close(client);
}

TEST_CASE("loop/acceptor: a unix socket has the mode asked for, whatever the umask") {
  TempDir dir;
  mode_t before = ::umask(0077);
  ListenOptions options;
  options.unix_mode = 0660;
  auto fd = open_listener(dir.socket(), options);
  ::umask(before);
  REQUIRE(fd);
  struct stat info {};
  REQUIRE(::stat((dir.path + "/s").c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0660);

  Loop loop;
  Door door;
  auto sibling = open_sibling(*fd, options);
  REQUIRE(sibling);
  Acceptor acceptor(loop, *sibling, &door);
  int client = dial(dir.socket());
  REQUIRE(client >= 0);
  REQUIRE(run_until(loop, [&] { return door.fds.size() == 1; }));
  CHECK(door.peer.is_unix());
  ::close(client);
  ::close(*sibling);
  ::close(*fd);
}

TEST_CASE("loop/acceptor: a stale unix socket is replaced; a live one and a plain file are not") {
  TempDir dir;
  auto first = open_listener(dir.socket(), {});
  REQUIRE(first);
  auto second = open_listener(dir.socket(), {});
  REQUIRE_FALSE(second);
  CHECK(second.error().sys() == EADDRINUSE);
  ::close(*first);
  auto third = open_listener(dir.socket(), {});
  REQUIRE(third);
  int client = dial(dir.socket());
  CHECK(client >= 0);
  ::close(client);
  ::close(*third);

  std::string path = dir.path + "/s";
  REQUIRE(::unlink(path.c_str()) == 0);
  int file = ::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  REQUIRE(file >= 0);
  ::close(file);
  auto fourth = open_listener(dir.socket(), {});
  REQUIRE_FALSE(fourth);
  CHECK(std::string(fourth.error().text()) == "a file that is not a socket is in the way");
  CHECK(::access(path.c_str(), F_OK) == 0);
}

TEST_CASE("loop/acceptor: a folder that is not there is an error") {
  auto fd = open_listener(*SocketAddress::from_path("/nonexistent-folder/s"), {});
  REQUIRE_FALSE(fd);
  CHECK(fd.error().sys() == ENOENT);
}
