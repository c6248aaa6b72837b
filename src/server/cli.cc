#include "sluice/server/cli.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "sluice/base/strings.h"
#include "sluice/server/version.h"

namespace sluice::server {

namespace {

// CLI11 only says that a command is missing when the first word is none.
std::string unknown_command(const CLI::App& app, std::string_view word) {
  std::vector<std::string_view> known;
  for (const CLI::App* command : app.get_subcommands({})) known.push_back(command->get_name());
  const auto meant = nearest(word, known);
  const std::string hint = meant ? fmt::format("; did you mean \"{}\"?", *meant) : "";
  return fmt::format("unknown command \"{}\"{}", word, hint);
}

}  // namespace

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
  add_cache(app, action);
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
    const bool is_unknown = used.empty() && argv[1][0] != '-';
    const std::string what = is_unknown ? unknown_command(app, argv[1]) : error.what();
    return complain(fmt::format("{}; see {} --help", what, verb), kUsage);
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
