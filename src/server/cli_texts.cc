#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "sluice/config/render.h"
#include "sluice/server/cli.h"
#include "sluice/server/version.h"

namespace sluice::server {

namespace {

int print_version(bool json) {
  const nlohmann::ordered_json text = {{"name", "sluice"}, {"version", kVersion}};
  fmt::print("{}\n", json ? text.dump() : std::string("sluice ") + kVersion);
  return kDone;
}

}  // namespace

void add_texts(CLI::App& app, Action& action) {
  CLI::App* reference =
      app.add_subcommand("reference", "Print the reference configuration: every key, explained");
  reference->callback([&action] {
    action = [] {
      fmt::print("{}", config::reference_yaml());
      return kDone;
    };
  });
  CLI::App* schema = app.add_subcommand("schema", "Print the JSON Schema of the configuration");
  schema->callback([&action] {
    action = [] {
      fmt::print("{}", config::json_schema());
      return kDone;
    };
  });
  auto json = std::make_shared<bool>(false);
  CLI::App* version = app.add_subcommand("version", "Print the version");
  version->add_flag("--json", *json, "as JSON");
  version->callback([&action, json] { action = [json] { return print_version(*json); }; });
}

}  // namespace sluice::server
