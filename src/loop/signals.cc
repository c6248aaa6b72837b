#include "sluice/loop/signals.h"

#include <uv.h>

#include <vector>

#include "sluice/base/check.h"

namespace sluice::loop {
namespace {

struct SignalHusk {
  uv_signal_t signal;
  bool is_closed = false;
  std::function<void(int)> on_signal;  // here, since it may destroy the Signals
};

}  // namespace

struct Signals::State {
  std::vector<SignalHusk*> husks;
};

Signals::Signals(
    Loop& loop, std::initializer_list<int> numbers,
    std::function<void(int)> on_signal)  // NOLINT: copied for each number, not per call
    : state_(std::make_unique<State>()) {
  for (int number : numbers) {
    auto* husk = new SignalHusk{{}, false, on_signal};
    SL_CHECK(uv_signal_init(loop.uv(), &husk->signal) == 0);
    husk->signal.data = husk;
    auto call = [](uv_signal_t* signal, int arrived) noexcept {
      auto& self = *static_cast<SignalHusk*>(signal->data);
      if (!self.is_closed) self.on_signal(arrived);
    };
    SL_CHECK(uv_signal_start(&husk->signal, call, number) == 0);
    state_->husks.push_back(husk);
  }
}

Signals::~Signals() {
  for (SignalHusk* husk : state_->husks) {
    husk->is_closed = true;
    uv_close(reinterpret_cast<uv_handle_t*>(&husk->signal),
             [](uv_handle_t* handle) noexcept { delete static_cast<SignalHusk*>(handle->data); });
  }
}

}  // namespace sluice::loop
