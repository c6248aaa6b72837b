#include "sluice/server/sockets.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "sluice/server/admin_door.h"
#include "sluice/server/systemd.h"

namespace sluice::server {
namespace {

config::BindAddress any_port() {
  config::BindAddress bind;
  bind.host = "127.0.0.1";
  return bind;
}

config::BindAddress port_of(const Sockets& sockets) {
  config::BindAddress bind = any_port();
  const std::string& text = sockets.text();
  bind.port = static_cast<uint16_t>(std::stoi(text.substr(text.rfind(':') + 1)));
  return bind;
}

struct Folder {
  Folder() { REQUIRE(mkdtemp(path.data()) != nullptr); }
  ~Folder() {
    unlink((path + "/s").c_str());
    rmdir((path + "/private").c_str());
    unlink((path + "/link").c_str());
    rmdir(path.c_str());
  }
  std::string path = "/tmp/sluice-sockets.XXXXXX";
};

TEST_CASE("server/sockets: a TCP address gets a descriptor for each worker, on one port") {
  const config::BindAddress bind = any_port();
  const auto opened = open_sockets({.bind = bind, .workers = 3});
  REQUIRE(opened.sockets != nullptr);
  CHECK(opened.sockets->fd_for(0) != opened.sockets->fd_for(1));
  CHECK(opened.sockets->fd_for(3) == opened.sockets->fd_for(0));
  CHECK(opened.sockets->text().rfind("127.0.0.1:", 0) == 0);
  CHECK(port_of(*opened.sockets).port != 0);
}

TEST_CASE("server/sockets: an address in use names the address, the program and the remedy") {
  const config::BindAddress bind = any_port();
  const auto first = open_sockets({.bind = bind, .workers = 2});
  REQUIRE(first.sockets != nullptr);
  const config::BindAddress taken = port_of(*first.sockets);
  const auto second = open_sockets({.bind = taken, .workers = 2});
  CHECK(second.sockets == nullptr);
  CAPTURE(second.problem);
  CHECK(second.problem.find("cannot listen on " + taken.text()) == 0);
  CHECK(second.problem.find("(pid " + std::to_string(getpid()) + ")") != std::string::npos);
  CHECK(second.problem.find("choose another address") != std::string::npos);
}

TEST_CASE("server/sockets: a unix socket has the asked mode, and its file goes with it") {
  Folder folder;
  config::BindAddress bind;
  bind.kind = config::BindAddress::Kind::kUnix;
  bind.path = folder.path + "/s";
  auto opened = open_sockets({.bind = bind, .workers = 2, .unix_mode = 0660});
  REQUIRE(opened.sockets != nullptr);
  struct stat info;
  REQUIRE(lstat(bind.path.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0660);
  CHECK(opened.sockets->fd_for(0) == opened.sockets->fd_for(1));
  opened.sockets.reset();
  CHECK(lstat(bind.path.c_str(), &info) != 0);
}

TEST_CASE("server/sockets: a systemd socket is found by name; a missing one says what there is") {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  PassedSockets passed{{"web", {fd}}};
  config::BindAddress bind;
  bind.kind = config::BindAddress::Kind::kSystemd;
  bind.path = "tls";
  const auto missing = open_sockets({.bind = bind, .workers = 2, .passed = &passed});
  CHECK(missing.problem.find("no socket of the name \"tls\" (it passed: web)") !=
        std::string::npos);
  bind.path = "web";
  const auto found = open_sockets({.bind = bind, .workers = 2, .passed = &passed});
  REQUIRE(found.sockets != nullptr);
  CHECK(found.sockets->fd_for(1) == fd);
  CHECK(found.sockets->text() == "systemd:web");
  CHECK(passed.empty());
}

TEST_CASE("server/admin_door: a private folder is made, and a strange one is not trusted") {
  Folder folder;
  const std::string mine = folder.path + "/private";
  CHECK(claim_private_folder(mine).empty());
  struct stat info;
  REQUIRE(lstat(mine.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0700);
  CHECK(claim_private_folder(mine).empty());
  REQUIRE(chmod(mine.c_str(), 0777) == 0);
  CHECK(claim_private_folder(mine) == mine + ": others may write to it");
  const std::string link = folder.path + "/link";
  REQUIRE(symlink("/tmp", link.c_str()) == 0);
  CHECK(claim_private_folder(link) == link + ": not a folder");
}

TEST_CASE("server/admin_door: only loopback and unix sockets are not public") {
  config::BindAddress bind = any_port();
  CHECK_FALSE(is_public(bind));
  for (const char* host : {"0.0.0.0", "192.0.2.1", "::", "2001:db8::1"}) {
    bind.host = host;
    CHECK(is_public(bind));
  }
  bind.host = "::1";
  CHECK_FALSE(is_public(bind));
  bind.kind = config::BindAddress::Kind::kUnix;
  CHECK_FALSE(is_public(bind));
}

TEST_CASE("server/systemd: RELOADING carries the monotonic time (Type=notify-reload)") {
  CHECK(reloading_message(TimePoint(std::chrono::milliseconds(1500))) ==
        "RELOADING=1\nMONOTONIC_USEC=1500000");
}

}  // namespace
}  // namespace sluice::server
