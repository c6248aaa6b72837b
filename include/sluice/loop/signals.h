// Process signals as events on the control thread's loop.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>

#include "sluice/loop/loop.h"

namespace sluice::loop {

class Signals {
 public:
  Signals(Loop& loop, std::initializer_list<int> numbers, std::function<void(int)> on_signal);
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sluice::loop
