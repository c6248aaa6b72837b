// One exchange's use of one endpoint connection: HTTP/1.1 now, one HTTP/2 stream later.
//
// The border is *pull*: the stream keeps what has arrived as facts (interim, head, body, complete,
// error) and calls UpstreamListener::on_upstream_progress() once per batch of events; the listener
// then takes what it wants. Nothing is decided in the call itself.
// Thread: the worker's. on_upstream_progress: any number of times, never inside a call on the
// stream, never after abandon() or release(). After error() is set nothing else changes. Sending is
// collected and leaves with flush(), so that a head and its first body bytes are one write.
#pragma once

#include <memory>

#include "sluice/base/arena.h"
#include "sluice/base/chain.h"
#include "sluice/base/clock.h"
#include "sluice/base/close_reason.h"
#include "sluice/base/error.h"
#include "sluice/http/forwarding.h"
#include "sluice/http/message.h"

namespace sluice::upstream {

class Endpoint;

class UpstreamListener {
 public:
  virtual void on_upstream_progress() noexcept = 0;

 protected:
  ~UpstreamListener() = default;
};

class UpstreamStream {
 public:
  virtual ~UpstreamStream() = default;

  // Begins an exchange. The arena gets the response's head; it must live until release or abandon.
  virtual void begin(UpstreamListener* listener, Arena* arena) noexcept = 0;

  // Sending, in this order; trailers may be null.
  virtual void send_head(const http::RequestHead& head, const http::RequestForwarding& how) = 0;
  virtual void send_body(Chain&& bytes) = 0;
  virtual void send_end(const http::FieldList* trailers) = 0;
  virtual void flush() noexcept = 0;
  // Request bytes not yet taken by the socket. Progress is reported when it falls below the low
  // watermark.
  virtual size_t pending() const noexcept = 0;

  // Receiving.
  // The oldest 1xx head not taken yet, or nullptr; take it by pop_interim().
  virtual const http::ResponseHead* interim() const noexcept = 0;
  virtual void pop_interim() noexcept = 0;
  // The final head, or nullptr so far. Lives in the arena.
  virtual const http::ResponseHead* head() const noexcept = 0;
  // Body bytes that have come; the listener moves them out.
  virtual Chain& body() noexcept = 0;
  // The message is complete (all its body may still be in body()).
  virtual bool is_complete() const noexcept = 0;
  virtual const http::FieldList& trailers() const noexcept = 0;
  // kNone while all is well. Terminal.
  virtual Error error() const noexcept = 0;
  // Any byte of a response came (also of an interim or broken one).
  virtual bool has_response_bytes() const noexcept = 0;

  // Stops and restarts reading the response (the client is slower).
  virtual void pause_body() noexcept = 0;
  virtual void resume_body() noexcept = 0;
  virtual bool is_paused() const noexcept = 0;

  // When `deadline` passes, error() becomes `code`. One deadline at a time; TimePoint{}: none.
  // Not moved by arriving bytes: the listener moves it.
  virtual void expect_by(TimePoint deadline, Errc code) noexcept = 0;

  // True when the connection had served an exchange before this one (keep-alive race).
  virtual bool is_reused() const noexcept = 0;
  virtual Endpoint& endpoint() noexcept = 0;

  // Ends of the exchange; exactly one is called, and the stream must not be used after.
  // The connection goes back to its pool when both messages are complete and it may be kept.
  virtual void release() noexcept = 0;
  // Gives up: HTTP/1 closes the connection.
  virtual void abandon(CloseReason reason) noexcept = 0;

 protected:
  UpstreamStream() = default;
};

}  // namespace sluice::upstream
