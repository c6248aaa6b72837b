#include "sluice/loop/acceptor.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "sluice/base/check.h"
#include "sluice/loop/timer.h"

namespace sluice::loop {
namespace {

constexpr int kMostAWake = 64;       // level-triggered: the rest comes with the next turn
constexpr int kMostAtDrain = 65536;  // however fast new ones come
constexpr Duration kFirstWait = std::chrono::milliseconds(10);
constexpr Duration kLongestWait = std::chrono::seconds(1);

}  // namespace

// Lives until libuv let go of the poll; `is_closed` as soon as the Acceptor is gone or drained.
struct Acceptor::Husk {
  Husk(Loop& on, int listening, AcceptorEvents* heard_by)
      : loop(on), events(heard_by), source(listening) {
    retry.emplace(
        loop, [](void* husk) noexcept { static_cast<Husk*>(husk)->watch(); }, this);
    watch();
  }

  // Watches the socket unless paused or waiting.
  void watch() noexcept {
    if (fd < 0 && !open()) return;
    if (is_paused || retry->is_set()) {
      uv_poll_stop(&poll);
    } else {
      SL_CHECK(uv_poll_start(&poll, UV_READABLE, on_ready) == 0);
    }
  }

  bool open() noexcept {
    fd = ::fcntl(source, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) {
      retry->set_after(kLongestWait);
      return false;
    }
    SL_CHECK(uv_poll_init(loop.uv(), &poll, fd) == 0);
    poll.data = this;
    return true;
  }

  static void on_ready(uv_poll_t* handle, int status, int) noexcept {
    auto& husk = *static_cast<Husk*>(handle->data);
    if (status < 0) return husk.back_off(-status);
    husk.accept_some(kMostAWake);
  }

  void accept_some(int most) noexcept {
    // The owner may close or pause in any of the calls.
    for (int i = 0; i < most && !is_closed && !is_paused; ++i) {
      SocketAddress peer;
      socklen_t size = SocketAddress::kCapacity;
      int accepted = ::accept4(fd, peer.raw(), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (accepted >= 0) {
        wait /= 2;
        events->on_accept(accepted, peer);
        continue;
      }
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) back_off(errno);
      return;
    }
  }

  // Out of descriptors or memory, mostly: trying again at once would spin.
  void back_off(int sys) noexcept {
    wait = std::clamp(wait * 2, kFirstWait, kLongestWait);
    retry->set_after(wait);
    watch();
    events->on_accept_error(Error(Errc::kSystem, "accept failed", sys));
  }

  void close() noexcept {
    is_closed = true;
    retry.reset();
    if (fd < 0) return delete this;
    // First the poll: libuv would take the number of a closed descriptor out of its epoll set.
    uv_close(reinterpret_cast<uv_handle_t*>(&poll),
             [](uv_handle_t* handle) noexcept { delete static_cast<Husk*>(handle->data); });
    ::close(fd);
  }

  Loop& loop;
  AcceptorEvents* events;
  int source;   // the caller's descriptor
  int fd = -1;  // our copy; -1 until there was a descriptor for it
  uv_poll_t poll;
  bool is_paused = false;
  bool is_closed = false;
  Duration wait{};
  std::optional<Timer> retry;
};

Acceptor::Acceptor(Loop& loop, int fd, AcceptorEvents* events)
    : husk_(new Husk(loop, fd, events)) {}

Acceptor::~Acceptor() {
  if (husk_ != nullptr) husk_->close();
}

void Acceptor::drain_and_close() {
  Husk* husk = husk_;
  if (husk == nullptr) return;
  husk->is_paused = false;
  if (husk->fd >= 0) husk->accept_some(kMostAtDrain);
  if (husk->is_closed) return;  // destroyed in a call; the husk stays until the loop goes on
  husk_ = nullptr;
  husk->close();
}

void Acceptor::pause() noexcept {
  if (husk_ == nullptr || husk_->is_paused) return;
  husk_->is_paused = true;
  husk_->watch();
}

void Acceptor::resume() noexcept {
  if (husk_ == nullptr || !husk_->is_paused) return;
  husk_->is_paused = false;
  husk_->watch();
}

}  // namespace sluice::loop
