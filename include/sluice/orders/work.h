// The worker process: one loop with a source of events, the store behind it, and signals.
//
// Owner: main(). TERM or INT: nothing more is taken, what is under way is finished and
// acknowledged, within 5 s, and the rest is given back; a second one ends it at once.
#pragma once

#include <memory>
#include <string>

#include "sluice/orders/options.h"

namespace sluice::orders {

class WorkProcess {
 public:
  explicit WorkProcess(WorkOptions options);
  ~WorkProcess();
  WorkProcess(const WorkProcess&) = delete;
  WorkProcess& operator=(const WorkProcess&) = delete;

  // Opens database and queue; "" or what is wrong, in one line.
  std::string start();
  // Works until it was told to stop.
  void run();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sluice::orders
