#include "sluice/server/fleet.h"

#include <atomic>

namespace sluice::server {

Fleet::Fleet(uint32_t workers, const Deps& deps) : control_(deps.control) {
  const WorkerDeps shared{deps.stats, deps.names, deps.cache, deps.purges, workers_};
  for (uint32_t i = 0; i < workers; ++i) {
    workers_.push_back(std::make_unique<Worker>(i, shared, deps.logs.diagnostics(i)));
  }
}

Fleet::~Fleet() { stop(); }

void Fleet::start() {
  for (const auto& worker : workers_) worker->start();
}

void Fleet::install(const InstallationPtr& installation, std::function<void()> done) {
  const auto one_done = when_all(std::move(done));
  for (const auto& worker : workers_) worker->install(installation, one_done);
}

void Fleet::set_access_logs(const AccessOutputs& outputs, std::function<void()> done) {
  const auto one_done = when_all(std::move(done));
  for (const auto& worker : workers_) {
    worker->set_access_log(outputs.empty() ? nullptr : &outputs[worker->index()]->log, one_done);
  }
}

void Fleet::meet(std::function<void()> done) {
  const auto one_done = when_all(std::move(done));
  for (const auto& worker : workers_) worker->meet(one_done);
}

void Fleet::drain(std::function<void()> done) {
  const auto one_done = when_all(std::move(done));
  for (const auto& worker : workers_) worker->drain(one_done);
}

// All at once, then all are waited for: what one hands to another still finds it there.
void Fleet::stop() {
  for (const auto& worker : workers_) worker->stop();
  for (const auto& worker : workers_) worker->join();
}

void Fleet::pulse() {
  for (const auto& worker : workers_) worker->pulse();
}

const Worker* Fleet::silent_since(TimePoint asked) const noexcept {
  for (const auto& worker : workers_) {
    if (worker->last_answer() < asked) return worker.get();
  }
  return nullptr;
}

std::vector<uint32_t> Fleet::connections() const {
  std::vector<uint32_t> counts;
  counts.reserve(workers_.size());
  for (const auto& worker : workers_) counts.push_back(worker->connections());
  return counts;
}

std::vector<Duration> Fleet::lags() const {
  std::vector<Duration> lags;
  lags.reserve(workers_.size());
  for (const auto& worker : workers_) lags.push_back(worker->lag());
  return lags;
}

// What each worker calls on its own thread when it is done; the last one tells control.
std::function<void()> Fleet::when_all(std::function<void()> done) const {
  struct Count {
    std::atomic<size_t> left;
    std::function<void()> done;
  };
  auto count = std::make_shared<Count>(workers_.size(), std::move(done));
  return [count, control = &control_] {
    if (count->left.fetch_sub(1) == 1) control->post(std::move(count->done));
  };
}

}  // namespace sluice::server
