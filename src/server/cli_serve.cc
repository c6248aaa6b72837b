#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "sluice/base/check.h"
#include "sluice/base/log.h"
#include "sluice/config/load.h"
#include "sluice/server/cli.h"
#include "sluice/server/control.h"
#include "sluice/server/version.h"

namespace sluice::server {

namespace {

// As many descriptors as we may have: two a proxied request.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    log_warn("server", "the limit of open files stays at its soft value");
  }
}

int serve(const std::string& file) {
  install_crash_reports(kVersion);
  config::LoadResult loaded = config::load_file(file);
  fmt::print(stderr, "{}", config::format_text(loaded.diagnostics, wants_color(STDERR_FILENO)));
  if (!loaded.ok()) return complain("not started: " + file + " has errors", kNotWell);
  raise_descriptor_limit();
  Control control(file, loaded.config->resolved_workers(), loaded.config->cache.memory.size);
  const std::string problems = control.start(std::move(*loaded.config));
  if (!problems.empty()) return complain("not started: " + problems, kNotWell);
  control.run();
  return kDone;
}

}  // namespace

void add_serve(CLI::App& app, Action& action) {
  auto file = std::make_shared<std::string>();
  CLI::App* verb = app.add_subcommand("serve", "Run the proxy in the foreground");
  verb->add_option("-c,--config", *file, "the configuration file")->required()->type_name("FILE");
  verb->footer(
      "TERM or INT drains and stops, a second one stops at once; HUP reloads the file;\n"
      "USR1 opens the logs anew.");
  verb->callback([&action, file] { action = [file] { return serve(*file); }; });
}

}  // namespace sluice::server
