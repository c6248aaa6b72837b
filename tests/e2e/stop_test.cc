// How sluice starts, stops and is told things by signals.
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/e2e/harness/e2e.h"

using namespace e2e;

namespace {

constexpr const char* kOnePool = R"(
workers: 1
drain_timeout: @drain
pools:
  app: {endpoints: [{address: "@a", name: a}], health: {type: off}}
)";

bool is_refused(uint16_t port) {
  try {
    Wire::to_port(port);
    return false;
  } catch (const Failure&) {
    return true;
  }
}

}  // namespace

TEST_CASE("e2e/stop: TERM and INT answer what is in flight with Connection: close, then exit 0") {
  for (const int number : {SIGTERM, SIGINT}) {
    CAPTURE(number);
    Gate go_on;
    Origin origin([&](OriginConn& c) {
      c.expect_request();
      c.reply("first");
      c.expect_request();
      go_on.wait();
      c.reply("last");
      c.wait_for_end();
    });
    Sluice sluice(kOnePool, {{"a", origin.address()}, {"drain", "20s"}});
    const uint16_t port = sluice.port();
    Wire busy = Wire::to_port(port), idle = Wire::to_port(port);
    idle.send(request_text());
    CHECK(idle.read_response().body == "first");
    busy.send(request_text());
    origin.wait_for_requests(2);
    sluice.signal(number);
    idle.expect_close();
    CHECK(eventually([&] { return is_refused(port); }));
    CHECK_FALSE(sluice.wait(milliseconds(50)).has_value());  // it waits for the answer
    go_on.open();
    const Message last = busy.read_response();
    CHECK(last.body == "last");
    CHECK(last.field("Connection") == "close");
    busy.expect_close();
    CHECK(sluice.wait() == 0);
  }
}

TEST_CASE("e2e/stop: while it drains /readyz says so and nothing is reloaded") {
  SimpleOrigin origin;
  origin.set_delay(milliseconds(600));
  Sluice sluice(kOnePool, {{"a", origin.address()}, {"drain", "20s"}});
  Wire busy = Wire::to_port(sluice.port());
  busy.send(request_text());
  REQUIRE(eventually([&] { return origin.requests() == 1; }));
  CHECK(sluice.admin("GET", "/readyz").status == 200);
  sluice.signal(SIGTERM);
  CHECK(eventually([&] { return sluice.admin("GET", "/readyz").status == 503; }));
  CHECK(sluice.admin("GET", "/healthz").status == 200);
  CHECK(sluice.reload().status != 200);
  CHECK(busy.read_response().status == 200);
  CHECK(sluice.wait() == 0);
}

TEST_CASE("e2e/stop: shutdown_delay keeps accepting while /readyz already fails") {
  SimpleOrigin origin;
  Sluice sluice(std::string("shutdown_delay: 600ms") + kOnePool,
                {{"a", origin.address()}, {"drain", "1s"}});
  const uint16_t port = sluice.port();
  sluice.signal(SIGTERM);
  CHECK(eventually([&] { return sluice.admin("GET", "/readyz").status == 503; }));
  CHECK(get(port).status == 200);
  CHECK(sluice.wait() == 0);
}

TEST_CASE("e2e/stop: the drain has a deadline") {
  SimpleOrigin origin;
  origin.set_delay(seconds(60));
  Sluice sluice(kOnePool, {{"a", origin.address()}, {"drain", "200ms"}});
  Wire busy = Wire::to_port(sluice.port());
  busy.send(request_text());
  REQUIRE(eventually([&] { return origin.requests() == 1; }));
  const auto took = time_of([&] {
    sluice.signal(SIGTERM);
    CHECK(sluice.wait() == 0);
  });
  CHECK(took >= milliseconds(190));
  CHECK(took < seconds(3 * kSlow));
}

TEST_CASE("e2e/stop: a second signal stops at once") {
  SimpleOrigin origin;
  origin.set_delay(seconds(60));
  Sluice sluice(kOnePool, {{"a", origin.address()}, {"drain", "60s"}});
  Wire busy = Wire::to_port(sluice.port());
  busy.send(request_text());
  REQUIRE(eventually([&] { return origin.requests() == 1; }));
  sluice.signal(SIGTERM);
  REQUIRE(eventually([&] { return sluice.admin("GET", "/readyz").status == 503; }));
  sluice.signal(SIGTERM);
  CHECK(sluice.wait(seconds(3 * kSlow)) == 0);
}

