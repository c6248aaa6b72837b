// A descriptor that becomes readable when another thread says so. Any thread, any time.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>

#include "sluice/base/check.h"

namespace sluice::orders {

class EventFd {
 public:
  EventFd() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) { SL_CHECK(fd_ >= 0); }
  ~EventFd() { ::close(fd_); }
  EventFd(const EventFd&) = delete;
  EventFd& operator=(const EventFd&) = delete;

  // Full (which takes 2^64 - 1 calls) is signalled as well.
  void signal() noexcept {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(fd_, &one, sizeof one);
  }
  void clear() noexcept {
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = ::read(fd_, &count, sizeof count);
  }
  int get() const noexcept { return fd_; }

 private:
  int fd_;
};

}  // namespace sluice::orders
