// The whole program but its main(), over real sockets, in a child process.
#include "sluice/orders/server.h"

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fcntl.h>

#include "sluice/orders/request_json.h"
#include "support.h"

using namespace sluice;
using namespace sluice::orders;

namespace {

// A server in a process of its own; ended by the destructor at the latest.
class Process {
 public:
  explicit Process(ServeOptions options) {
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    child_ = fork();
    REQUIRE(child_ >= 0);
    if (child_ == 0) {
      ::close(ends[0]);
      _exit(serve(std::move(options), ends[1]));
    }
    ::close(ends[1]);
    char text[256];
    const ssize_t size = ::read(ends[0], text, sizeof text);
    ::close(ends[0]);
    REQUIRE(size > 0);
    said_.assign(text, static_cast<size_t>(size));
  }
  ~Process() {
    if (child_ > 0) {
      ::kill(child_, SIGKILL);
      waitpid(child_, nullptr, 0);
    }
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // Its address, or why it did not start.
  const std::string& said() const { return said_; }
  uint16_t port() const {
    return static_cast<uint16_t>(std::stoi(said_.substr(said_.rfind(':') + 1)));
  }
  void signal(int number) const { REQUIRE(::kill(child_, number) == 0); }
  // The exit code, or 1000 plus the signal.
  int wait() {
    int status = 0;
    REQUIRE(waitpid(child_, &status, 0) == child_);
    child_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  }

 private:
  static int serve(ServeOptions options, int out) {
    dup2(::open("/dev/null", O_WRONLY), STDOUT_FILENO);
    Server server(std::move(options));
    const std::string problem = server.start();
    const std::string& text = problem.empty() ? server.address() : problem;
    if (::write(out, text.data(), text.size()) < 0) return 3;
    ::close(out);
    if (!problem.empty()) return 1;
    server.run();
    return 0;
  }

  pid_t child_ = -1;
  std::string said_;
};

class Client {
 public:
  explicit Client(uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const SocketAddress address = *SocketAddress::from_ip("127.0.0.1", port);
    is_connected_ = ::connect(fd_, address.raw(), address.size()) == 0;
  }
  ~Client() { ::close(fd_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool is_connected() const { return is_connected_; }
  void send(const std::string& text) {
    REQUIRE(::send(fd_, text.data(), text.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(text.size()));
  }
  // Until `end` stands in what came, or the connection ends; at most 20 s.
  std::string receive(std::string_view end) {
    while (received_.find(end) == std::string::npos) {
      pollfd ready{fd_, POLLIN, 0};
      if (::poll(&ready, 1, 20'000) != 1) break;
      char bytes[4096];
      const ssize_t size = ::recv(fd_, bytes, sizeof bytes, 0);
      if (size <= 0) break;
      received_.append(bytes, static_cast<size_t>(size));
    }
    return std::exchange(received_, {});
  }

 private:
  int fd_;
  bool is_connected_ = false;
  std::string received_;
};

ServeOptions options_for(const test::TemporaryFolder& folder) {
  ServeOptions options;
  options.listen = *SocketAddress::from_ip("127.0.0.1", 0);
  options.database = "sqlite:" + folder.file("orders.db");
  options.name = "a";
  options.seed = default_seed();
  return options;
}

std::string get(const char* path) {
  return std::string("GET ") + path + " HTTP/1.1\r\nHost: x\r\n\r\n";
}

std::string post_order(const std::string& key, const std::string& body) {
  return "POST /orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nIdempotency-Key: " +
         key + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

const std::string kOrder = R"({"user_id":"u1","items":[{"product_id":"p1","quantity":1}]})";

}  // namespace

TEST_CASE("orders/server: an order over the wire, on one connection") {
  test::TemporaryFolder folder;
  Process process(options_for(folder));
  Client client(process.port());
  REQUIRE(client.is_connected());
  client.send(get("/healthz"));
  CHECK(client.receive("ok\n").starts_with("HTTP/1.1 200 "));
  client.send(post_order("k1", kOrder));
  std::string answer = client.receive("]}");
  CHECK(answer.starts_with("HTTP/1.1 201 "));
  CHECK(answer.find("X-Backend: a\r\n") != std::string::npos);
  CHECK(answer.find("Location: /orders/") != std::string::npos);
  client.send(post_order("k1", kOrder));
  answer = client.receive("]}");
  CHECK(answer.find("Idempotency-Replayed: true\r\n") != std::string::npos);
  client.send(post_order("k2", std::string(1 << 20, ' ')));
  answer = client.receive("}");
  CHECK(answer.starts_with("HTTP/1.1 413 "));
  CHECK(answer.find("application/problem+json") != std::string::npos);
  client.send("HEAD /products HTTP/1.1\r\nHost: x\r\n\r\n" + get("/status"));
  answer = client.receive("\"drift\":0}");
  CHECK(answer.starts_with("HTTP/1.1 200 "));
  CHECK(answer.find("{\"products\"") == std::string::npos);
  CHECK(answer.find("\"accepted\":1") != std::string::npos);
  process.signal(SIGTERM);
  CHECK(process.wait() == 0);
}

TEST_CASE("orders/server: TERM lets the answer in flight out, accepts no more, and ends with 0") {
  test::TemporaryFolder folder;
  Process process(options_for(folder));
  Client idle(process.port()), busy(process.port());
  idle.send(get("/healthz"));
  CHECK(idle.receive("ok\n").starts_with("HTTP/1.1 200 "));
  // The order has to wait until this transaction is over.
  OrderWriter holder = test::writer_on(folder.file("orders.db"));
  REQUIRE(holder.begin());
  busy.send(post_order("k1", kOrder) + get("/healthz"));
  idle.send(get("/healthz"));  // answered after the other was read
  CHECK(idle.receive("ok\n").starts_with("HTTP/1.1 200 "));
  process.signal(SIGTERM);
  CHECK(idle.receive("never").empty());  // closed
  CHECK_FALSE(Client(process.port()).is_connected());
  holder.rollback();
  const std::string answer = busy.receive("never");
  CHECK(answer.starts_with("HTTP/1.1 201 "));
  CHECK(answer.find("Connection: close\r\n") != std::string::npos);
  CHECK(answer.find("ok\n") == std::string::npos);
  CHECK(process.wait() == 0);
  CHECK((*test::reader_on(folder.file("orders.db")).product("p1"))->stock == 999);
}

TEST_CASE("orders/server: a second signal ends it at once") {
  test::TemporaryFolder folder;
  ServeOptions options = options_for(folder);
  options.delay = std::chrono::minutes(1);
  Process process(std::move(options));
  Client busy(process.port());
  busy.send(get("/products"));
  Client probe(process.port());
  probe.send(get("/healthz"));
  CHECK(probe.receive("ok\n").starts_with("HTTP/1.1 200 "));
  const TimePoint begin = monotonic_now();
  process.signal(SIGTERM);
  CHECK(probe.receive("never").empty());  // the first was heard
  process.signal(SIGINT);
  CHECK(process.wait() == 0);
  CHECK(monotonic_now() - begin < std::chrono::seconds(4));
  CHECK(busy.receive("never").empty());
}

TEST_CASE("orders/server: what is not answered in time after TERM is cut, and it ends with 0") {
  test::TemporaryFolder folder;
  ServeOptions options = options_for(folder);
  options.delay = std::chrono::minutes(1);
  options.drain_timeout = std::chrono::milliseconds(20);
  Process process(std::move(options));
  Client busy(process.port()), probe(process.port());
  busy.send(get("/products"));
  probe.send(get("/healthz"));
  CHECK(probe.receive("ok\n").starts_with("HTTP/1.1 200 "));
  process.signal(SIGTERM);
  CHECK(process.wait() == 0);
  CHECK(busy.receive("never").empty());
}

TEST_CASE("orders/server: an address in use is one line that names it") {
  test::TemporaryFolder folder;
  Process first(options_for(folder));
  ServeOptions options = options_for(folder);
  options.listen.set_port(first.port());
  options.database = "sqlite:" + folder.file("other.db");
  Process second(std::move(options));
  CHECK(second.said() == "cannot listen on " + first.said() +
                             ": Address already in use; another program listens there");
  CHECK(second.wait() == 1);
  CHECK_FALSE(std::filesystem::exists(folder.file("other.db")));
}

TEST_CASE("orders/server: a unix socket, whose file goes with the process") {
  test::TemporaryFolder folder;
  ServeOptions options = options_for(folder);
  const std::string path = folder.file("o.sock");
  options.listen = *SocketAddress::from_path(path);
  Process process(std::move(options));
  CHECK(process.said() == "unix:" + path);
  CHECK(std::filesystem::exists(path));
  process.signal(SIGTERM);
  CHECK(process.wait() == 0);
  CHECK_FALSE(std::filesystem::exists(path));
}
