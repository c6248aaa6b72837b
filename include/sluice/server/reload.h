// Reload: load and validate off the loop, then open, publish, tell. A bad file changes nothing.
//
//   idle --request--> loading (pool thread) --> publishing --every worker installed--> idle
//
// Requests that come meanwhile are answered by one more run, since the file may have changed after
// it was read. Owner and thread: control.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sluice/admin/port.h"
#include "sluice/config/load.h"
#include "sluice/loop/work.h"
#include "sluice/server/engine.h"

namespace sluice::server {

class Reloader {
 public:
  using Done = std::function<void(const admin::ReloadOutcome&)>;
  struct Deps {
    loop::Loop& loop;
    Engine& engine;
    PassedSockets& passed;
    // Applies a changed admin.bind; returns "" or the problem.
    std::function<std::string(const std::optional<config::BindAddress>&)> move_admin;
    std::function<bool()> is_leaving;                        // then nothing is opened any more
    std::function<void()> begins;                            // for systemd
    std::function<void(const admin::ReloadOutcome&)> ended;  // also for systemd
  };
  Reloader(std::string file, Deps deps) : file_(std::move(file)), deps_(std::move(deps)) {}

  // `done` is called once, never inside; it may be empty.
  void request(Done done);
  const admin::ReloadOutcome& last() const noexcept { return last_; }

 private:
  struct Loading {
    config::LoadResult result;
    Needs needs;
  };

  void begin();
  void on_loaded(const std::shared_ptr<Loading>& loading);
  void put(config::Config config, Needs needs);
  void fail(std::string text, std::string problems = "[]");
  void end(admin::ReloadOutcome outcome);

  std::string file_;
  Deps deps_;
  std::unique_ptr<loop::Work> work_;
  std::vector<Done> waiting_;  // for the run after this one
  std::vector<Done> served_;   // by the run under way
  bool is_running_ = false;
  admin::ReloadOutcome last_;
};

}  // namespace sluice::server
