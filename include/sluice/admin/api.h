// The admin API as a handler: status, health, metrics and the dashboard to look at; reload and
// endpoint verbs to change things.
//
//   GET  /                      the dashboard (read-only)
//   GET  /healthz  /readyz[?verbose]  /version  /metrics
//   GET  /api/v1/status
//   GET  /api/v1/cache?url=URL  what the cache has of it (cache_look.h)
//   POST /api/v1/reload         200, or 422 with the problems that `check` would print
//   POST /api/v1/purge          (purge.h)
//   POST /api/v1/endpoints/POOL/ENDPOINT   {"action":
//   "drain"|"undrain"|"disable"|"enable"|"weight"}
//
// Owner: the server; thread: control. A web page that a browser of an operator shows must not reach
// it: Host has to be an IP literal or localhost (DNS rebinding), and a request that changes
// something may carry no foreign Origin. What changes something is POST and leaves a line in the
// log.
#pragma once

#include <memory>
#include <string_view>

#include "sluice/admin/cache_look.h"
#include "sluice/admin/port.h"
#include "sluice/proxy/handler.h"
#include "sluice/stats/collect.h"

namespace sluice::admin {

class Api final : public proxy::Handler {
 public:
  Api(Port& port, const stats::Collect& stats, const stats::NameTable& names) noexcept
      : port_(port), stats_(stats), names_(names), looks_(port) {}
  uint64_t max_body() const noexcept override { return 64 * 1024; }
  void handle(std::shared_ptr<proxy::HandlerCall> call) override;

 private:
  proxy::HandlerReply get(proxy::HandlerCall& call);
  void post(const std::shared_ptr<proxy::HandlerCall>& call);
  void reload(const std::shared_ptr<proxy::HandlerCall>& call);

  Port& port_;
  const stats::Collect& stats_;
  const stats::NameTable& names_;
  CacheLooks looks_;
};

// The body of every answer that is no success: {"error": text}.
proxy::HandlerReply error_reply(int status, std::string_view text);
proxy::HandlerReply json_reply(int status, std::string body);

// Whether a request may be answered at all, "" or why not. Pure.
std::string refusal(const proxy::HandlerRequest& request);

// The dashboard page; needs nothing from elsewhere.
std::string_view dashboard_html() noexcept;

}  // namespace sluice::admin
