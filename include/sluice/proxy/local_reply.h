// Answers that sluice makes itself: errors, redirects, fixed responses. The only place that chooses
// a status code.
//
// Everything is composed in the exchange's arena; the body is a slice of the arena's memory copied
// once into a chunk. Pure but for the arena. Configured strings (location, content type) are not
// copied: the snapshot outlives the reply.
//
// An error's body names status, reason, help and request id, and nothing of us. It is JSON when the
// client's Accept prefers application/json (or problem+json) to text: the higher q wins, then the
// more specific range, then the one listed first; "*/*", no Accept and an unparsable request get
// text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "sluice/base/arena.h"
#include "sluice/base/chain.h"
#include "sluice/base/error.h"
#include "sluice/config/config.h"
#include "sluice/http/message.h"

namespace sluice::proxy {

struct HandlerReply;  // handler.h

struct LocalReply {
  // raw is empty; framing and the Content-Length among the fields agree with the body. For HEAD the
  // field says what GET would have brought (RFC 9110 9.3.2): it is sent with `keep_length`.
  http::ResponseHead head;
  Chain body;          // empty for HEAD
  bool close = false;  // the connection must not be used again (RFC 9112 9.6)
};

// The status for an error of ours; 0 when nothing can be sent (the client is gone).
int status_for(Errc code) noexcept;

struct ErrorReplyInput {
  Error error;
  const http::RequestHead* request = nullptr;  // nullptr when it could not be parsed
  std::string_view next_hop;                   // endpoint name, "" when none was chosen
  std::string_view request_id;
  uint32_t retry_after_s = 1;  // for 503
  // A stored response was there, which must not be used unvalidated: what would be a 502 is 504
  // then (RFC 9111 section 5.2.2.2).
  bool had_to_validate = false;
  const HandlerReply* dress = nullptr;  // fields and body in place of our own; copied
};
// Proxy-Status (RFC 9209), Retry-After on 503, Allow on 405, text or JSON by Accept, no version
// leak. `close` is set after what leaves the connection's framing unsure: every error in parsing or
// timing of the client's message, and a refused CONNECT, whose client may already have sent
// tunnelled bytes. With status_for() == 0 the head's status is 0 and there is nothing to send.
LocalReply make_error_reply(const ErrorReplyInput& input, Arena& arena);

LocalReply make_redirect(const config::Redirect& redirect, const http::RequestHead& request,
                         Arena& arena);
LocalReply make_fixed(const config::Respond& respond, const http::RequestHead& request,
                      Arena& arena);

// 200: something was done. The text or the JSON, as for an error.
LocalReply make_done(std::string_view text, std::string_view json, const http::RequestHead& request,
                     Arena& arena);

// The Markdown table of docs/reasons.md: token, status, Proxy-Status type, help.
std::string reasons_markdown();

}  // namespace sluice::proxy
