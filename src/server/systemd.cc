#include "sluice/server/systemd.h"

#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>

namespace sluice::server {

PassedSockets take_passed_sockets() {
  char** names = nullptr;
  const int count = sd_listen_fds_with_names(1, &names);
  PassedSockets passed;
  for (int i = 0; i < count; ++i) {
    const char* name = names != nullptr && names[i] != nullptr ? names[i] : "unknown";
    passed[name].push_back(SD_LISTEN_FDS_START + i);
  }
  if (names != nullptr) {
    for (char** name = names; *name != nullptr; ++name) std::free(*name);
    std::free(names);
  }
  return passed;
}

SystemdNotifier::SystemdNotifier() : is_listening_(std::getenv("NOTIFY_SOCKET") != nullptr) {
  uint64_t microseconds = 0;
  if (sd_watchdog_enabled(0, &microseconds) > 0)
    watchdog_ = std::chrono::microseconds(microseconds);
}

void SystemdNotifier::ready(const std::string& status) {
  last_status_ = status;
  sd_notifyf(0, "READY=1\nSTATUS=%s\nMAINPID=%lu", status.c_str(),
             static_cast<unsigned long>(getpid()));
}

void SystemdNotifier::reloading() { sd_notify(0, reloading_message(monotonic_now()).c_str()); }

void SystemdNotifier::stopping(const std::string& status) {
  last_status_ = status;
  sd_notifyf(0, "STOPPING=1\nSTATUS=%s", status.c_str());
}

void SystemdNotifier::status(const std::string& status) {
  if (status == last_status_) return;
  last_status_ = status;
  sd_notifyf(0, "STATUS=%s", status.c_str());
}

void SystemdNotifier::alive() { sd_notify(0, "WATCHDOG=1"); }

std::string reloading_message(TimePoint now) {
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch());
  return "RELOADING=1\nMONOTONIC_USEC=" + std::to_string(us.count());
}

}  // namespace sluice::server
