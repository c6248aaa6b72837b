// The descriptors that sluice listens with: opened by the control thread, used by every worker.
//
// Owner: control, by shared_ptr in its listener set; a reload that keeps an address keeps its
// Sockets. Acceptors work on duplicates, so closing these closes nothing that a worker still
// drains. Thread: control.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sluice/config/config.h"

namespace sluice::server {

// What systemd passed us (sd_listen_fds), by FileDescriptorName=. Taken by the first that asks.
using PassedSockets = std::map<std::string, std::vector<int>>;

class Sockets {
 public:
  Sockets(config::BindAddress bind, std::vector<int> fds);
  ~Sockets();  // closes
  Sockets(const Sockets&) = delete;
  Sockets& operator=(const Sockets&) = delete;

  // Lets go of the address: the last acceptor that closes frees it for others. Removes the file of
  // a unix socket. Idempotent; no fd_for() after it.
  void close() noexcept;

  const config::BindAddress& bind() const noexcept { return bind_; }
  // Workers share a descriptor where there are fewer of them: unix sockets, passed ones.
  int fd_for(uint32_t worker) const noexcept { return fds_[worker % fds_.size()]; }
  // Where it really listens: with the port that the kernel chose for port 0.
  const std::string& text() const noexcept { return text_; }

 private:
  config::BindAddress bind_;
  std::vector<int> fds_;
  std::string text_;
  uint64_t file_ = 0;  // of a unix socket: the inode that we made, 0 when it is not ours to remove
};

struct OpenRequest {
  const config::BindAddress& bind;
  uint32_t workers = 1;
  unsigned unix_mode = 0666;
  PassedSockets* passed = nullptr;
};

// One of the two: sockets, or what is wrong and what to do about it, in one line.
struct OpenedSockets {
  std::shared_ptr<Sockets> sockets;
  std::string problem;
};
OpenedSockets open_sockets(const OpenRequest& request);

// "nginx (pid 812)" for the process that listens on a TCP port, "" when it cannot be found out.
std::string who_listens_on(uint16_t port);

}  // namespace sluice::server
