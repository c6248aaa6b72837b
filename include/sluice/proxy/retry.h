// Whether a failed try may be made again: a pure function, the contract's rule in one place.
//
// RFC 9110 section 9.2.2: a proxy must not retry a non-idempotent request by itself unless it knows
// that it was not applied; a connection that was never made is such a case. In this order:
//
// 1. Nothing is tried again when anything was sent to the client, when the client left, when what
//    was sent of the body is not held any more, or when the method is one that we do not know.
// 2. The keep-alive race: a reused connection broke without a byte of a response. An idempotent
//    request is sent once more on a fresh connection, whatever `retry` says, and uncounted.
// 3. Below `attempts`, which counts all tries:
//    connect    no connection came about (refused, timed out, no address, TLS failed): nothing was
//               sent, so any method that we know is tried again
//    reset      the connection broke before the first byte of a response: idempotent methods
//    502, 503   statuses listed in `on`: idempotent methods
//    Timeouts after the connection was made and malformed answers are never tried again: the
//    endpoint is at work, or broken in a way that another try makes no better.
#pragma once

#include <cstdint>

#include "sluice/base/clock.h"
#include "sluice/base/error.h"
#include "sluice/config/config.h"
#include "sluice/http/message.h"

namespace sluice::proxy {

struct RetryFacts {
  Error error;     // kNone when a response came and only its status is in question
  int status = 0;  // of the response head, 0 when there is none
  http::Method method = http::Method::other;
  bool connection_reused = false;    // it had served an exchange before this one
  bool response_bytes_came = false;  // any byte of a response to this try
  bool response_begun = false;       // anything (1xx too) was sent to the client
  bool body_replayable = true;       // no body, or all that was sent is still held
  bool client_waits = true;          // the client is still there
  uint32_t attempts = 1;             // tries made so far, this one included, race resends not
  bool race_resent = false;          // the one uncounted resend was used
};

enum class RetryVerdict : uint8_t {
  give_up,  // answer with what there is
  resend,   // keep-alive race: once more on a fresh connection, not counted, no budget
  retry,    // try another endpoint: needs a place in the budget
};

RetryVerdict judge_retry(const RetryFacts& facts, const config::Retry& rule) noexcept;

}  // namespace sluice::proxy
