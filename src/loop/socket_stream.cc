#include "socket_stream.h"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

#include "sluice/base/check.h"

namespace sluice::loop {
namespace {

constexpr size_t kMostIovecs = 64;    // of one sendmsg
constexpr size_t kSmallWrite = 2048;  // is copied into one piece
constexpr size_t kQueuedIovecs = 4;   // of a queued write: as many as uv_write takes without malloc
constexpr int kSendFlags = MSG_DONTWAIT | MSG_NOSIGNAL;
constexpr int kMostReads = 32;  // for one event
constexpr int kMostSalvagedReads = 64;

static_assert(sizeof(uv_buf_t) == sizeof(iovec) &&
              offsetof(uv_buf_t, base) == offsetof(iovec, iov_base) &&
              offsetof(uv_buf_t, len) == offsetof(iovec, iov_len));

const uv_buf_t* as_bufs(const iovec* iovecs) noexcept {
  return reinterpret_cast<const uv_buf_t*>(iovecs);
}

SocketHusk& husk_of(const uv_stream_t* stream) noexcept {
  return *static_cast<SocketHusk*>(stream->data);
}

Error socket_error(int uv_status) noexcept {
  int sys = -uv_status;  // libuv's codes are negated errnos on Unix
  if (sys == ECONNRESET) return Error(Errc::kSystem, "reset by peer", sys);
  if (sys == EPIPE) return Error(Errc::kSystem, "closed by peer", sys);
  return Error(Errc::kSystem, "socket error", sys);
}

// glibc's recv() and send() are points where a thread may be cancelled, which takes two atomic
// operations each in a program with threads. No thread of ours ever is. The sanitizers watch glibc.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
ssize_t receive_some(int fd, char* data, size_t size) noexcept {
  return ::recv(fd, data, size, MSG_DONTWAIT);
}
ssize_t send_bytes(int fd, const char* data, size_t size) noexcept {
  return ::send(fd, data, size, kSendFlags);
}
#else
ssize_t receive_some(int fd, char* data, size_t size) noexcept {
  return ::syscall(SYS_recvfrom, fd, data, size, MSG_DONTWAIT, nullptr, nullptr);
}
ssize_t send_bytes(int fd, const char* data, size_t size) noexcept {
  return ::syscall(SYS_sendto, fd, data, size, kSendFlags, nullptr, 0);
}
#endif

// One call; `offered` is how many bytes it was about. Several small pieces become one: copying them
// costs less than a list of them does.
ssize_t send_some(int fd, const Chain& bytes, size_t& offered) noexcept {
  if (bytes.slice_count() == 1) {
    const Slice& only = bytes.slice(0);
    offered = only.size();
    return send_bytes(fd, only.data(), offered);
  }
  if (bytes.size() <= kSmallWrite) {
    char whole[kSmallWrite];
    offered = bytes.copy_to(whole, sizeof whole);
    return send_bytes(fd, whole, offered);
  }
  iovec iovecs[kMostIovecs];
  msghdr message{};
  message.msg_iov = iovecs;
  message.msg_iovlen = bytes.fill_iovecs(iovecs, kMostIovecs);
  for (size_t i = 0; i < message.msg_iovlen; ++i) offered += iovecs[i].iov_len;
  return ::sendmsg(fd, &message, kSendFlags);
}

}  // namespace

// The bytes that the socket did not take yet; `in_flight` of them are known to libuv.
struct SocketStream::QueuedWrite {
  uv_write_t request;
  Chain bytes;
  size_t in_flight = 0;
};

// Beginning and end
// --------------------------------------------------------------------------------

SocketHusk* SocketHusk::make(Loop& loop) {
  auto* husk = new SocketHusk;
  SL_CHECK(uv_tcp_init(loop.uv(), &husk->tcp) == 0);
  husk->tcp.data = husk;
  husk->loop = &loop;
  return husk;
}

int SocketHusk::fd() const noexcept {
  uv_os_fd_t fd = -1;
  uv_fileno(reinterpret_cast<const uv_handle_t*>(&tcp), &fd);
  return fd;
}

void SocketHusk::close() noexcept {
  owner = nullptr;
  uv_close(reinterpret_cast<uv_handle_t*>(&tcp),
           [](uv_handle_t* handle) noexcept { delete static_cast<SocketHusk*>(handle->data); });
}

SocketStream::SocketStream(SocketHusk* husk) noexcept : husk_(husk), fd_(husk->fd()) {
  husk_->owner = this;
}

SocketStream::~SocketStream() { close(CloseReason::kInternal); }

void SocketStream::close(CloseReason reason) noexcept {
  if (state_ == State::closed) return;
  state_ = State::closed;
  close_reason_ = reason;
  bytes_written_ = bytes_written();
  queued_ = nullptr;  // libuv gives it back
  events_ = nullptr;
  unlink();
  if (resets_on_close_) {
    linger now{1, 0};
    setsockopt(husk_->fd(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }
  husk_->close();
  husk_ = nullptr;
}

// Reading
// ------------------------------------------------------------------------------------------

void SocketStream::start(StreamEvents* events) noexcept {
  SL_CHECK(reading_ == Reading::idle);
  events_ = events;
  if (state_ == State::open) arm_reading();
  if (state_ == State::failed) husk_->loop->at_turn_end(*this);
}

void SocketStream::arm_reading() noexcept {
  reading_ = Reading::on;
  SL_CHECK(uv_read_start(husk_->stream(), on_alloc, on_uv_read) == 0);
}

// Lazy, since stopping and starting cost an epoll_ctl each: libuv goes on until bytes really come,
// and then reading stops.
void SocketStream::pause(PauseReason reason) noexcept { pauses_ |= static_cast<uint8_t>(reason); }

void SocketStream::resume(PauseReason reason) noexcept {
  pauses_ &= static_cast<uint8_t>(~static_cast<uint8_t>(reason));
  if (pauses_ == 0 && reading_ == Reading::stopped && state_ == State::open) arm_reading();
}

// libuv, which would read() as from a file, is refused a buffer, and so calls on_uv_read at once.
void SocketStream::on_alloc(uv_handle_t*, size_t, uv_buf_t*) noexcept {}

void SocketStream::on_uv_read(uv_stream_t* stream, ssize_t, const uv_buf_t*) noexcept {
  if (SocketStream* self = husk_of(stream).owner) self->receive();
}

// What came; after so many reads the others get their turn first.
void SocketStream::receive() noexcept {
  SocketHusk* husk = husk_;
  ReadChunk& chunk = husk->loop->state().read_chunk;
  for (int i = 0; i < kMostReads; ++i) {
    if (pauses_ != 0) {
      reading_ = Reading::stopped;
      uv_read_stop(husk->stream());
      return;
    }
    const ReadChunk::Room room = chunk.room();
    const ssize_t n = receive_some(fd_, room.data, room.size);
    if (n == 0) return on_end();
    if (n < 0) {
      if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return;
      return break_now(socket_error(-errno));
    }
    on_bytes(static_cast<size_t>(n));
    // Closed in there; the husk stays until the loop goes on.
    if (husk->owner != this || state_ != State::open || reading_ != Reading::on) return;
    if (static_cast<size_t>(n) < room.size) return;
  }
}

void SocketStream::on_bytes(size_t size) noexcept {
  ReadChunk& chunk = husk_->loop->state().read_chunk;
  bytes_read_ += size;
  if (events_ != nullptr) events_->on_read(chunk.slice(size));
  chunk.advance(size);  // `this` may be gone
}

// What befalls the connection later shows when we write.
void SocketStream::on_end() noexcept {
  uv_read_stop(husk_->stream());
  reading_ = Reading::at_end;
  if (events_ != nullptr) events_->on_eof();
}

// Writing
// ------------------------------------------------------------------------------------------

void SocketStream::write(Chain&& bytes) noexcept {
  SL_CHECK(writing_ == Writing::open);
  if (state_ != State::open || bytes.is_empty()) return;
  if (queued_ == nullptr) {
    int status = send_now(bytes);
    if (status < 0) return fail_later(socket_error(status));
    if (bytes.is_empty()) return;
    auto* rest = new QueuedWrite;  // NOLINT: without memory nothing goes on
    rest->bytes = std::move(bytes);
    queue(rest);
  } else {
    queued_->bytes.append(std::move(bytes));
  }
  if (pending() > kHighWatermark) is_above_high_ = true;
}

// Sends what the socket takes; a negative result is an error as libuv has them, and what stays in
// `bytes` must wait. Without libuv, which would write() as to a file: a socket's own calls skip the
// kernel's checks for files.
int SocketStream::send_now(Chain& bytes) noexcept {
  while (!bytes.is_empty()) {
    size_t offered = 0;
    const ssize_t sent = send_some(fd_, bytes, offered);
    if (sent < 0) {
      if (errno == EINTR) continue;
      const bool must_wait = errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS;
      return must_wait ? 0 : -errno;
    }
    bytes_written_ += static_cast<size_t>(sent);
    bytes.consume(static_cast<size_t>(sent));
    if (static_cast<size_t>(sent) < offered) return 0;
  }
  return 0;
}

// Gives the first bytes of `rest` to libuv: no more than the low watermark, so that the call back
// comes while there is still something to send.
void SocketStream::queue(QueuedWrite* rest) noexcept {
  iovec iovecs[kQueuedIovecs];
  size_t count = rest->bytes.fill_iovecs(iovecs, kQueuedIovecs);
  rest->in_flight = 0;
  for (size_t i = 0; i < count; ++i) {
    iovecs[i].iov_len = std::min(iovecs[i].iov_len, kLowWatermark - rest->in_flight);
    rest->in_flight += iovecs[i].iov_len;
    if (rest->in_flight == kLowWatermark) count = i + 1;
  }
  int status = uv_write(&rest->request, husk_->stream(), as_bufs(iovecs),
                        static_cast<unsigned>(count), on_uv_written);
  if (status < 0) {
    delete rest;
    return fail_later(socket_error(status));
  }
  rest->request.data = rest;
  queued_ = rest;
}

void SocketStream::on_uv_written(uv_write_t* request, int status) noexcept {
  auto* rest = static_cast<QueuedWrite*>(request->data);
  SocketStream* self = husk_of(request->handle).owner;
  if (self == nullptr || self->queued_ != rest) {
    delete rest;
    return;
  }
  self->on_written(rest, status);
}

void SocketStream::on_written(QueuedWrite* rest, int status) noexcept {
  queued_ = nullptr;
  if (status == 0) {
    bytes_written_ += rest->in_flight;
    rest->bytes.consume(rest->in_flight);
    status = send_now(rest->bytes);
  }
  if (status < 0) {
    delete rest;
    return fail_later(socket_error(status));
  }
  if (rest->bytes.is_empty()) {
    delete rest;
  } else {
    queue(rest);
  }
  if (state_ == State::open) on_progress();
}

size_t SocketStream::pending() const noexcept {
  if (queued_ == nullptr) return 0;
  size_t taken = queued_->in_flight - uv_stream_get_write_queue_size(husk_->stream());
  return queued_->bytes.size() - taken;
}

uint64_t SocketStream::bytes_written() const noexcept {
  if (queued_ == nullptr) return bytes_written_;
  return bytes_written_ + queued_->in_flight - uv_stream_get_write_queue_size(husk_->stream());
}

void SocketStream::notify_flushed() noexcept {
  if (state_ != State::open) return;
  is_flush_awaited_ = true;
  if (queued_ == nullptr) husk_->loop->at_turn_end(*this);
}

void SocketStream::finish() noexcept {
  if (state_ != State::open || writing_ != Writing::open) return;
  writing_ = Writing::finishing;
  is_flush_awaited_ = true;
  if (queued_ != nullptr) return;  // on_progress() sends it
  send_fin();
  if (state_ == State::open) husk_->loop->at_turn_end(*this);
}

// Not uv_shutdown, which waits for the socket to become writable though nothing is queued.
void SocketStream::send_fin() noexcept {
  writing_ = Writing::finished;
  if (::shutdown(husk_->fd(), SHUT_WR) != 0) fail_later(socket_error(-errno));
}

// Tells about drained bytes what is to be told. Called by libuv or at the end of a turn.
void SocketStream::on_progress() noexcept {
  if (queued_ == nullptr && writing_ == Writing::finishing) {
    send_fin();
    if (state_ != State::open) return;
  }
  bool is_low = is_above_high_ && pending() < kLowWatermark;
  bool is_flushed = is_flush_awaited_ && queued_ == nullptr;
  if (!is_low && !is_flushed) return;
  if (is_low) is_above_high_ = false;
  if (is_flushed) is_flush_awaited_ = false;
  if (events_ != nullptr) events_->on_drained();
}

// Failing
// ------------------------------------------------------------------------------------------

// Writing failed. on_broken must wait: we may stand in a call of the owner.
void SocketStream::fail_later(Error error) noexcept {
  SL_CHECK(state_ == State::open);
  state_ = State::failed;
  error_ = error;
  queued_ = nullptr;
  uv_read_stop(husk_->stream());
  husk_->loop->at_turn_end(*this);
}

void SocketStream::break_now(Error error) noexcept {
  bytes_written_ = bytes_written();
  state_ = State::broken;
  error_ = error;
  queued_ = nullptr;  // libuv gives it back
  unlink();
  uv_read_stop(husk_->stream());
  if (events_ != nullptr) events_->on_broken(error);
}

void SocketStream::on_turn_end() noexcept {
  switch (state_) {
    case State::open:
      return on_progress();
    case State::failed:
      if (events_ == nullptr) return;  // start() asks again
      return read_what_came();
    case State::broken:
    case State::closed:
      return;
  }
}

// A peer that answers early and closes makes our writing fail while its answer waits in the socket:
// hand that out before the failure, unless the owner has paused.
void SocketStream::read_what_came() noexcept {
  SocketHusk* husk = husk_;
  ReadChunk& chunk = husk->loop->state().read_chunk;
  for (int i = 0; i < kMostSalvagedReads && pauses_ == 0 && reading_ != Reading::at_end; ++i) {
    ReadChunk::Room room = chunk.room();
    ssize_t n = receive_some(husk->fd(), room.data, room.size);
    if (n <= 0) break;
    on_bytes(static_cast<size_t>(n));
    if (husk->owner != this) return;  // closed in there; the husk stays until the loop goes on
  }
  break_now(error_);
}

}  // namespace sluice::loop
