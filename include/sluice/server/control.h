// The control thread: signals, probes, reloads, the admin API, systemd; it starts and ends all
// else.
//
// Owner: server/serve; thread: the main one. It reads no file and writes no log itself, so that a
// slow disk delays no probe.
#pragma once

#include <memory>
#include <string>

#include "sluice/admin/api.h"
#include "sluice/admin/port.h"
#include "sluice/admin/recent.h"
#include "sluice/config/config.h"
#include "sluice/loop/signals.h"
#include "sluice/loop/timer.h"
#include "sluice/server/admin_door.h"
#include "sluice/server/drain.h"
#include "sluice/server/engine.h"
#include "sluice/server/reload.h"
#include "sluice/server/systemd.h"

namespace sluice::server {

class Control final : public admin::Port {
 public:
  // `cache_size`: of the memory tier at the start, by which its tables are sized.
  Control(std::string file, uint32_t workers, size_t cache_size);
  ~Control() override;

  // Opens everything and starts the workers; returns "" or the problems, one a line, and then
  // nothing runs.
  std::string start(config::Config config);
  // Serves until told to stop.
  void run();

  // For the admin API.
  admin::ServerFacts facts() const override;
  const config::Snapshot& snapshot() const override { return engine_.snapshot(); }
  upstream::Registry& registry() override { return engine_.registry(); }
  void reload(std::function<void(const admin::ReloadOutcome&)> done) override;
  cache::Cache& cache() override { return engine_.cache(); }
  std::optional<cache::SharedAccess> shared_access(const Hash128& key) override {
    return engine_.purges().access(key);
  }
  size_t purge(const cache::PurgeOrder& order) override;
  void count_purge(cache::PurgeKind kind) override;

 private:
  void on_started();
  void on_signal(int number);
  void on_phase(admin::Phase phase);
  void on_reloaded(const admin::ReloadOutcome& outcome);
  void pulse() noexcept;
  void watch_workers();
  void count_lost_lines();
  std::string status_text();

  loop::Loop loop_;
  PassedSockets passed_;
  SystemdNotifier systemd_;
  Engine engine_;
  admin::Api api_;
  AdminDoor door_;
  Reloader reloader_;
  Drain drain_;
  std::unique_ptr<loop::Signals> signals_;
  loop::Timer pulse_;
  TimePoint asked_{};  // when the workers were last asked for a sign of life
  admin::Phase phase_ = admin::Phase::starting;
  TimePoint started_;
  WallTime started_wall_;
  WallTime loaded_{};
  uint64_t lost_lines_ = 0;
  admin::Recent recent_;
};

}  // namespace sluice::server
