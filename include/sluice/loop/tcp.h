// Streams over sockets: adopting an accepted descriptor, and connecting.
//
// TCP sockets get TCP_NODELAY. Thread: the loop's. All functions take descriptors over.
#pragma once

#include <memory>

#include "sluice/base/address.h"
#include "sluice/base/error.h"
#include "sluice/loop/loop.h"
#include "sluice/loop/stream.h"

namespace sluice::loop {

// Wraps a connected, non-blocking stream socket (TCP or unix). Closes `fd` on failure.
Result<std::unique_ptr<Stream>> adopt_socket(Loop& loop, int fd);

// Called once, never inside connect(), and not after the Connect was destroyed.
class ConnectEvents {
 public:
  virtual void on_connected(std::unique_ptr<Stream> stream) noexcept = 0;
  virtual void on_connect_failed(Error error) noexcept = 0;  // kConnectRefused, kConnectFailed

 protected:
  ~ConnectEvents() = default;
};

// A connection being made; destroying it gives up. Deadlines are the caller's.
class Connect {
 public:
  virtual ~Connect() = default;
};

std::unique_ptr<Connect> connect(Loop& loop, const SocketAddress& address, ConnectEvents* events);

}  // namespace sluice::loop
