#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "sluice/loop/acceptor.h"

namespace sluice::loop {
namespace {

// A descriptor which is closed unless released.
class OwnFd {
 public:
  explicit OwnFd(int fd) noexcept : fd_(fd) {}
  OwnFd(const OwnFd&) = delete;
  OwnFd& operator=(const OwnFd&) = delete;
  ~OwnFd() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const noexcept { return fd_; }
  int release() noexcept { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

Error system_error(const char* text) noexcept { return Error(Errc::kSystem, text, errno); }

Error bind_error() noexcept {
  return system_error(errno == EADDRINUSE ? "address already in use" : "bind failed");
}

int new_socket(int family) noexcept {
  return ::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

bool set_on(int fd, int level, int option) noexcept {
  int on = 1;
  return setsockopt(fd, level, option, &on, sizeof on) == 0;
}

Status set_up_tcp(int fd, int family) noexcept {
  if (!set_on(fd, SOL_SOCKET, SO_REUSEADDR)) return system_error("SO_REUSEADDR");
  // "[::]:80" beside "0.0.0.0:80" are two listeners, as in nginx.
  if (family == AF_INET6 && !set_on(fd, IPPROTO_IPV6, IPV6_V6ONLY)) {
    return system_error("IPV6_V6ONLY");
  }
  return Ok{};
}

// The first socket is bound without SO_REUSEPORT, with which it would join whoever of the same user
// listens there already; the mark comes between bind and listen, where the kernel makes the group.
Result<int> open_tcp(const SocketAddress& address, const ListenOptions& options, bool is_first) {
  OwnFd fd(new_socket(address.family()));
  if (fd.get() < 0) return system_error("socket failed");
  SL_TRY([[maybe_unused]] Ok ok, set_up_tcp(fd.get(), address.family()));
  bool is_marked = false;
  if (!is_first) is_marked = set_on(fd.get(), SOL_SOCKET, SO_REUSEPORT);
  if (::bind(fd.get(), address.raw(), address.size()) != 0) return bind_error();
  if (is_first && options.reuse_port) is_marked = set_on(fd.get(), SOL_SOCKET, SO_REUSEPORT);
  if (options.reuse_port && !is_marked) return system_error("SO_REUSEPORT");
  if (::listen(fd.get(), options.backlog) != 0) return bind_error();
  return fd.release();
}

// Whether a socket file is left over from a process that died: connecting is refused.
bool is_stale(const SocketAddress& address) noexcept {
  OwnFd fd(new_socket(AF_UNIX));
  if (fd.get() < 0) return false;
  return ::connect(fd.get(), address.raw(), address.size()) != 0 && errno == ECONNREFUSED;
}

Result<int> open_unix(const SocketAddress& address, const ListenOptions& options) {
  const char* path = reinterpret_cast<const sockaddr_un*>(address.raw())->sun_path;
  OwnFd fd(new_socket(AF_UNIX));
  if (fd.get() < 0) return system_error("socket failed");
  // The file is never more open than asked for: bind makes it with the socket's own mode.
  if (::fchmod(fd.get(), options.unix_mode) != 0) return system_error("mode of the socket");
  if (::bind(fd.get(), address.raw(), address.size()) != 0) {
    struct stat info;
    if (errno != EADDRINUSE) return bind_error();
    if (::lstat(path, &info) == 0 && !S_ISSOCK(info.st_mode)) {
      return Error(Errc::kSystem, "a file that is not a socket is in the way", EADDRINUSE);
    }
    if (!is_stale(address)) return Error(Errc::kSystem, "address already in use", EADDRINUSE);
    if (::unlink(path) != 0 || ::bind(fd.get(), address.raw(), address.size()) != 0) {
      return bind_error();
    }
  }
  if (::chmod(path, options.unix_mode) != 0) return system_error("mode of the socket");
  if (::listen(fd.get(), options.backlog) != 0) return bind_error();
  return fd.release();
}

}  // namespace

Result<int> open_listener(const SocketAddress& address, const ListenOptions& options) {
  if (address.is_unix()) return open_unix(address, options);
  return open_tcp(address, options, true);
}

Result<int> open_sibling(int fd, const ListenOptions& options) {
  SocketAddress address = local_address(fd);
  if (address.is_unix() || !options.reuse_port) {
    int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) return system_error("dup failed");
    return copy;
  }
  return open_tcp(address, options, false);
}

SocketAddress local_address(int fd) {
  SocketAddress address;
  socklen_t size = SocketAddress::kCapacity;
  if (getsockname(fd, address.raw(), &size) != 0) return {};
  return address;
}

}  // namespace sluice::loop
