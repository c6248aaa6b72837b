#include "sluice/orders/work.h"

#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "sluice/loop/loop.h"
#include "sluice/loop/signals.h"
#include "sluice/orders/gate/stock_gate.h"
#include "sluice/orders/open_queue.h"
#include "sluice/orders/open_store.h"
#include "sluice/orders/version.h"
#include "sluice/orders/worker.h"

namespace sluice::orders {

// In the order in which they need each other; destroyed the other way round.
struct WorkProcess::State {
  explicit State(WorkOptions given) : options(std::move(given)) {}

  void on_signal();

  WorkOptions options;
  loop::Loop loop;
  std::unique_ptr<ShopStore> store;
  std::unique_ptr<EventSource> source;
  std::optional<Worker> worker;
  std::optional<loop::Signals> signals;
  bool is_stopping = false;
};

WorkProcess::WorkProcess(WorkOptions options)
    : state_(std::make_unique<State>(std::move(options))) {}
WorkProcess::~WorkProcess() = default;

std::string WorkProcess::start() {
  State& state = *state_;
  const WorkOptions& options = state.options;
  OpenedStore opened = open_store(state.loop, options.database, {});
  if (opened.store == nullptr) return opened.problem;
  state.store = std::move(opened.store);
  if (!options.stock.empty()) {
    state.store = make_returning_store(state.loop, std::move(state.store), options.stock);
  }
  state.source = make_source(state.loop, options.queue, *state.store);
  WorkerOptions how;
  how.fail_payments = options.fail_payments;
  how.most_attempts = options.most_attempts;
  state.worker.emplace(state.loop, *state.store, *state.source, how);
  state.signals.emplace(state.loop, std::initializer_list<int>{SIGTERM, SIGINT},
                        [&state](int) { state.on_signal(); });
  const std::string name =
      options.name.empty() ? fmt::format("worker-{}", ::getpid()) : options.name;
  fmt::print("sluice-orders {}: {} works, database {}{}{}, queue {}\n", kVersion, name,
             state.store->text(), opened.note(), stock_text(options.stock), state.source->text());
  std::fflush(stdout);
  state.worker->start();
  return {};
}

void WorkProcess::run() {
  State& state = *state_;
  state.loop.set_resident(true);
  state.loop.run();
  const Worker::Counts& counts = state.worker->counts();
  fmt::print(
      "sluice-orders: stopped; moved {}, recorded {}, duplicates {}, old {}, parked {}, "
      "tried again {}\n",
      counts.moved, counts.recorded, counts.duplicates, counts.old, counts.parked, counts.retried);
  std::fflush(stdout);
}

void WorkProcess::State::on_signal() {
  if (std::exchange(is_stopping, true)) return loop.stop();
  worker->stop(options.drain_timeout, [this] { loop.stop(); });
}

}  // namespace sluice::orders
