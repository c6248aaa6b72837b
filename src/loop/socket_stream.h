// Stream over a TCP or unix socket.
//
// Lifetime: the SocketStream belongs to its user and dies when he says; the SocketHusk under it
// holds the uv handle and deletes itself when libuv lets go; the QueuedWrite holds bytes that the
// socket did not take, and deletes itself when libuv calls it back (before the husk goes).
#pragma once

#include <uv.h>

#include "loop_state.h"
#include "sluice/loop/stream.h"

namespace sluice::loop {

class SocketStream;

// Unix sockets ride in a uv_tcp_t as well: libuv does with it what it does with any stream.
struct SocketHusk {
  uv_tcp_t tcp;
  Loop* loop;
  SocketStream* owner = nullptr;

  static SocketHusk* make(Loop& loop);
  uv_stream_t* stream() noexcept { return reinterpret_cast<uv_stream_t*>(&tcp); }
  int fd() const noexcept;
  // Ends it: the memory goes when libuv has called back all that it owes.
  void close() noexcept;
};

class SocketStream final : public Stream, private Loop::TurnEnd {
 public:
  // Takes the husk, which has a connected socket.
  explicit SocketStream(SocketHusk* husk) noexcept;
  ~SocketStream() override;

  void start(StreamEvents* events) noexcept override;
  void set_events(StreamEvents* events) noexcept override { events_ = events; }
  void write(Chain&& bytes) noexcept override;
  size_t pending() const noexcept override;
  void notify_flushed() noexcept override;
  void pause(PauseReason reason) noexcept override;
  void resume(PauseReason reason) noexcept override;
  void finish() noexcept override;
  void close(CloseReason reason) noexcept override;
  void reset_on_close() noexcept override { resets_on_close_ = true; }
  bool is_closed() const noexcept override { return state_ == State::closed; }
  uint64_t bytes_read() const noexcept override { return bytes_read_; }
  uint64_t bytes_written() const noexcept override;

 private:
  struct QueuedWrite;

  enum class State : uint8_t {
    open,
    failed,  // on_broken is owed
    broken,  // on_broken was called
    closed,
  };
  enum class Reading : uint8_t {
    idle,     // not started
    on,       // armed in libuv, perhaps while paused: see pause()
    stopped,  // bytes came while paused
    at_end,   // on_eof was called
  };
  enum class Writing : uint8_t {
    open,
    finishing,  // FIN follows the queued bytes
    finished,
  };

  static void on_alloc(uv_handle_t* handle, size_t, uv_buf_t* buf) noexcept;
  static void on_uv_read(uv_stream_t* stream, ssize_t n, const uv_buf_t* buf) noexcept;
  static void on_uv_written(uv_write_t* request, int status) noexcept;
  void arm_reading() noexcept;
  void receive() noexcept;
  void on_bytes(size_t size) noexcept;
  void on_end() noexcept;

  int send_now(Chain& bytes) noexcept;
  void queue(QueuedWrite* rest) noexcept;
  void on_written(QueuedWrite* rest, int status) noexcept;
  void send_fin() noexcept;
  void on_progress() noexcept;

  void fail_later(Error error) noexcept;
  void break_now(Error error) noexcept;
  void on_turn_end() noexcept override;
  void read_what_came() noexcept;

  SocketHusk* husk_;
  const int fd_;  // the husk's
  StreamEvents* events_ = nullptr;
  QueuedWrite* queued_ = nullptr;
  uint64_t bytes_read_ = 0;
  uint64_t bytes_written_ = 0;
  Error error_;
  State state_ = State::open;
  Reading reading_ = Reading::idle;
  Writing writing_ = Writing::open;
  uint8_t pauses_ = 0;
  bool resets_on_close_ = false;
  bool is_above_high_ = false;
  bool is_flush_awaited_ = false;
  CloseReason close_reason_ = CloseReason::kCount;  // for the debugger; counted above
};

}  // namespace sluice::loop
