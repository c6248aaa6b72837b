#include "sluice/loop/poll.h"

#include <uv.h>

#include "sluice/base/check.h"

namespace sluice::loop {

struct Poll::Husk {
  uv_poll_t poll;
  Poll* owner;
  std::function<void(bool, bool)> ready;  // here, since it may destroy the Poll
  int wanted = 0;

  void start() noexcept { SL_CHECK(uv_poll_start(&poll, wanted, on_ready) == 0); }

  static void on_ready(uv_poll_t* handle, int status, int events) noexcept {
    auto& husk = *static_cast<Husk*>(handle->data);
    if (husk.owner == nullptr) return;
    if (status < 0) husk.start();  // libuv stops at an error, but we are level-triggered
    // An error or a hang-up shows itself to whoever reads or writes.
    if (status < 0 || events == 0) events = husk.wanted;
    husk.ready((events & UV_READABLE) != 0, (events & UV_WRITABLE) != 0);
  }
};

Poll::Poll(Loop& loop, int fd, std::function<void(bool, bool)> ready)
    : husk_(new Husk{{}, this, std::move(ready)}) {
  SL_CHECK(uv_poll_init(loop.uv(), &husk_->poll, fd) == 0);
  husk_->poll.data = husk_;
}

Poll::~Poll() {
  husk_->owner = nullptr;
  uv_close(reinterpret_cast<uv_handle_t*>(&husk_->poll),
           [](uv_handle_t* handle) noexcept { delete static_cast<Husk*>(handle->data); });
}

void Poll::want(bool readable, bool writable) noexcept {
  int wanted = (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0);
  if (wanted == husk_->wanted) return;
  husk_->wanted = wanted;
  if (wanted == 0) {
    uv_poll_stop(&husk_->poll);
  } else {
    husk_->start();
  }
}

}  // namespace sluice::loop
