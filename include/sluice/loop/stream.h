// A two-way byte stream with backpressure; TCP and unix sockets now, TLS over a Stream later.
//
// Thread: its loop's. The contract of the calls back:
//   - none is called inside start(), write(), pause(), resume(), finish() or close();
//   - none is called after close(), nor after on_broken();
//   - on_read: any number of times; the bytes may be kept (they hold their chunk), and a listener
//     that keeps nothing lets the loop read into the same chunk again;
//   - on_eof: at most once, after the last on_read; writing still works (half-closed);
//   - on_drained: once each time pending() went above kHighWatermark and is below kLowWatermark
//     again, and once when a finish() or an asked-for flush (notify_flushed) is done;
//   - on_broken: at most once, terminal: reset, write error. Nothing more comes; close() is still
//   owed.
// Lifetime: the owner holds the Stream by unique_ptr and may destroy it at any time, also inside a
// callback of it: the handle under it lives on until libuv lets go.
#pragma once

#include <memory>

#include "sluice/base/address.h"
#include "sluice/base/chain.h"
#include "sluice/base/close_reason.h"
#include "sluice/base/error.h"

namespace sluice::loop {

inline constexpr size_t kHighWatermark = 256 * 1024;  // above: pause who feeds this stream
inline constexpr size_t kLowWatermark = 64 * 1024;    // below: let it go on

class StreamEvents {
 public:
  virtual void on_read(Slice bytes) noexcept = 0;
  virtual void on_eof() noexcept = 0;
  virtual void on_drained() noexcept = 0;
  virtual void on_broken(Error error) noexcept = 0;

 protected:
  ~StreamEvents() = default;
};

// Reading stops while any of these is set, and goes on when all are cleared.
enum class PauseReason : uint8_t {
  backpressure = 1,  // the other side does not take the bytes
  pipelining = 2,    // requests wait for the one under way
  owner = 4,         // the owner has its own reason
};

class Stream {
 public:
  virtual ~Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // Sets who hears and begins to read. To be called once; set_events() changes the listener later.
  virtual void start(StreamEvents* events) noexcept = 0;
  virtual void set_events(StreamEvents* events) noexcept = 0;

  // Sends now what the socket takes and queues the rest. Errors come by on_broken, later.
  virtual void write(Chain&& bytes) noexcept = 0;
  // Bytes queued and not yet taken by the socket.
  virtual size_t pending() const noexcept = 0;
  // Asks for one on_drained when pending() is 0.
  virtual void notify_flushed() noexcept = 0;

  virtual void pause(PauseReason reason) noexcept = 0;
  virtual void resume(PauseReason reason) noexcept = 0;

  // Half-close: FIN when all pending bytes are out. No write() after it.
  virtual void finish() noexcept = 0;
  // Closes now, dropping what is pending. Idempotent. The reason is counted.
  virtual void close(CloseReason reason) noexcept = 0;
  // Makes close() send a reset instead of a FIN (an answer that must not look complete).
  virtual void reset_on_close() noexcept = 0;

  virtual bool is_closed() const noexcept = 0;
  // Bytes over the life of the stream.
  virtual uint64_t bytes_read() const noexcept = 0;
  virtual uint64_t bytes_written() const noexcept = 0;

 protected:
  Stream() = default;
};

}  // namespace sluice::loop
