// One exchange's use of one client connection: HTTP/1 now, one HTTP/2 stream later.
//
// The same *pull* border as upstream/upstream_stream.h: the stream keeps facts (body, complete,
// error) and calls ClientListener::on_client_progress() once per batch; the exchange then takes
// what it wants. Thread: the worker's. on_client_progress: any number of times, never inside a call
// on the stream, never after end() or abort(). Sending is collected and leaves with flush().
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>

#include "sluice/base/address.h"
#include "sluice/base/chain.h"
#include "sluice/base/clock.h"
#include "sluice/base/close_reason.h"
#include "sluice/base/error.h"
#include "sluice/http/forwarding.h"
#include "sluice/http/message.h"

namespace sluice::proxy {

// Who asks, and through which door. Lives as long as the connection.
struct ClientInfo {
  SocketAddress address;
  std::string_view ip;  // text; "unix:" for a unix socket
  std::string_view scheme = "http";
  std::string_view protocol = "HTTP/1.1";
  std::string_view listener;  // name
  uint16_t listener_id = 0;   // for stats::RequestTable
  bool is_trusted = false;    // one of the listener's trusted_proxies
};

class ClientListener {
 public:
  virtual void on_client_progress() noexcept = 0;

 protected:
  ~ClientListener() = default;
};

class ClientStream {
 public:
  virtual const ClientInfo& client() const noexcept = 0;

  // Receiving the request's body. Bytes that have come; the exchange moves them out.
  virtual Chain& body() noexcept = 0;
  virtual bool is_body_complete() const noexcept = 0;
  // The client asked first whether to send it (RFC 9110 section 10.1.1), has sent nothing of it,
  // and was not sent a 100. No deadline of the client's runs then.
  virtual bool is_body_held() const noexcept = 0;
  virtual const http::FieldList& trailers() const noexcept = 0;
  // kNone while all is well; else kBadChunk, kBodyTooLarge, kBodyTimeout, kClientGone. Terminal for
  // the request; a reply may still be sent unless it is kClientGone.
  virtual Error error() const noexcept = 0;
  // An error instead of an answer: true when the client words it itself; abort() follows.
  virtual bool take_error(Error) noexcept { return false; }
  virtual void pause_body() noexcept = 0;
  virtual void resume_body() noexcept = 0;

  // Sending the response, in this order. `how.framing` says how the body came; the stream chooses
  // what the client understands (chunked, or until_close for HTTP/1.0).
  virtual void send_interim(const http::ResponseHead& head) = 0;
  virtual void send_head(const http::ResponseHead& head, const http::ResponseForwarding& how) = 0;
  virtual void send_body(Chain&& bytes) = 0;
  // A few bytes, copied: cheaper than a piece of its own where they go right behind the head.
  virtual void send_copy(std::string_view bytes) {
    Chain copy;
    copy.push_back(Slice::copy_of(bytes));
    send_body(std::move(copy));
  }
  virtual void send_end(const http::FieldList* trailers) = 0;
  virtual void flush() noexcept = 0;
  // Response bytes not yet taken by the socket; progress is reported below the low watermark.
  virtual size_t pending() const noexcept = 0;

  // The exchange is over. Exactly one of the two is called, last; the stream then forgets the
  // exchange. end(): the response was sent whole. abort(): it cannot be completed; an HTTP/1
  // connection is reset, so that a short body never looks complete.
  virtual void end() noexcept = 0;
  virtual void abort(CloseReason reason) noexcept = 0;

 protected:
  ~ClientStream() = default;
};

}  // namespace sluice::proxy
