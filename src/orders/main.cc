// sluice-orders: the sample backend behind sluice.
#include <cstdio>

#include <fmt/format.h>

#include "sluice/base/check.h"
#include "sluice/orders/gate/repair.h"
#include "sluice/orders/options.h"
#include "sluice/orders/server.h"
#include "sluice/orders/version.h"
#include "sluice/orders/work.h"

using namespace sluice;
using namespace sluice::orders;

namespace {

template <typename Process>
int run(Process&& process) {
  if (const std::string problem = process.start(); !problem.empty()) {
    fmt::print(stderr, "sluice-orders: {}\n", problem);
    return 1;
  }
  process.run();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  install_crash_reports(kVersion);
  CommandLine line = read_command_line(argc, argv);
  if (line.action == CommandLine::Action::exit) return line.exit_code;
  if (line.action == CommandLine::Action::work) return run(WorkProcess(std::move(line.work)));
  if (line.action == CommandLine::Action::repair) return Repair(std::move(line.repair)).run();
  return run(Server(std::move(line.serve)));
}
