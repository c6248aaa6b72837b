// The command line of sluice-orders, as values.
#pragma once

#include <string>
#include <vector>

#include "sluice/base/address.h"
#include "sluice/base/clock.h"
#include "sluice/orders/order.h"

namespace sluice::orders {

struct ServeOptions {
  SocketAddress listen;
  std::string database;  // path of the SQLite file
  std::string name;      // "": where it listens
  bool allow_restock = false;
  std::vector<Product> seed;  // for a new database
  bool has_seed_file = false;
  Duration delay{0};
  double fail_rate = 0;
  Duration drain_timeout = std::chrono::seconds(5);  // no option
};

// What main() has to do next.
struct CommandLine {
  enum class Action : uint8_t { serve, exit };
  Action action = Action::exit;
  int exit_code = 0;  // exit: everything is said already. 2 is wrong usage
  ServeOptions serve;
};

CommandLine read_command_line(int argc, char** argv);

}  // namespace sluice::orders
