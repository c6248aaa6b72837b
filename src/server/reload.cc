#include "sluice/server/reload.h"

#include <fmt/format.h>

#include <utility>

#include "sluice/base/log.h"
#include "sluice/base/strings.h"
#include "sluice/server/changes.h"

namespace sluice::server {

namespace {

// A log line is one line; what `check` prints has several.
void log_lines(LogLevel level, std::string_view text) {
  for (const std::string_view line : split(text, '\n')) {
    if (!line.empty()) log(level, "reload", "{}", line);
  }
}

}  // namespace

void Reloader::request(Done done) {
  waiting_.push_back(std::move(done));
  if (!is_running_) begin();
}

// Reads files and opens a log, so not on the loop.
void Reloader::begin() {
  is_running_ = true;
  served_ = std::exchange(waiting_, {});
  deps_.begins();
  auto loading = std::make_shared<Loading>();
  auto load = [loading, file = file_, logs = deps_.engine.logs(),
               present = deps_.engine.snapshot().config.access_log] {
    loading->result = config::load_file(file);
    if (!loading->result.ok()) return;
    const config::AccessLog& wanted = loading->result.config->access_log;
    loading->needs.access_changes = wanted != present;
    if (wanted != present) loading->needs.access = logs->open_access(wanted);
  };
  work_ = loop::run_work(deps_.loop, std::move(load), [this, loading] { on_loaded(loading); });
}

void Reloader::on_loaded(const std::shared_ptr<Loading>& loading) {
  config::LoadResult& result = loading->result;
  const std::string text = config::format_text(result.diagnostics);
  if (!result.ok()) return fail(text, config::format_json(result.diagnostics));
  log_lines(LogLevel::warn, text);
  Needs& needs = loading->needs;
  if (!needs.access.problem.empty()) return fail(needs.access.problem);
  if (deps_.is_leaving()) {
    deps_.engine.logs()->retire(needs.access.outputs);
    return fail("sluice is stopping");
  }
  PreparedDoors prepared = deps_.engine.prepare_doors(result.config->listeners, deps_.passed);
  if (!prepared.problems.empty()) {
    // What was opened for nothing is known to the log's writer.
    deps_.engine.logs()->retire(needs.access.outputs);
    return fail(prepared.problems);
  }
  needs.doors = std::move(prepared.doors);
  put(std::move(*result.config), std::move(needs));
}

void Reloader::put(config::Config config, Needs needs) {
  const config::Config& before = deps_.engine.snapshot().config;
  std::string text = describe_changes(before, config);
  const std::string restart = describe_restart(before, config);
  if (!restart.empty()) {
    log_warn("reload", "{}", restart);
    text += "; " + restart;
  }
  if (config.admin != before.admin) {
    const std::string problem = deps_.move_admin(config.admin.bind);
    if (!problem.empty()) {
      deps_.engine.logs()->retire(needs.access.outputs);
      return fail(problem);
    }
  }
  deps_.engine.publish(std::move(config), std::move(needs), [this, text = std::move(text)] {
    const uint64_t generation = deps_.engine.snapshot().generation;
    deps_.engine.counters().add(stats::Counter::config_reloads);
    log_info("reload", "generation {} is in force: {}", generation, text);
    end({true, generation, text, "[]", wall_now()});
  });
}

void Reloader::fail(std::string text, std::string problems) {
  deps_.engine.counters().add(stats::Counter::config_reload_failures);
  log_error("reload", "nothing was changed; generation {} stays in force",
            deps_.engine.snapshot().generation);
  log_lines(LogLevel::error, text);
  end({false, deps_.engine.snapshot().generation, std::move(text), std::move(problems),
       wall_now()});
}

void Reloader::end(admin::ReloadOutcome outcome) {
  last_ = std::move(outcome);
  is_running_ = false;
  deps_.ended(last_);
  for (const Done& done : std::exchange(served_, {})) {
    if (done) done(last_);
  }
  if (!waiting_.empty() && !is_running_) begin();
}

}  // namespace sluice::server
