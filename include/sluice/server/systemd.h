// What sluice tells systemd, and the sockets that it gets from there. Without systemd nothing
// happens: each call looks at NOTIFY_SOCKET first.
//
// Owner and thread: control.
#pragma once

#include <string>

#include "sluice/base/clock.h"
#include "sluice/server/sockets.h"

namespace sluice::server {

// Takes over LISTEN_FDS and removes its variables, so that no child sees them.
PassedSockets take_passed_sockets();

class SystemdNotifier {
 public:
  SystemdNotifier();
  bool is_listening() const noexcept { return is_listening_; }
  void ready(const std::string& status);
  void reloading();
  void stopping(const std::string& status);
  // One line for `systemctl status`; sent only when it differs from the last.
  void status(const std::string& status);
  void alive();
  // How often alive() is expected, 0 when not at all.
  Duration watchdog_interval() const noexcept { return watchdog_; }

 private:
  bool is_listening_;
  Duration watchdog_{0};
  std::string last_status_;
};

// RELOADING=1 with the time that systemd compares with (Type=notify-reload). Pure.
std::string reloading_message(TimePoint now);

}  // namespace sluice::server
