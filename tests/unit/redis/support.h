// What the tests of redis share: a real server in a private folder, a scripted one, an asker that
// records.
#pragma once

#include <doctest/doctest.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sluice/redis/client.h"
#include "tests/unit/loop/support.h"

namespace sluice::redis::test {

using loop::test::run_until;
using loop::test::settle;
using loop::test::spin_until;
using std::chrono::milliseconds;
using std::chrono::seconds;

// A redis-server on a unix socket in a folder of its own; it does not outlive the test.
class RedisServer {
 public:
  explicit RedisServer(std::vector<std::string> extra = {}) : extra_(std::move(extra)) {
    std::string pattern = (std::filesystem::temp_directory_path() / "redis-test.XXXXXX").string();
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    folder_ = pattern;
    start();
  }
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;
  ~RedisServer() {
    kill();
    std::filesystem::remove_all(folder_);
  }

  void start() {
    std::vector<std::string> words{
        "redis-server",  "--port", "0", "--unixsocket", socket(), "--dir",
        folder_,         "--save", "",  "--appendonly", "no",     "--logfile",
        folder_ + "/log"};
    words.insert(words.end(), extra_.begin(), extra_.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    std::filesystem::remove(socket());
    pid_ = fork();
    REQUIRE(pid_ >= 0);
    if (pid_ > 0) return await_open();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execvp(argv[0], argv.data());
    _exit(127);
  }
  void kill() {
    if (pid_ <= 0) return;
    signal(SIGKILL);
    waitpid(std::exchange(pid_, -1), nullptr, 0);
  }
  // SIGSTOP, SIGCONT.
  void signal(int number) const { ::kill(pid_, number); }

  // Waits until it takes connections.
  void await_open() const {
    const SocketAddress address = *SocketAddress::from_path(socket());
    const TimePoint deadline = monotonic_now() + seconds(20);
    for (bool is_open = false; !is_open;) {
      REQUIRE(monotonic_now() < deadline);
      const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
      is_open = ::connect(fd, address.raw(), address.size()) == 0;
      ::close(fd);
      if (!is_open) ::poll(nullptr, 0, 1);
    }
  }

  std::string socket() const { return folder_ + "/s"; }
  Address address() const {
    Address address;
    address.path = socket();
    return address;
  }

 private:
  std::vector<std::string> extra_;
  std::string folder_;
  pid_t pid_ = -1;
};

// A TCP server that says what the test wants it to say, on a port that the kernel chose.
class Fake {
 public:
  Fake() {
    listening_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    SocketAddress address = *SocketAddress::from_ip("127.0.0.1", 0);
    REQUIRE(::bind(listening_, address.raw(), address.size()) == 0);
    REQUIRE(::listen(listening_, 16) == 0);
    socklen_t size = SocketAddress::kCapacity;
    REQUIRE(getsockname(listening_, address.raw(), &size) == 0);
    port = address.port();
  }
  Fake(const Fake&) = delete;
  Fake& operator=(const Fake&) = delete;
  ~Fake() {
    hang_up();
    ::close(listening_);
  }

