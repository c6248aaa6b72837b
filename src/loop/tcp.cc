#include "sluice/loop/tcp.h"

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "socket_stream.h"

namespace sluice::loop {
namespace {

// A unix socket refuses it, which does not matter.
void set_no_delay(int fd) noexcept {
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

Error connect_error(int sys) noexcept {
  // ENOENT: a unix socket that nobody made.
  bool is_refused = sys == ECONNREFUSED || sys == ENOENT;
  return is_refused ? Error(Errc::kConnectRefused, "nobody listens there", sys)
                    : Error(Errc::kConnectFailed, "connect failed", sys);
}

// Connecting from a port of the ephemeral range to one in it, where nobody listens, can meet
// itself.
bool is_connected_to_itself(int fd, const SocketAddress& address) noexcept {
  SocketAddress local;
  socklen_t size = SocketAddress::kCapacity;
  return getsockname(fd, local.raw(), &size) == 0 && local == address;
}

// One connection being made. The husk is ours until connected; an outcome that is known inside
// connect() waits for the end of the turn.
class SocketConnect final : public Connect, private Loop::TurnEnd {
 public:
  SocketConnect(Loop& loop, const SocketAddress& address, ConnectEvents* events) noexcept
      : loop_(loop), address_(address), events_(events) {
    int status = address.is_unix() ? connect_unix() : connect_tcp();
    if (status < 0) {
      outcome_ = status;
      loop.at_turn_end(*this);
    }
  }
  ~SocketConnect() override {
    if (request_ != nullptr) request_->owner = nullptr;
    if (husk_ != nullptr) husk_->close();
  }

 private:
  struct Request {
    uv_connect_t uv;
    SocketConnect* owner;
  };

  int connect_tcp() noexcept {
    husk_ = SocketHusk::make(loop_);
    auto* request = new Request{{}, this};  // NOLINT: without memory nothing goes on
    request->uv.data = request;
    int status = uv_tcp_connect(&request->uv, &husk_->tcp, address_.raw(), on_uv_connected);
    if (status < 0) {
      delete request;
      return status;
    }
    request_ = request;
    return 0;
  }

  static void on_uv_connected(uv_connect_t* uv, int status) noexcept {
    auto* request = static_cast<Request*>(uv->data);
    SocketConnect* self = request->owner;
    delete request;
    if (self == nullptr) return;
    self->request_ = nullptr;
    self->end(status);
  }

  // Connects or fails at once: a unix socket has no handshake.
  int connect_unix() noexcept {
    int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    if (::connect(fd, address_.raw(), address_.size()) != 0) {
      int status = -errno;
      ::close(fd);
      return status;
    }
    husk_ = SocketHusk::make(loop_);
    int status = uv_tcp_open(&husk_->tcp, fd);
    if (status < 0) ::close(fd);
    loop_.at_turn_end(*this);
    return status;
  }

  void on_turn_end() noexcept override { end(outcome_); }

  // Calls the owner, who may destroy this in there.
  void end(int status) noexcept {
    if (status == 0 && !address_.is_unix() && is_connected_to_itself(husk_->fd(), address_)) {
      status = -ECONNREFUSED;
    }
    if (status < 0) return events_->on_connect_failed(connect_error(-status));
    if (!address_.is_unix()) set_no_delay(husk_->fd());
    events_->on_connected(std::make_unique<SocketStream>(std::exchange(husk_, nullptr)));
  }

  Loop& loop_;
  SocketAddress address_;
  ConnectEvents* events_;
  SocketHusk* husk_ = nullptr;
  Request* request_ = nullptr;
  int outcome_ = 0;
};

}  // namespace

Result<std::unique_ptr<Stream>> adopt_socket(Loop& loop, int fd) {
  SocketHusk* husk = SocketHusk::make(loop);
  int status = uv_tcp_open(&husk->tcp, fd);
  if (status < 0) {
    husk->close();
    ::close(fd);
    return Error(Errc::kSystem, "not a socket to adopt", -status);
  }
  set_no_delay(fd);
  return std::unique_ptr<Stream>(std::make_unique<SocketStream>(husk));
}

std::unique_ptr<Connect> connect(Loop& loop, const SocketAddress& address, ConnectEvents* events) {
  return std::make_unique<SocketConnect>(loop, address, events);
}

}  // namespace sluice::loop
