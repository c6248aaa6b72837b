#include "sluice/server/sockets.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>
#include <utility>

#include <fmt/format.h>

#include "sluice/base/check.h"
#include "sluice/loop/acceptor.h"

namespace sluice::server {

namespace {

using Kind = config::BindAddress::Kind;

OpenedSockets failed(std::string problem) { return {nullptr, std::move(problem)}; }

OpenedSockets take_passed(const OpenRequest& request) {
  const std::string& name = request.bind.path;
  if (request.passed != nullptr) {
    const auto it = request.passed->find(name);
    if (it != request.passed->end()) {
      auto sockets = std::make_shared<Sockets>(request.bind, std::move(it->second));
      request.passed->erase(it);
      return {std::move(sockets), {}};
    }
  }
  std::string got;
  if (request.passed != nullptr) {
    for (const auto& [passed, fds] : *request.passed) got += (got.empty() ? "" : ", ") + passed;
  }
  return failed(fmt::format(
      "systemd passed no socket of the name \"{}\" ({}); set FileDescriptorName={} in the .socket "
      "unit",
      name, got.empty() ? "it passed none" : "it passed: " + got, name));
}

std::string explain(const config::BindAddress& bind, Error error) {
  const std::string what = error.sys() != 0 ? std::strerror(error.sys()) : error.text();
  std::string problem = fmt::format("cannot listen on {}: {}", bind.text(), what);
  switch (error.sys()) {
    case EADDRINUSE: {
      const std::string who = bind.kind == Kind::kTcp ? who_listens_on(bind.port) : "";
      problem += who.empty() ? "; another program listens there" : "; " + who + " listens there";
      return problem + ": stop it or choose another address";
    }
    case EADDRNOTAVAIL:
      return problem + "; no interface of this host has that address";
    case EACCES:
      return problem + (bind.kind == Kind::kTcp
                            ? "; ports below 1024 need root or CAP_NET_BIND_SERVICE"
                            : "; this user may not write to that folder");
    case ENOENT:
      return problem + "; the folder of the socket does not exist";
    default:
      return problem;
  }
}

std::optional<SocketAddress> to_address(const config::BindAddress& bind) {
  if (bind.kind == Kind::kUnix) return SocketAddress::from_path(bind.path);
  return SocketAddress::from_ip(bind.host, bind.port);
}

uint64_t inode_of(const std::string& path) {
  struct stat info;
  return lstat(path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode) ? info.st_ino : 0;
}

void close_all(const std::vector<int>& fds) {
  for (int fd : fds) ::close(fd);
}

}  // namespace

OpenedSockets open_sockets(const OpenRequest& request) {
  const config::BindAddress& bind = request.bind;
  if (bind.kind == Kind::kSystemd) return take_passed(request);
  const auto address = to_address(bind);
  if (!address) return failed(fmt::format("cannot listen on {}: not an address", bind.text()));
  loop::ListenOptions options;
  options.unix_mode = request.unix_mode;
  auto first = loop::open_listener(*address, options);
  if (!first) return failed(explain(bind, first.error()));
  std::vector<int> fds{*first};
  while (bind.kind == Kind::kTcp && fds.size() < request.workers) {
    auto next = loop::open_sibling(fds.front(), options);
    if (!next) {
      close_all(fds);
      return failed(explain(bind, next.error()));
    }
    fds.push_back(*next);
  }
  return {std::make_shared<Sockets>(bind, std::move(fds)), {}};
}

Sockets::Sockets(config::BindAddress bind, std::vector<int> fds)
    : bind_(std::move(bind)), fds_(std::move(fds)) {
  SL_CHECK(!fds_.empty());
  text_ = bind_.kind == Kind::kTcp ? loop::local_address(fds_.front()).to_string() : bind_.text();
  if (bind_.kind == Kind::kUnix) file_ = inode_of(bind_.path);
}

Sockets::~Sockets() { close(); }

void Sockets::close() noexcept {
  // Another program may have put its own socket there since.
  if (file_ != 0 && inode_of(bind_.path) == file_) unlink(bind_.path.c_str());
  file_ = 0;
  close_all(std::exchange(fds_, {}));
}

// Who listens there -------------------------------------------------------------------------------

namespace {

// The inode of a listening socket from /proc/net/tcp: "sl local:port remote:port st ... inode".
std::optional<std::string> listening_inode(const char* table, uint16_t port) {
  std::ifstream file(table);
  const std::string wanted = fmt::format(":{:04X}", port);
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::string number, local, remote, state, skipped, inode;
    fields >> number >> local >> remote >> state;
    for (int i = 0; i < 5; ++i) fields >> skipped;
    fields >> inode;
    if (state == "0A" && local.ends_with(wanted)) return inode;
  }
  return std::nullopt;
}

bool has_socket(const std::string& process, const std::string& link_text) {
  const std::string folder = process + "/fd";
  DIR* dir = opendir(folder.c_str());
  if (dir == nullptr) return false;
  bool found = false;
  while (const dirent* entry = readdir(dir)) {
    char target[64];
    const ssize_t size = readlinkat(dirfd(dir), entry->d_name, target, sizeof target);
    if (size > 0 && std::string_view(target, static_cast<size_t>(size)) == link_text) found = true;
    if (found) break;
  }
  closedir(dir);
  return found;
}

std::string program_name(const std::string& process) {
  std::ifstream file(process + "/comm");
  std::string name;
  std::getline(file, name);
  return name.empty() ? "a program" : name;
}

}  // namespace

std::string who_listens_on(uint16_t port) {
  auto inode = listening_inode("/proc/net/tcp", port);
  if (!inode) inode = listening_inode("/proc/net/tcp6", port);
  DIR* proc = inode ? opendir("/proc") : nullptr;
  if (proc == nullptr) return {};
  const std::string link_text = "socket:[" + *inode + "]";
  std::string who;
  while (const dirent* entry = readdir(proc)) {
    const std::string_view pid = entry->d_name;
    if (pid.find_first_not_of("0123456789") != std::string_view::npos) continue;
    const std::string process = "/proc/" + std::string(pid);
    if (!has_socket(process, link_text)) continue;
    who = fmt::format("{} (pid {})", program_name(process), pid);
    break;
  }
  closedir(proc);
  return who;
}

}  // namespace sluice::server
