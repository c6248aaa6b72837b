// What an HTTP/1 connection needs only while it has a request; an idle one has none.
//
// Owner: the connection; storage from its Listener's free list. Thread: the worker's.
#pragma once

#include <cstdint>
#include <string>

#include "sluice/base/chain.h"
#include "sluice/base/clock.h"
#include "sluice/http/chunked.h"
#include "sluice/http/h1_framing.h"
#include "sluice/http/message.h"

namespace sluice::downstream {

struct H1Active {
  // Coming in.
  Chain input;       // read and not yet looked at
  std::string head;  // of a head that comes in pieces
  http::HeadScanner scanner;
  Chain body;  // for the exchange to take
  http::ChunkedDecoder decoder;
  http::FieldList trailers;
  http::Framing framing;
  uint64_t body_left = 0;     // with BodyKind::length
  uint64_t body_bytes = 0;    // so far
  TimePoint body_deadline{};  // moved by each read of the body
  bool body_complete = false;
  // Whose turn it is while the body is not complete: the client's; the endpoint's, which takes no
  // more at present; or the endpoint's, which has not said yet whether it wants it (100).
  enum class BodyWait : uint8_t { client, endpoint, go_ahead } body_wait = BodyWait::client;
  uint8_t minor_version = 1;
  // Going out.
  Chain out;  // collected until flush()
  bool chunked_out = false;
  http::ChunkedWriter chunks;
  uint64_t written_mark = 0;  // bytes_written() at the last look at a slow reader
};

}  // namespace sluice::downstream
