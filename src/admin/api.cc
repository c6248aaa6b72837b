#include "sluice/admin/api.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "sluice/admin/cache_look.h"
#include "sluice/admin/endpoints.h"
#include "sluice/admin/metrics.h"
#include "sluice/admin/purge.h"
#include "sluice/admin/status.h"
#include "sluice/base/address.h"
#include "sluice/base/log.h"
#include "sluice/base/strings.h"
#include "sluice/loop/loop.h"

namespace sluice::admin {

namespace {

using Json = nlohmann::ordered_json;
using proxy::HandlerReply;
using proxy::HandlerRequest;

HandlerReply make_reply(int status, std::string_view type, std::string body) {
  HandlerReply reply;
  reply.status = status;
  reply.fields = {{"Content-Type", std::string(type)},
                  {"Cache-Control", "no-store"},
                  {"X-Content-Type-Options", "nosniff"}};
  reply.body = std::move(body);
  return reply;
}

HandlerReply text_reply(int status, std::string body) {
  return make_reply(status, "text/plain; charset=utf-8", std::move(body));
}

HandlerReply dashboard_reply() {
  HandlerReply reply = make_reply(200, "text/html; charset=utf-8", std::string(dashboard_html()));
  reply.fields.emplace_back("Content-Security-Policy",
                            "default-src 'none'; script-src 'unsafe-inline'; style-src "
                            "'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'");
  return reply;
}

HandlerReply ready_reply(const StatusFacts& facts, bool verbose) {
  const bool is_ready = facts.not_ready.empty();
  std::string text = is_ready ? "ready\n" : "not ready\n";
  for (const std::string& what : degradations(facts)) text += "degraded: " + what + "\n";
  if (verbose) {
    for (const std::string& reason : facts.not_ready) text += reason + "\n";
    for (const PoolFacts& pool : facts.pools) {
      const auto usable = std::count_if(pool.endpoints.begin(), pool.endpoints.end(),
                                        [](const EndpointFacts& e) { return e.is_usable; });
      text += fmt::format("pool {}: {} of {} endpoints usable\n", pool.name, usable,
                          pool.endpoints.size());
    }
  }
  return text_reply(is_ready ? 200 : 503, std::move(text));
}

bool has_parameter(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const size_t end = query.find('&');
    const std::string_view part = query.substr(0, end);
    if (part.substr(0, part.find('=')) == name) return true;
    query = end == std::string_view::npos ? std::string_view() : query.substr(end + 1);
  }
  return false;
}

bool changes_something(std::string_view path) {
  return path == "/api/v1/reload" || path == kPurgePath || path.starts_with(kEndpointsPath);
}

HandlerReply wrong_method(std::string_view allowed) {
  HandlerReply reply = error_reply(405, fmt::format("this path takes {} only", allowed));
  reply.fields.emplace_back("Allow", std::string(allowed));
  return reply;
}

}  // namespace

void Api::handle(std::shared_ptr<proxy::HandlerCall> call) {
  const HandlerRequest& request = call->request();
  const std::string refused = refusal(request);
  if (!refused.empty()) return call->reply(error_reply(403, refused));
  if (request.method == http::Method::post && changes_something(request.path)) return post(call);
  if (changes_something(request.path)) return call->reply(wrong_method("POST"));
  if (request.method != http::Method::get && request.method != http::Method::head) {
    return call->reply(wrong_method("GET, HEAD"));
  }
  if (request.path == kCachePath) return looks_.look(call);
  call->reply(get(*call));
}

HandlerReply Api::get(proxy::HandlerCall& call) {
  const HandlerRequest& request = call.request();
  const std::string& path = request.path;
  if (path == "/") return dashboard_reply();
  if (path == "/healthz") return text_reply(200, "ok\n");
  if (path == "/readyz") {
    return ready_reply(collect_status(port_), has_parameter(request.query, "verbose"));
  }
  if (path == "/version") {
    return json_reply(200, Json{{"name", "sluice"}, {"version", port_.facts().version}}.dump());
  }
  if (path == "/metrics") {
    return make_reply(200, stats::PrometheusWriter::kContentType,
                      metrics_text(collect_status(port_), stats_, names_));
  }
  if (path == "/api/v1/status") {
    const bool pretty = has_parameter(request.query, "pretty");
    return json_reply(200, status_json(collect_status(port_), pretty));
  }
  return error_reply(404,
                     "there is /, /healthz, /readyz, /version, /metrics, /api/v1/status, "
                     "/api/v1/cache?url=URL; by POST /api/v1/reload, /api/v1/purge and "
                     "/api/v1/endpoints/POOL/ENDPOINT");
}

void Api::post(const std::shared_ptr<proxy::HandlerCall>& call) {
  const HandlerRequest& request = call->request();
  if (request.path == "/api/v1/reload") return reload(call);
  if (request.path == kPurgePath) {
    return call->reply(purge(port_, request, call->loop().chunks()));
  }
  call->reply(change_endpoint(port_.registry(), request));
}

void Api::reload(const std::shared_ptr<proxy::HandlerCall>& call) {
  log_info("admin", "{}: reload", call->request().client_ip);
  port_.reload([call](const ReloadOutcome& outcome) {
    Json answer = {{"ok", outcome.ok}, {"generation", outcome.generation}, {"text", outcome.text}};
    Json problems = Json::parse(outcome.problems, nullptr, false);
    answer["problems"] = problems.is_array() ? std::move(problems) : Json::array();
    call->reply(json_reply(outcome.ok ? 200 : 422,
                           answer.dump(-1, ' ', false, Json::error_handler_t::replace)));
  });
}

HandlerReply error_reply(int status, std::string_view text) {
  const Json body = {{"error", text}};
  return json_reply(status, body.dump(-1, ' ', false, Json::error_handler_t::replace));
}

HandlerReply json_reply(int status, std::string body) {
  return make_reply(status, "application/json", std::move(body) + "\n");
}

// Who may ask
// ---------------------------------------------------------------------------------------

namespace {

// Without the port: "[::1]:9901" is "::1", "localhost:9901" is "localhost".
std::string_view host_only(std::string_view host) {
  if (host.starts_with('[')) {
    const size_t end = host.find(']');
    return end == std::string_view::npos ? host : host.substr(1, end - 1);
  }
  return host.substr(0, host.rfind(':'));
}

bool is_literal(std::string_view host) {
  return SocketAddress::from_ip(host, 0).has_value() || equals_ignore_case(host, "localhost");
}

}  // namespace

std::string refusal(const HandlerRequest& request) {
  const std::string_view host = request.field("host");
  if (!request.is_unix_client && !is_literal(host_only(host))) {
    return "Host must be an IP address or localhost here, so that no web page can be made to ask";
  }
  const std::string_view origin = request.field("origin");
  const bool is_safe = http::is_safe(request.method);
  if (is_safe || origin.empty()) return {};
  constexpr std::string_view kScheme = "http://";
  if (origin.starts_with(kScheme) && origin.substr(kScheme.size()) == host) return {};
  return "a page of another origin may not ask for this";
}

}  // namespace sluice::admin
