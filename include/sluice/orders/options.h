// The command line of sluice-orders, as values.
#pragma once

#include <string>
#include <vector>

#include "sluice/base/address.h"
#include "sluice/base/clock.h"
#include "sluice/orders/gate/repair.h"
#include "sluice/orders/gate/stock_gate.h"
#include "sluice/orders/order.h"
#include "sluice/orders/purge/purge_target.h"

namespace sluice::orders {

struct ServeOptions {
  SocketAddress listen;
  std::string database;            // URL
  std::string queue = "embedded";  // URL
  std::string name;                // "": where it listens
  bool is_async = false;
  bool allow_restock = false;
  std::vector<Product> seed;  // for a new database
  bool has_seed_file = false;
  Duration delay{0};
  double fail_rate = 0;
  GateOptions gate;
  int64_t user_limit = 0;                            // orders of one user; 0: no limit
  int64_t rate_limit = 0;                            // orders a second; 0: no limit
  std::vector<PurgeTarget> purge;                    // sluices of other hosts
  Duration drain_timeout = std::chrono::seconds(5);  // no option
};

struct WorkOptions {
  std::string database;            // URL
  std::string queue = "embedded";  // URL
  std::string name;                // "": made of the process id
  double fail_payments = 0;
  int64_t most_attempts = 5;
  std::string stock;                                 // URL of the stock gate; "": none
  Duration drain_timeout = std::chrono::seconds(5);  // no option
};

// What main() has to do next.
struct CommandLine {
  enum class Action : uint8_t { serve, work, repair, exit };
  Action action = Action::exit;
  int exit_code = 0;  // exit: everything is said already. 2 is wrong usage
  ServeOptions serve;
  WorkOptions work;
  RepairOptions repair;
};

CommandLine read_command_line(int argc, char** argv);

}  // namespace sluice::orders
