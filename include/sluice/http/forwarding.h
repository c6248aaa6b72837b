// What a proxy changes in a head on its way (RFC 9110 section 7.6), and the writing of it.
//
// Lines that stay are copied as runs of unchanged bytes; only ours are composed. Framing is always
// written afresh. Pure: everything comes in as values, bytes go out to a ChainWriter.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sluice/base/chain.h"
#include "sluice/http/message.h"

namespace sluice::http {

// Changes from a route. `set` replaces all fields of the name, `add` appends, `remove` deletes.
// Names in `set` and `remove` are lower case; in `add` as written.
struct FieldEdits {
  std::vector<std::pair<std::string, std::string>> set;
  std::vector<std::pair<std::string, std::string>> add;
  std::vector<std::string> remove;
  bool is_empty() const noexcept { return set.empty() && add.empty() && remove.empty(); }
};

struct RequestForwarding {
  std::string_view target;       // what to send in the request line
  std::string_view host;         // Host to send
  std::string_view client_ip;    // for X-Forwarded-For; "unix:" for a unix socket client
  std::string_view scheme;       // "http" or "https": X-Forwarded-Proto
  bool trusted_client = false;   // append to what came, else drop all X-Forwarded-* and Forwarded
  std::string_view request_id;   // accepted or made; always sent
  std::string_view traceparent;  // "" : pass through what came; else send this one
  int max_forwards = -1;         // >= 0: write this value in place of the one that came
  Framing framing;               // of the body as it will be sent
  bool pass_expect = false;      // Expect: 100-continue goes on to the endpoint
  bool pass_te_trailers = true;  // "TE: trailers" is sent on when the client sent it
  bool close = false;            // Connection: close to the endpoint
  const FieldEdits* edits = nullptr;
};

// The head for the endpoint, always HTTP/1.1: request line, the client's fields in order without
// hop-by-hop ones and those named by Connection (RFC 9110 7.6.1), Via (7.6.3), X-Forwarded-*,
// X-Request-Id, traceparent, framing. Host keeps its place, or stands first when it was absent.
//
// A field whose name does not lie in head.raw is composed, so that the caller may put fields of its
// own among those that came. Connection cannot remove Host, Via, X-Forwarded-*, Forwarded,
// X-Request-Id and traceparent; edits cannot touch framing and hop-by-hop fields, and of Host they
// can only set one. A traceparent of ours drops the client's tracestate (it belongs to another
// trace).
void write_request_head(const RequestHead& head, const RequestForwarding& how, ChainWriter& out);

struct ResponseForwarding {
  Framing framing;               // of the body as it will be sent to the client
  bool keep_alive = true;        // false: this connection ends, and Connection says so
  std::string_view extra_lines;  // complete lines of ours ("Proxy-Status: …\r\n"), may be empty
  std::string_view request_id;   // echoed as X-Request-Id when not empty
  const FieldEdits* edits = nullptr;
  // What is between us and the endpoint alone stays here: Surrogate-Key and Cache-Tag, and
  // Surrogate-Control (W3C note "Edge Architecture", section 2).
  bool hides_tags = false;
  bool hides_surrogate_control = false;
  bool is_local = false;  // the head is of sluice's own making: no Via (RFC 9110 section 7.6.3)
  bool keep_length =
      false;  // HEAD and 304: a Content-Length that came is passed on though no body follows
};

// The head for an HTTP/1 client; status line with our version HTTP/1.1. A missing Date is added
// (RFC 9110 6.6.1) from `http_date`.
void write_response_head(const ResponseHead& head, const ResponseForwarding& how,
                         std::string_view http_date, ChainWriter& out);
// For a head that is sent many times, as its ResponseHead::ready_length: not 0 when all its lines
// go on as they stand before a body of that many bytes, and nothing has to be looked for in them.
uint64_t ready_length(const ResponseHead& head) noexcept;
// 1xx: status line and end-to-end fields, nothing added.
void write_interim_head(const ResponseHead& head, ChainWriter& out);

// The end of a chunked body: last chunk, the trailer fields that may be forwarded, empty line.
// Fields of framing, routing, authentication, caching and content format are left out (RFC 9110
// section 6.5.1), as are hop-by-hop ones.
void write_trailers(const FieldList& trailers, ChainWriter& out);

// How many times Via says that the message passed through a sluice (RFC 9110 section 7.6.3).
size_t count_own_hops(const FieldList& fields) noexcept;

// Which fields Connection names; true for `name`. Cheap when there is none.
bool is_named_by_connection(const FieldList& fields, std::string_view name) noexcept;

// 1-128 of [A-Za-z0-9._-]
bool is_valid_request_id(std::string_view id) noexcept;
// W3C Trace Context level 1: 00-<32 hex>-<16 hex>-<2 hex>, ids not all zero.
bool is_valid_traceparent(std::string_view value) noexcept;

}  // namespace sluice::http
