// sluice-orders: the sample backend behind sluice.
#include <cstdio>

#include <fmt/format.h>

#include "sluice/base/check.h"
#include "sluice/orders/options.h"
#include "sluice/orders/server.h"
#include "sluice/orders/version.h"

int main(int argc, char** argv) {
  using namespace sluice;
  using namespace sluice::orders;
  install_crash_reports(kVersion);
  CommandLine line = read_command_line(argc, argv);
  if (line.action == CommandLine::Action::exit) return line.exit_code;
  Server server(std::move(line.serve));
  if (const std::string problem = server.start(); !problem.empty()) {
    fmt::print(stderr, "sluice-orders: {}\n", problem);
    return 1;
  }
  server.run();
  return 0;
}