TEST_CASE("e2e/stop: under load no request that was accepted is lost") {
  SimpleOrigin origin;
  origin.set_delay(milliseconds(20));
  Sluice sluice(kOnePool, {{"a", origin.address()}, {"drain", "5s"}});
  std::vector<Wire> clients;
  for (int i = 0; i < 50; ++i) clients.push_back(Wire::to_port(sluice.port()));
  for (Wire& client : clients) client.send(request_text());
  REQUIRE(eventually([&] { return origin.requests() >= 50; }));
  sluice.signal(SIGTERM);
  for (Wire& client : clients) CHECK(client.read_response().complete);
  CHECK(sluice.wait() == 0);
}

TEST_CASE("e2e/signals: USR1 opens the access log anew, for logrotate") {
  SimpleOrigin origin;
  Sluice sluice(kOnePool, {{"a", origin.address()}, {"drain", "1s"}});
  get(sluice.port(), "/before");
  sluice.log(1);
  const std::string old = sluice.path("access.log.1");
  REQUIRE(std::rename(sluice.path("access.log").c_str(), old.c_str()) == 0);
  sluice.signal(SIGUSR1);
  CHECK(eventually([&] {
    get(sluice.port(), "/after");
    return sluice.log_text().find("/after") != std::string::npos;
  }));
  CHECK(read_file(old).find("/before") != std::string::npos);
  CHECK(sluice.log_text().find("/before") == std::string::npos);
}

TEST_CASE("e2e/signals: USR2 is ignored with a line, as long as there is no hand-over") {
  SimpleOrigin origin;
  Sluice sluice(kOnePool, {{"a", origin.address()}, {"drain", "1s"}});
  sluice.signal(SIGUSR2);
  CHECK(eventually([&] { return sluice.err().find("SIGUSR2") != std::string::npos; }));
  CHECK(get(sluice.port()).status == 200);
}

TEST_CASE("e2e/start: an address in use is an error that names it, exit code 1") {
  Listening taken = listen_on_loopback();
  const std::string address = "127.0.0.1:" + std::to_string(taken.port);
  TempDir dir;
  write_file(dir.path("s.yaml"), "listeners: [{bind: \"" + address +
                                     "\"}]\npools: {a: {endpoints: [{address: \"127.0.0.1:1\"}]}}\n"
                                     "admin: {bind: \"unix:" +
                                     dir.path("admin.sock") + "\"}\n");
  const Finished finished = run({program("SLUICE"), "serve", "-c", dir.path("s.yaml")});
  CHECK(finished.exit_code == 1);
  CHECK(finished.err.find(address) != std::string::npos);
  CHECK(finished.err.find("listens there") != std::string::npos);
}

TEST_CASE("e2e/start: systemd is told READY=1, a status, and STOPPING=1") {
  TempDir dir;
  const std::string path = dir.path("notify");
  Fd notify(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(bind(notify.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  write_file(dir.path("s.yaml"),
             "listeners: [{bind: \"127.0.0.1:0\"}]\npools: {a: {endpoints: [{address: "
             "\"127.0.0.1:1\"}], health: {type: off}}}\nadmin: {bind: \"unix:" +
                 dir.path("admin.sock") + "\"}\n");
  Process process({program("SLUICE"), "serve", "-c", dir.path("s.yaml")}, dir.path("out"),
                  dir.path("err"), {{"NOTIFY_SOCKET", path}});
  std::string told;
  const auto hears = [&](const std::string& text) {
    return eventually([&] {
      char bytes[4096];
      const ssize_t got = recv(notify.get(), bytes, sizeof bytes, 0);
      if (got > 0) told.append(bytes, static_cast<size_t>(got)) += '\n';
      return told.find(text) != std::string::npos;
    });
  };
  CHECK(hears("READY=1"));
  CHECK(hears("STATUS="));
  process.signal(SIGHUP);
  CHECK(hears("RELOADING=1"));
  CHECK(hears("MONOTONIC_USEC="));
  process.signal(SIGTERM);
  CHECK(hears("STOPPING=1"));
  CHECK(process.wait(kPatience) == 0);
}
