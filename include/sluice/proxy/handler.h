// What answers a request locally instead of a pool: the admin API, the order API.
//
// Thread: the worker's loop. A handler gets the request with its whole body (bounded by max_body)
// and answers now or later through the call, which it holds by shared_ptr; when the client left,
// is_gone() is true and everything sent is dropped. All calls on the loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sluice/base/chain.h"
#include "sluice/http/message.h"

namespace sluice::loop {
class Loop;
}

namespace sluice::proxy {

struct HandlerRequest {
  http::Method method;
  std::string method_text;
  std::string path;   // normalised, without query
  std::string query;  // without '?', as received
  std::string body;
  std::string client_ip;
  std::string request_id;
  bool is_unix_client = false;
  std::vector<std::pair<std::string, std::string>> fields;  // names in lower case, in order

  // The first value of a field (lower-case name), or "".
  std::string_view field(std::string_view name) const noexcept;
};

struct HandlerReply {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> fields;  // Content-Type and the like; no framing
  std::string body;
};

class HandlerCall {
 public:
  virtual ~HandlerCall() = default;
  virtual const HandlerRequest& request() const noexcept = 0;
  virtual loop::Loop& loop() noexcept = 0;
  // The whole answer; at most once.
  virtual void reply(HandlerReply reply) = 0;
  // Or piece by piece (server-sent events): head, then bytes, then the end.
  virtual void begin(HandlerReply head) = 0;  // its body is ignored
  virtual void write(std::string_view bytes) = 0;
  virtual void end() = 0;
  // Bytes written and not yet taken by the client.
  virtual size_t pending() const noexcept = 0;
  virtual bool is_gone() const noexcept = 0;
  // Called once if the client leaves before the end.
  virtual void on_gone(std::function<void()> f) = 0;
};

// Why a request does not reach its handler: its head is malformed, its body too large or too slow.
struct EarlyRefusal {
  int status;
  std::string_view reason;  // the token of log and metrics
  std::string_view help;    // what it means, for people
};

class Handler {
 public:
  virtual ~Handler() = default;
  // How such a refusal looks here: fields and body, at most four fields; status and the fields of
  // framing and connection are sluice's. Nothing: as sluice words its own errors.
  virtual std::optional<HandlerReply> dress(const EarlyRefusal&) const { return std::nullopt; }
  virtual uint64_t max_body() const noexcept { return 64 * 1024; }
  // May answer inside the call. Must not throw.
  virtual void handle(std::shared_ptr<HandlerCall> call) = 0;
};

}  // namespace sluice::proxy
