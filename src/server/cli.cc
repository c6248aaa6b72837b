#include "sluice/server/cli.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>

#include "sluice/server/version.h"

namespace sluice::server {

int run_cli(int argc, const char* const* argv) {
  CLI::App app{"sluice: reverse proxy, load balancer and edge cache for HTTP", "sluice"};
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string("sluice ") + kVersion);
  app.footer("Exit codes: 0 done, 1 the thing asked about is not well, 2 usage.");
  Action action;
  add_serve(app, action);
  add_check(app, action);
  add_texts(app, action);
  add_status(app, action);
  add_verbs(app, action);
  add_not_yet(app, action);
  if (argc <= 1) {
    fmt::print(stderr, "{}", app.help());
    return kUsage;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    const auto used = app.get_subcommands();
    const std::string verb = used.empty() ? "sluice" : "sluice " + used.front()->get_name();
    return complain(fmt::format("{}; see {} --help", error.what(), verb), kUsage);
  }
  return action();
}

int complain(std::string_view text, int code) {
  const bool ends_line = text.ends_with('\n');
  fmt::print(stderr, "sluice: {}{}", text, ends_line ? "" : "\n");
  return code;
}

bool wants_color(int fd) {
  const char* never = std::getenv("NO_COLOR");
  return isatty(fd) == 1 && (never == nullptr || *never == '\0');
}

}  // namespace sluice::server
