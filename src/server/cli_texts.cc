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

// Verbs that other versions have: who finds them in a manual is told, not left to guess.
void add_missing(CLI::App& app, Action& action, const char* name, const char* what) {
  CLI::App* verb = app.add_subcommand(name, fmt::format("{} (not in this version)", what));
  verb->allow_extras();
  verb->callback([&action, name] {
    action = [name] {
      return complain(fmt::format("{}: this version ({}) has no cache, so there is nothing to do; "
                                  "it comes with the cache",
                                  name, kVersion),
                      kUsage);
    };
  });
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

void add_not_yet(CLI::App& app, Action& action) {
  add_missing(app, action, "purge", "Remove entries from the cache");
  add_missing(app, action, "cache", "Look at the cache");
}

}  // namespace sluice::server
