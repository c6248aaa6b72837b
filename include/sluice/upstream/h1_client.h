// HTTP/1.1 on one connection to an endpoint: one exchange after the other, idle in between.
//
// Owner: itself; it tells its ClientOwner (the ConnectionPool) when it may be kept and when it is
// gone. Thread: the worker's.
//   fresh, idle -> begin() -> busy -> release() -> idle (kept) or dead
//                                  -> abandon() -> dead
//   idle -> dead: the endpoint closed it, sent bytes, or timeouts.idle passed
//   dead: buried; no event does anything
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "sluice/base/list.h"
#include "sluice/http/chunked.h"
#include "sluice/loop/loop.h"
#include "sluice/loop/stream.h"
#include "sluice/loop/timer.h"
#include "sluice/stats/counters.h"
#include "sluice/upstream/endpoint.h"
#include "sluice/upstream/response_reader.h"
#include "sluice/upstream/upstream_stream.h"

namespace sluice::upstream {

class H1Client;

class ClientOwner {
 public:
  // The client has become idle and would be kept: a reason not to, or nullopt when it is kept.
  virtual std::optional<CloseReason> keep(H1Client& client) noexcept = 0;
  // It was closed and will be destroyed; called once.
  virtual void gone(H1Client& client, CloseReason reason) noexcept = 0;

 protected:
  ~ClientOwner() = default;
};

struct IdleTag;

class H1Client final : public UpstreamStream,
                       public loop::StreamEvents,
                       public loop::Buried,
                       public ListNode<H1Client, IdleTag> {
 public:
  struct Parts {
    loop::Loop& loop;
    stats::Counters& counters;
    ClientOwner& owner;
    std::shared_ptr<Endpoint> endpoint;
    Duration idle_timeout;
  };
  H1Client(Parts parts, std::unique_ptr<loop::Stream> stream);

  void begin(UpstreamListener* listener, Arena* arena) noexcept override;
  void send_head(const http::RequestHead& head, const http::RequestForwarding& how) override;
  void send_body(Chain&& bytes) override;
  void send_end(const http::FieldList* trailers) override;
  void flush() noexcept override;
  size_t pending() const noexcept override { return out_.size() + stream_->pending(); }

  const http::ResponseHead* interim() const noexcept override { return reader_.interim(); }
  void pop_interim() noexcept override { reader_.pop_interim(); }
  const http::ResponseHead* head() const noexcept override { return reader_.head(); }
  Chain& body() noexcept override { return reader_.body(); }
  bool is_complete() const noexcept override { return !error_ && reader_.is_complete(); }
  const http::FieldList& trailers() const noexcept override { return reader_.trailers(); }
  Error error() const noexcept override { return error_; }
  bool has_response_bytes() const noexcept override { return reader_.has_bytes(); }

  void pause_body() noexcept override;
  void resume_body() noexcept override;
  bool is_paused() const noexcept override { return reading_ == Reading::kPaused; }
  void expect_by(TimePoint deadline, Errc code) noexcept override;
  bool is_reused() const noexcept override { return exchanges_ > 1; }
  Endpoint& endpoint() noexcept override { return *endpoint_; }

  void release() noexcept override;
  void abandon(CloseReason reason) noexcept override { close(reason); }

  // An idle one ends. Idempotent.
  void close(CloseReason reason) noexcept;
  bool is_idle() const noexcept { return state_ == State::kIdle; }

  void on_read(Slice bytes) noexcept override;
  void on_eof() noexcept override;
  void on_drained() noexcept override;
  void on_broken(Error error) noexcept override;

 private:
  enum class State : uint8_t { kIdle, kBusy, kDead };
  enum class Sending : uint8_t { kHead, kBody, kDone };
  enum class Reading : uint8_t { kOpen, kPaused, kEnded, kBroken };

  void fail(Error error) noexcept;
  void tell() noexcept;
  void on_deadline() noexcept;
  std::optional<CloseReason> reason_to_close() noexcept;

  loop::Loop& loop_;
  stats::Counters& counters_;
  ClientOwner& owner_;
  std::shared_ptr<Endpoint> endpoint_;
  std::unique_ptr<loop::Stream> stream_;
  Duration idle_timeout_;
  loop::Timer timer_;  // the deadline while busy, the idle time while idle
  State state_ = State::kIdle;
  Sending sending_ = Sending::kDone;
  Reading reading_ = Reading::kOpen;
  uint64_t written_mark_ = 0;  // with kSendStalled: bytes_written() at the last look
  Duration send_patience_{0};
  Errc deadline_code_ = Errc::kNone;
  uint32_t exchanges_ = 0;
  bool may_keep_ = true;  // by what we asked for
  UpstreamListener* listener_ = nullptr;
  http::Framing framing_;  // of the request
  uint64_t left_to_send_ = 0;
  Chain out_;
  http::ChunkedWriter chunked_;  // with BodyKind::chunked
  Error error_;
  ResponseReader reader_;
};

}  // namespace sluice::upstream
