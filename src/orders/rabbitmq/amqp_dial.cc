#include "amqp_dial.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

namespace sluice::orders {
namespace {

using Addresses = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

int ms_until(TimePoint deadline) noexcept {
  const Duration left = std::max(deadline - monotonic_now(), Duration(0));
  return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(left).count());
}

// 0 or an errno.
int wait_connected(int fd, TimePoint deadline, int cancel_fd) noexcept {
  pollfd polled[] = {{fd, POLLOUT, 0}, {cancel_fd, POLLIN, 0}};
  int ready = 0;
  do {
    ready = ::poll(polled, 2, ms_until(deadline));
  } while (ready < 0 && errno == EINTR);
  if (ready < 0) return errno;
  if (ready == 0) return ETIMEDOUT;
  if (polled[1].revents != 0) return ECANCELED;
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

int try_one(const addrinfo& address, TimePoint deadline, int cancel_fd, int& error) noexcept {
  const int fd =
      ::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
  if (fd < 0) {
    error = errno;
    return -1;
  }
  const int yes = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
  error = ::connect(fd, address.ai_addr, address.ai_addrlen) == 0 ? 0 : errno;
  if (error == EINPROGRESS) error = wait_connected(fd, deadline, cancel_fd);
  if (error == 0) return fd;
  ::close(fd);
  return -1;
}

}  // namespace

Dialled dial(const AmqpAddress& address, Duration patience, int cancel_fd) {
  const TimePoint deadline = monotonic_now() + patience;
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int code =
      ::getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
  if (code != 0) return {-1, std::string("its name: ") + ::gai_strerror(code)};
  const Addresses all(found, freeaddrinfo);
  int error = ETIMEDOUT;
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    const int fd = try_one(*each, deadline, cancel_fd, error);
    if (fd >= 0) return {fd, {}};
    if (error == ECANCELED) break;
  }
  return {-1, std::string("cannot connect: ") + std::strerror(error)};
}

}  // namespace sluice::orders
