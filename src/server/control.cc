#include "sluice/server/control.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <numeric>

#include "sluice/admin/status.h"
#include "sluice/base/log.h"
#include "sluice/base/units.h"
#include "sluice/server/version.h"

namespace sluice::server {

using admin::Phase;

namespace {

admin::CacheFacts cache_facts(const Engine& engine, const stats::NameTable& names) {
  using stats::Counter;
  const stats::Collect& stats = engine.stats();
  const cache::MemoryStore& store = engine.cache().store;
  const cache::StoreCounters counted = store.counters();
  admin::CacheFacts facts;
  facts.memory_tier.hits =
      stats.sum(Counter::cache_memory_hits) + stats.sum(Counter::cache_memory_stale);
  facts.memory_tier.misses = stats.sum(Counter::cache_memory_misses);
  facts.shared_tier.hits =
      stats.sum(Counter::cache_redis_hits) + stats.sum(Counter::cache_redis_stale);
  facts.shared_tier.misses = stats.sum(Counter::cache_redis_misses) +
                             stats.sum(Counter::cache_redis_errors) +
                             stats.sum(Counter::cache_redis_late);
  facts.shared = engine.purges().facts();
  facts.entries = counted.entries;
  facts.bytes = counted.bytes;
  facts.limit = store.limit();
  facts.evicted = counted.evicted;
  facts.purged = counted.purged;
  facts.refused = counted.refused;
  for (const auto& [route, sums] : stats.cache_by_route()) {
    facts.hits += sums.hits();
    facts.misses += sums.misses();
    facts.routes.push_back({std::string(names.name(route)), sums});
  }
  return facts;
}

constexpr Duration kPulse = std::chrono::seconds(1);
constexpr int kLastTurns = 4;
constexpr Duration kLastPurges = std::chrono::seconds(1);  // for the shared tier to have ours

std::string signal_name(int number) {
  const char* name = sigabbrev_np(number);
  return name == nullptr ? std::to_string(number) : std::string("SIG") + name;
}

std::string listeners_text(const std::vector<Door>& doors) {
  std::string text;
  for (const Door& door : doors) {
    text += (text.empty() ? "" : ", ") + door.shared->name() + " on " + door.sockets->text();
  }
  return text;
}

std::string pools_text(const std::vector<config::Pool>& pools) {
  std::string text;
  for (const config::Pool& pool : pools) {
    const size_t size = pool.endpoints.size();
    text += fmt::format("{}{} ({} endpoint{}, {})", text.empty() ? "" : ", ", pool.name, size,
                        size == 1 ? "" : "s", config::to_text(pool.balance.kind));
  }
  return text.empty() ? "none" : text;
}

}  // namespace

Control::Control(std::string file, uint32_t workers, size_t cache_size)
    : passed_(take_passed_sockets()),
      engine_(loop_, workers, cache_size),
      api_(*this, engine_.stats(), engine_.names()),
      door_(loop_, api_, engine_.names()),
      reloader_(std::move(file),
                {.loop = loop_,
                 .engine = engine_,
                 .passed = passed_,
                 .move_admin = [this](const auto& bind) { return door_.open(bind, passed_); },
                 .is_leaving = [this] { return drain_.is_under_way(); },
                 .begins = [this] { systemd_.reloading(); },
                 .ended = [this](const auto& outcome) { on_reloaded(outcome); }}),
      drain_(
          loop_, [this](Phase phase) { on_phase(phase); },
          [this] {
            const auto counts = engine_.fleet().connections();
            return std::accumulate(counts.begin(), counts.end(), uint32_t{0});
          }),
      pulse_(loop::Timer::make<&Control::pulse>(loop_, this)),
      started_(monotonic_now()),
      started_wall_(wall_now()) {}

// Workers first: they post to this loop.
Control::~Control() { engine_.fleet().stop(); }

// Starting ----------------------------------------------------------------------------------------

std::string Control::start(config::Config config) {
  Needs needs;
  needs.access = engine_.logs()->open_access(config.access_log);
  if (!needs.access.problem.empty()) return needs.access.problem + "\n";
  PreparedDoors prepared = engine_.prepare_doors(config.listeners, passed_);
  std::string problems = std::move(prepared.problems);
  const std::string admin_problem = door_.open(config.admin.bind, passed_);
  if (!admin_problem.empty() && config.admin.bind) problems += admin_problem + "\n";
  if (!problems.empty()) {
    engine_.logs()->retire(needs.access.outputs);
    return problems;
  }
  if (!admin_problem.empty()) {
    log_warn("admin", "no admin API: {}; set admin.bind to have one", admin_problem);
  }
  for (const auto& [name, fds] : passed_) {
    log_warn("server", "systemd passed the socket {}, which no listener uses: bind systemd:{}",
             name, name);
  }
  needs.doors = std::move(prepared.doors);
  signals_ = std::make_unique<loop::Signals>(
      loop_, std::initializer_list<int>{SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2},
      [this](int number) { on_signal(number); });
  engine_.fleet().start();
  loaded_ = wall_now();
  engine_.publish(std::move(config), std::move(needs), [this] { on_started(); });
  return {};
}

void Control::on_started() {
  if (phase_ != Phase::starting) return;  // told to stop meanwhile
  phase_ = Phase::serving;
  const uint32_t workers = engine_.fleet().size();
  log_info("server", "sluice {} with {} worker{}, pid {}", kVersion, workers,
           workers == 1 ? "" : "s", getpid());
  log_info("server", "listeners: {}", listeners_text(engine_.doors()));
  log_info("server", "pools: {}", pools_text(snapshot().config.pools));
  if (!door_.text().empty()) log_info("server", "admin API on {}", door_.text());
  pulse();
  systemd_.ready(status_text());
}

void Control::run() {
  loop_.set_resident(true);
  loop_.run();
  engine_.fleet().stop();
  engine_.purges().finish(kLastPurges);
  door_.close();
  // What was closed is buried at the end of a turn, and still needs its listener.
  for (int turn = 0; turn < kLastTurns; ++turn) loop_.run_once(false);
  log_info("server", "stopped");
}

// Signals and phases ------------------------------------------------------------------------------

void Control::on_signal(int number) {
  switch (number) {
    case SIGTERM:
    case SIGINT: {
      const config::Config& config = snapshot().config;
      return drain_.request(signal_name(number), {config.shutdown_delay, config.drain_timeout});
    }
    case SIGHUP:
      return reload({});
    case SIGUSR1:
      log_info("server", "SIGUSR1: opening the logs anew");
      return engine_.logs()->writer().reopen();
    default:
      log_warn("server", "{} is ignored: this version cannot hand over to a new binary",
               signal_name(number));
  }
}

void Control::on_phase(Phase phase) {
  phase_ = phase;
  systemd_.stopping(status_text());
  // First no installation is under way that still needs our descriptors; then the workers hold the
  // only ones, so that a socket is gone at the moment in which its queue was found empty.
  if (phase == Phase::draining) {
    engine_.fleet().meet([this] {
      for (const Door& door : engine_.doors()) door.sockets->close();
      engine_.fleet().drain([this] { drain_.finished(); });
    });
  }
  if (phase == Phase::stopping) loop_.stop();
}

void Control::reload(std::function<void(const admin::ReloadOutcome&)> done) {
  if (!drain_.is_under_way()) return reloader_.request(std::move(done));
  log_warn("reload", "not while sluice is stopping");
  if (!done) return;
  loop_.post([done = std::move(done), generation = snapshot().generation] {
    done({false, generation, "sluice is stopping", "[]", wall_now()});
  });
}

size_t Control::purge(const cache::PurgeOrder& order) {
  Arena arena(loop_.chunks());
  return engine_.purges().purge(order, arena);
}

void Control::count_purge(cache::PurgeKind kind) {
  engine_.counters().add(kind == cache::PurgeKind::soft ? stats::Counter::cache_purges_soft
                                                        : stats::Counter::cache_purges_hard);
}

void Control::on_reloaded(const admin::ReloadOutcome& outcome) {
  if (outcome.ok) loaded_ = outcome.at;
  if (drain_.is_under_way()) return;
  systemd_.ready(outcome.ok ? status_text() : "reload failed; " + status_text());
}

// Once a second -----------------------------------------------------------------------------------

void Control::pulse() noexcept {
  watch_workers();
  count_lost_lines();
  recent_.look(engine_.stats(), loop_.now());
  if (systemd_.is_listening()) systemd_.status(status_text());
  const Duration watchdog = systemd_.watchdog_interval();
  pulse_.set_after(watchdog == Duration(0) ? kPulse : std::min(kPulse, watchdog / 4));
}

// systemd is told that we are alive only if the workers are.
void Control::watch_workers() {
  const Worker* silent = asked_ == TimePoint{} ? nullptr : engine_.fleet().silent_since(asked_);
  if (silent != nullptr) {
    static LogLimiter limiter;
    const Duration since = monotonic_now() - silent->last_answer();
    log_limited(limiter, LogLevel::warn, "server", "worker {} has not answered for {:.1f} s",
                silent->index(), to_seconds(since));
    return;
  }
  if (systemd_.watchdog_interval() != Duration(0)) systemd_.alive();
  asked_ = monotonic_now();
  engine_.fleet().pulse();
}

void Control::count_lost_lines() {
  const uint64_t now = engine_.log_dropped();
  stats::Counters& counters = engine_.counters();
  if (now > lost_lines_) counters.add(stats::Counter::log_dropped, now - lost_lines_);
  lost_lines_ = std::max(lost_lines_, now);
  const uint64_t errors = engine_.logs()->writer().write_errors();
  const uint64_t counted = counters.get(stats::Counter::log_write_errors);
  if (errors > counted) counters.add(stats::Counter::log_write_errors, errors - counted);
}

std::string Control::status_text() { return admin::status_line(admin::collect_status(*this)); }

admin::ServerFacts Control::facts() const {
  admin::ServerFacts facts;
  facts.version = kVersion;
  facts.pid = getpid();
  facts.uptime = monotonic_now() - started_;
  facts.started = started_wall_;
  facts.workers = engine_.fleet().size();
  facts.phase = phase_;
  facts.generation = engine_.snapshot().generation;
  facts.loaded = loaded_;
  facts.reloads_ok = engine_.stats().sum(stats::Counter::config_reloads);
  facts.reloads_failed = engine_.stats().sum(stats::Counter::config_reload_failures);
  facts.last_reload = reloader_.last();
  facts.log_dropped = lost_lines_;
  facts.loop_lag = engine_.fleet().lags();
  facts.connections = engine_.fleet().connections();
  for (const Door& door : engine_.doors()) {
    facts.listeners.push_back(
        {door.shared->name(), door.sockets->text(), door.shared->connections(), door.shared->id()});
  }
  facts.recent = recent_.facts();
  facts.totals = admin::collect_totals(engine_.stats());
  facts.cache = cache_facts(engine_, engine_.names());
  return facts;
}

}  // namespace sluice::server
