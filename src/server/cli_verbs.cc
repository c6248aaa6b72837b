#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "sluice/admin/client.h"
#include "sluice/admin/endpoints.h"
#include "sluice/server/cli.h"

namespace sluice::server {

namespace {

using Json = nlohmann::json;

constexpr Duration kReloadTimeout = std::chrono::seconds(60);

struct VerbOptions {
  std::string action;
  std::string admin;
  std::string endpoint;
  uint32_t weight = 0;
  bool json = false;
};
using OptionsPtr = std::shared_ptr<VerbOptions>;

void add_common(CLI::App* verb, const OptionsPtr& options) {
  verb->add_option("--admin", options->admin,
                   "where its admin API is: unix:/PATH or "
                   "http://HOST:PORT (default: the usual sockets)")
      ->type_name("ADDRESS");
  verb->add_flag("--json", options->json, "print the answer as JSON");
}

std::string text_of(const Json& answer, const char* key) {
  return answer.is_object() && answer.contains(key) && answer[key].is_string()
             ? answer[key].get<std::string>()
             : std::string();
}

int reload(const VerbOptions& options) {
  const auto reply = admin::ask_first(
      options.admin,
      {.method = "POST", .path = "/api/v1/reload", .body = {}, .timeout = kReloadTimeout});
  if (reply.status == 0) return complain(reply.problem, kNotWell);
  if (options.json) {
    fmt::print("{}", reply.body);
    return reply.status == 200 ? kDone : kNotWell;
  }
  const Json answer = Json::parse(reply.body, nullptr, false);
  const std::string text = text_of(answer, "text");
  if (reply.status != 200) {
    const std::string error = text.empty() ? text_of(answer, "error") : text;
    fmt::print(stderr, "{}{}", error, error.ends_with('\n') ? "" : "\n");
    return complain("not reloaded: nothing was changed", kNotWell);
  }
  fmt::print("reloaded, generation {}: {}\n", answer.value("generation", 0), text);
  return kDone;
}

int change(const VerbOptions& options) {
  const auto name = admin::parse_endpoint_name(options.endpoint);
  if (!name) {
    return complain(fmt::format("{}: name the endpoint as POOL/ENDPOINT, such as orders/a; "
                                "`sluice status` lists them",
                                options.endpoint),
                    kUsage);
  }
  Json body = {{"action", options.action}};
  if (options.action == "weight") body["weight"] = options.weight;
  const auto reply = admin::ask_first(
      options.admin, {.method = "POST",
                      .path = admin::endpoint_path(*name),
                      .body = body.dump(-1, ' ', false, Json::error_handler_t::replace)});
  if (reply.status == 0) return complain(reply.problem, kNotWell);
  if (options.json) {
    fmt::print("{}", reply.body);
    return reply.status == 200 ? kDone : kNotWell;
  }
  const Json answer = Json::parse(reply.body, nullptr, false);
  if (reply.status != 200) {
    const std::string error = text_of(answer, "error");
    return complain(error.empty() ? fmt::format("answered {}", reply.status) : error, kNotWell);
  }
  fmt::print("{}: {}, weight {}, {} in flight\n", text_of(answer, "endpoint"),
             text_of(answer, "state"), answer.value("weight", 0), answer.value("in_flight", 0));
  return kDone;
}

void add_change(CLI::App& app, Action& action, const char* name, const char* help) {
  auto options = std::make_shared<VerbOptions>();
  options->action = name;
  CLI::App* verb = app.add_subcommand(name, help);
  verb->add_option("endpoint", options->endpoint, "POOL/ENDPOINT, as `sluice status` shows it")
      ->required()
      ->type_name("POOL/ENDPOINT");
  if (options->action == "weight") {
    verb->add_option("weight", options->weight, "0 to 256; 0 gets no new requests")
        ->required()
        ->check(CLI::Range(0u, admin::kMaxWeight))
        ->type_name("N");
  }
  add_common(verb, options);
  verb->callback([&action, options] { action = [options] { return change(*options); }; });
}

}  // namespace

void add_verbs(CLI::App& app, Action& action) {
  auto options = std::make_shared<VerbOptions>();
  CLI::App* verb = app.add_subcommand("reload", "Reload the configuration and tell how it went");
  add_common(verb, options);
  verb->footer("Exit code 1 and the problems when the file has errors; then nothing changes.");
  verb->callback([&action, options] { action = [options] { return reload(*options); }; });
  add_change(app, action, "drain", "Give an endpoint no new requests, let the present ones end");
  add_change(app, action, "undrain", "End a drain");
  add_change(app, action, "disable", "Take an endpoint out, whatever its health");
  add_change(app, action, "enable", "Put an endpoint back in");
  add_change(app, action, "weight", "Set the weight of an endpoint until the next restart");
}

}  // namespace sluice::server
