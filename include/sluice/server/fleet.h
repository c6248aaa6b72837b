// All workers: messages to every one of them, with one answer when all have done it.
//
// Owner: server/engine.h; thread: control. `done` is called once on the control loop, never inside
// the call.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "sluice/loop/loop.h"
#include "sluice/server/logs.h"
#include "sluice/server/worker.h"

namespace sluice::server {

class Fleet {
 public:
  struct Deps {
    loop::Loop& control;
    stats::Collect& stats;
    stats::NameTable& names;
    Logs& logs;
    cache::Cache& cache;
    cache::PurgeHub& purges;
  };
  Fleet(uint32_t workers, const Deps& deps);
  ~Fleet();  // stop()
  Fleet(const Fleet&) = delete;
  Fleet& operator=(const Fleet&) = delete;

  void start();
  void install(const InstallationPtr& installation, std::function<void()> done);
  // Outputs of the workers in their order; none: off.
  void set_access_logs(const AccessOutputs& outputs, std::function<void()> done);
  // `done` when every worker has worked off the messages before this one.
  void meet(std::function<void()> done);
  // `done` when no worker has a connection left.
  void drain(std::function<void()> done);
  // Closes what is left and waits for the threads. Idempotent.
  void stop();

  void pulse();
  // The worker that was asked before `asked` and has not answered since, or nullptr.
  const Worker* silent_since(TimePoint asked) const noexcept;
  std::vector<uint32_t> connections() const;
  std::vector<Duration> lags() const;
  uint32_t size() const noexcept { return static_cast<uint32_t>(workers_.size()); }

 private:
  std::function<void()> when_all(std::function<void()> done) const;

  loop::Loop& control_;
  std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace sluice::server
