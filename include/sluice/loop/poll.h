// Readiness of a descriptor that somebody else owns (libpq, hiredis, a signal pipe).
#pragma once

#include <functional>
#include <memory>

#include "sluice/loop/loop.h"

namespace sluice::loop {

class Poll {
 public:
  // `ready(readable, writable)`: level-triggered. The descriptor must stay open until the Poll is
  // gone.
  Poll(Loop& loop, int fd, std::function<void(bool readable, bool writable)> ready);
  ~Poll();
  Poll(const Poll&) = delete;
  Poll& operator=(const Poll&) = delete;
  // What to wait for; both false stops.
  void want(bool readable, bool writable) noexcept;

 private:
  struct Husk;
  Husk* husk_;
};

}  // namespace sluice::loop