  // Takes a connection that has come, and what it has sent.
  bool is_connected() {
    if (fd < 0) fd = ::accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    return fd >= 0;
  }
  bool has(std::string_view text) {
    char bytes[4096];
    ssize_t n = 0;
    while (is_connected() && (n = ::recv(fd, bytes, sizeof bytes, 0)) > 0) {
      received.append(bytes, static_cast<size_t>(n));
    }
    return received.find(text) != std::string::npos;
  }
  bool has_lost(loop::Loop& loop) {
    return spin_until(loop, [&] {
      char byte;
      return ::recv(fd, &byte, 1, 0) == 0;
    });
  }
  // Waits for the next connection and lets it become ready.
  void greet(loop::Loop& loop) {
    hang_up();
    REQUIRE(spin_until(loop, [&] { return has("sluice\r\n"); }));
    received.clear();
    send("+OK\r\n");
  }
  void send(std::string_view text) const {
    CHECK(::send(fd, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
  }
  void hang_up() {
    if (fd >= 0) ::close(std::exchange(fd, -1));
    received.clear();
  }

  Address address() const {
    Address address;
    address.host = "127.0.0.1";
    address.port = port;
    return address;
  }

  uint16_t port;
  int fd = -1;
  std::string received;

 private:
  int listening_;
};

// A reply as text: +status, :1, "bulk", nil, [elements].
inline std::string show(const Reply& reply) {
  switch (reply.type()) {
    case Type::kStatus:
      return "+" + std::string(reply.text());
    case Type::kError:
      return "-" + std::string(reply.text());
    case Type::kInteger:
      return ":" + std::to_string(reply.integer());
    case Type::kBulk:
      return '"' + std::string(reply.text()) + '"';
    case Type::kNil:
      return "nil";
    case Type::kArray:
      break;
  }
  std::string text = "[";
  for (const Reply element : reply) text += (text.size() > 1 ? "," : "") + show(element);
  return text + "]";
}

class Ask final : public Call {
 public:
  explicit Ask(Client& client) : client_(client) {}

  void send(std::initializer_list<Arg> args, Intent intent = Intent::kRead,
            Duration timeout = seconds(20)) {
    fault.reset();
    text.clear();
    ends = 0;
    is_calling_ = true;
    client_.command(args, intent, client_.loop().now() + timeout, *this);
    is_calling_ = false;
  }
  bool wait() {
    return run_until(client_.loop(), [&] { return ends > 0; });
  }
  // The reply, or -token of the fault.
  std::string get(std::initializer_list<Arg> args, Intent intent = Intent::kRead,
                  Duration timeout = seconds(20)) {
    send(args, intent, timeout);
    CHECK(wait());
    return fault ? "-" + std::string(fault_row(*fault).token) : text;
  }

  int ends = 0;
  std::string text;
  std::optional<Fault> fault;
  Slice bytes;
  std::function<void()> when_ended;

 private:
  void on_reply(const Reply& reply) noexcept override {
    bytes = reply.bytes();
    end(show(reply));
  }
  void on_failed(Fault why, std::string_view said) noexcept override {
    fault = why;
    end(std::string(said));
  }
  void end(std::string said) {
    CHECK_FALSE(is_calling_);
    CHECK_FALSE(is_pending());
    ++ends;
    text = std::move(said);
    if (when_ended) when_ended();
  }

  Client& client_;
  bool is_calling_ = false;
};

inline ClientOptions options_for(Address address) {
  ClientOptions options;
  options.link.address = std::move(address);
  options.link.handshake = seconds(10);
  options.link.first_pause = milliseconds(5);
  options.link.longest_pause = milliseconds(50);
  options.breaker = {.failures = 5, .open = milliseconds(20), .longest = milliseconds(40)};
  options.silence = seconds(10);
  return options;
}

// The options of a client that finds nobody.
inline ClientOptions options_for_nobody() {
  ClientOptions options = options_for({});
  options.link.address.path = "/nonexistent/redis.sock";
  options.link.first_pause = options.link.longest_pause = seconds(1);
  return options;
}

// A client with its loop.
struct Bed {
  explicit Bed(ClientOptions options) : client(loop, std::move(options)) { client.start(); }
  explicit Bed(const RedisServer& server) : Bed(options_for(server.address())) { await_up(); }
  explicit Bed(Fake& fake, ClientOptions options) : Bed(with(fake, std::move(options))) {
    fake.greet(loop);
    await_up();
  }
  explicit Bed(Fake& fake) : Bed(fake, options_for(fake.address())) {}

  static ClientOptions with(const Fake& fake, ClientOptions options) {
    options.link.address = fake.address();
    return options;
  }
  void await_ready() {
    REQUIRE(run_until(loop, [&] { return client.is_ready(); }));
  }
  void await_lost() {
    REQUIRE(run_until(loop, [&] { return !client.is_ready(); }));
  }
  // Ready, and the breaker lets everything through: attempts that failed before may have opened it.
  void await_up() {
    Ask ask(client);
    REQUIRE(run_until(loop, [&] {
      if (client.health().is_up) return true;
      if (client.is_ready() && !ask.is_pending()) ask.send({"PING"});
      return false;
    }));
    if (ask.is_pending()) CHECK(ask.wait());
  }

  loop::Loop loop;
  Client client;
};

}  // namespace sluice::redis::test
