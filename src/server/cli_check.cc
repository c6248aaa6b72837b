#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "sluice/config/load.h"
#include "sluice/config/render.h"
#include "sluice/server/cli.h"

namespace sluice::server {

namespace {

struct CheckOptions {
  std::string file;
  bool print = false;
  bool json = false;
};

std::string count(size_t number, std::string_view noun) {
  return fmt::format("{} {}{}", number, noun, number == 1 ? "" : "s");
}

std::string verdict(const CheckOptions& options, const config::LoadResult& loaded) {
  const auto& found = loaded.diagnostics;
  const auto warnings =
      static_cast<size_t>(std::count_if(found.begin(), found.end(), [](const auto& each) {
        return each.severity == config::Severity::kWarning;
      }));
  if (!loaded.ok()) {
    return fmt::format("{}: {}\n", options.file, count(found.size() - warnings, "error"));
  }
  const config::Config& config = *loaded.config;
  const std::string warned = warnings == 0 ? "" : ", " + count(warnings, "warning");
  return fmt::format("{}: ok ({}, {}, {}{})\n", options.file,
                     count(config.listeners.size(), "listener"), count(config.pools.size(), "pool"),
                     count(config.routes.size(), "route"), warned);
}

// Findings are the product of check, so they go to stdout; with --print that is the configuration.
int check(const CheckOptions& options) {
  const config::LoadResult loaded = config::load_file(options.file);
  const int code = loaded.ok() ? kDone : kNotWell;
  if (options.json) {
    fmt::print("{}\n", config::format_json(loaded.diagnostics));
    return code;
  }
  FILE* out = options.print ? stderr : stdout;
  const bool color = wants_color(options.print ? STDERR_FILENO : STDOUT_FILENO);
  fmt::print(out, "{}", config::format_text(loaded.diagnostics, color));
  if (options.print && loaded.ok()) {
    fmt::print("{}", config::print_effective(*loaded.config, loaded.origins));
  } else {
    fmt::print(out, "{}", verdict(options, loaded));
  }
  return code;
}

}  // namespace

void add_check(CLI::App& app, Action& action) {
  auto options = std::make_shared<CheckOptions>();
  CLI::App* verb = app.add_subcommand("check", "Tell every problem of a configuration at once");
  verb->add_option("-c,--config", options->file, "the configuration file")
      ->required()
      ->type_name("FILE");
  CLI::Option* print = verb->add_flag(
      "--print", options->print, "print the effective configuration, each value with its origin");
  verb->add_flag("--json", options->json, "the problems as a JSON array")->excludes(print);
  verb->footer("Exit code 0 when the file may be served, 1 when it has errors.");
  verb->callback([&action, options] { action = [options] { return check(*options); }; });
}

}  // namespace sluice::server
