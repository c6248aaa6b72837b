// Listening sockets: opened by us (SO_REUSEPORT, one a worker), accepted from on a loop.
//
// open_listener() runs on the control thread at start and reload; an Acceptor belongs to one
// worker's loop. On EMFILE or ENFILE accepting pauses, with a doubling wait up to 1 s that decays
// on success (habit of varnish's acceptor), so that the loop does not spin; each pause is counted
// by the caller.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "sluice/base/address.h"
#include "sluice/base/error.h"
#include "sluice/loop/loop.h"

namespace sluice::loop {

struct ListenOptions {
  int backlog = 4096;
  bool reuse_port = true;     // TCP only
  unsigned unix_mode = 0666;  // of the socket file
};

// A listening descriptor. An address in use is an error that says so (kSystem with EADDRINUSE);
// since SO_REUSEPORT would hide another process of the same user listening there, the first socket
// of an address is bound without it and then marked (see .cc). A stale unix socket file, that
// nobody answers on, is replaced.
// `siblings` is how many more sockets will share the address (workers - 1).
Result<int> open_listener(const SocketAddress& address, const ListenOptions& options);
// Another socket on the address of `fd` (same port when it was 0), sharing its load.
Result<int> open_sibling(int fd, const ListenOptions& options);
// Where a descriptor listens, with the port the kernel chose.
SocketAddress local_address(int fd);

class AcceptorEvents {
 public:
  // `fd` is connected and non-blocking and now the listener's to close.
  virtual void on_accept(int fd, const SocketAddress& peer) noexcept = 0;
  virtual void on_accept_error(Error error) noexcept = 0;

 protected:
  ~AcceptorEvents() = default;
};

class Acceptor {
 public:
  // Takes a duplicate of `fd`; the original stays with the caller (it is passed on at reload). With
  // no descriptor left for that it tries again every second.
  Acceptor(Loop& loop, int fd, AcceptorEvents* events);
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  // Accepts what the kernel has already queued (on_accept is called in here), also when paused,
  // then closes. Nobody who got a SYN-ACK is lost. The caller closes his own descriptor right after
  // it.
  void drain_and_close();
  // Limits reached: stop taking connections until resume(); they wait in the kernel's queue.
  void pause() noexcept;
  void resume() noexcept;

 private:
  struct Husk;
  Husk* husk_;
};

}  // namespace sluice::loop
