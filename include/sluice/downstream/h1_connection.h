// One HTTP/1 client connection: bytes to heads and bodies, one exchange at a time, answers back.
//
// Owner: itself, listed by its Listener; buries itself when closed. Thread: its worker's.
//   state      holds                                  left when
//   fresh      no buffer at all                       first byte; head deadline; EOF
//   idle       no buffer at all                       first byte of a head; idle deadline; EOF
//   head       Active: bytes of an incomplete head    it is complete (busy) or refused (busy)
//   busy       Active, Exchange                       end() or abort() by the exchange
//   linger     nothing; discards what comes           EOF or its deadline (RFC 9112 section 9.6)
//   closed     nothing                                never
// Pipelined requests wait in Active::input; beyond kHighWatermark of them reading pauses.
#pragma once

#include <memory>
#include <string>

#include "sluice/base/arena.h"
#include "sluice/base/chain.h"
#include "sluice/downstream/connection.h"
#include "sluice/downstream/listener.h"
#include "sluice/http/chunked.h"
#include "sluice/http/h1_parser.h"
#include "sluice/loop/stream.h"
#include "sluice/loop/timer.h"
#include "sluice/proxy/client_stream.h"
#include "sluice/proxy/exchange.h"

namespace sluice::downstream {

struct H1Active;  // h1_active.h

class H1Connection final : public Connection,
                           public loop::StreamEvents,
                           public proxy::ClientStream {
 public:
  // Begins to read. `counted_by_address`: to be given back to the listener's limits.
  H1Connection(Listener& listener, std::unique_ptr<loop::Stream> stream, const SocketAddress& peer,
               bool counted_by_address);
  ~H1Connection() override;
  void start() noexcept;

  void drain() noexcept override;
  void close_now(CloseReason reason) noexcept override;

  // loop::StreamEvents
  void on_read(Slice bytes) noexcept override;
  void on_eof() noexcept override;
  void on_drained() noexcept override;
  void on_broken(Error error) noexcept override;

  // proxy::ClientStream
  const proxy::ClientInfo& client() const noexcept override { return info_; }
  Chain& body() noexcept override;
  bool is_body_complete() const noexcept override;
  bool is_body_held() const noexcept override;
  const http::FieldList& trailers() const noexcept override;
  Error error() const noexcept override { return error_; }
  void pause_body() noexcept override;
  void resume_body() noexcept override;
  void send_interim(const http::ResponseHead& head) override;
  void send_head(const http::ResponseHead& head, const http::ResponseForwarding& how) override;
  void send_body(Chain&& bytes) override;
  void send_copy(std::string_view bytes) override;
  void send_end(const http::FieldList* trailers) override;
  void flush() noexcept override;
  size_t pending() const noexcept override { return stream_->pending(); }
  void end() noexcept override;
  void abort(CloseReason reason) noexcept override;

 private:
  enum class State : uint8_t { fresh, idle, head, busy, linger, closed };
  // What follows the answer under way: another request, a close, or a close that is the body's end.
  enum class After : uint8_t { keep, close, close_is_end };

  void go(State next) noexcept { state_ = next; }
  void process() noexcept;
  bool take_head() noexcept;
  bool skip_empty_lines() noexcept;
  bool find_head(std::string_view& head) noexcept;
  void begin_exchange(std::string_view head) noexcept;
  void refuse(Error error) noexcept;
  void take_body() noexcept;
  void take_chunked_body() noexcept;
  void take_trailers() noexcept;
  void put_back(Slice bytes) noexcept;
  void fail_request(Error error, std::string_view came) noexcept;
  void after_exchange() noexcept;
  void end_connection() noexcept;
  bool is_between_requests() const noexcept;
  void close(CloseReason reason) noexcept;
  void set_deadline(Duration after) noexcept { timer_.set_after(after); }
  void on_deadline() noexcept;
  void check_progress() noexcept;
  void activate();
  void deactivate() noexcept;
  http::HeadLimits head_limits() const noexcept;
  const config::Listener& config() const noexcept { return listener_.config(); }

  Listener& listener_;
  std::unique_ptr<loop::Stream> stream_;
  loop::Timer timer_;
  proxy::ClientInfo info_;
  std::string ip_;
  H1Active* active_ = nullptr;  // while there is a request, or bytes of one
  proxy::Exchange* exchange_ = nullptr;
  Error error_;
  State state_ = State::fresh;
  After after_ = After::keep;
  bool counted_by_address_;
  bool is_draining_ = false;
  bool has_eof_ = false;        // the client sends no more
  bool is_processing_ = false;  // process() is on the stack
};

}  // namespace sluice::downstream
