#include "sluice/admin/status.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "sluice/config/config.h"

namespace sluice::admin {

namespace {

using Json = nlohmann::ordered_json;

EndpointFacts facts_of(const upstream::Endpoint& endpoint, TimePoint now) {
  EndpointFacts facts;
  facts.name = endpoint.name();
  facts.address = endpoint.configured_address().text();
  for (const SocketAddress& address : endpoint.addresses()) {
    facts.addresses.push_back(address.to_string());
  }
  facts.state = endpoint.state();
  facts.is_backup = endpoint.is_backup();
  facts.is_healthy = endpoint.is_healthy();
  facts.is_ejected = endpoint.is_ejected(now);
  facts.is_usable = endpoint.is_usable(now);
  facts.weight = endpoint.weight();
  facts.in_flight = endpoint.in_flight();
  facts.requests = endpoint.requests();
  facts.failures = endpoint.failures();
  facts.check = endpoint.check();
  return facts;
}

std::vector<PoolFacts> collect_pools(Port& port, TimePoint now) {
  const auto& configured = port.snapshot().config.pools;
  const auto& living = port.registry().pools();
  std::vector<PoolFacts> pools;
  for (size_t i = 0; i < configured.size() && i < living.size(); ++i) {
    PoolFacts pool;
    pool.name = configured[i].name;
    pool.balance = config::to_text(configured[i].balance.kind);
    for (const auto& endpoint : living[i].endpoints) {
      pool.endpoints.push_back(facts_of(*endpoint, now));
    }
    pools.push_back(std::move(pool));
  }
  return pools;
}

Json time_or_null(WallTime time) { return time == WallTime{} ? Json() : Json(iso_time(time)); }

Json to_json(const EndpointFacts& endpoint) {
  Json check;
  if (endpoint.check.done) {
    check = Json{{"at", iso_time(endpoint.check.at)},
                 {"ok", endpoint.check.ok},
                 {"text", endpoint.check.text}};
  } else {
    check = Json{{"at", nullptr}, {"ok", nullptr}, {"text", "not checked"}};
  }
  return {{"name", endpoint.name},
          {"address", endpoint.address},
          {"state", upstream::to_string(endpoint.state)},
          {"weight", endpoint.weight},
          {"in_flight", endpoint.in_flight},
          {"requests", endpoint.requests},
          {"failures", endpoint.failures},
          {"last_check", std::move(check)},
          {"since", time_or_null(endpoint.check.since)},
          {"addresses", endpoint.addresses},
          {"backup", endpoint.is_backup},
          {"ejected", endpoint.is_ejected},
          {"usable", endpoint.is_usable}};
}

Json to_json(const PoolFacts& pool) {
  Json endpoints = Json::array();
  for (const EndpointFacts& endpoint : pool.endpoints) endpoints.push_back(to_json(endpoint));
  return {{"name", pool.name}, {"endpoints", std::move(endpoints)}, {"balance", pool.balance}};
}

Json to_json(const ReloadOutcome& reload) {
  if (reload.at == WallTime{}) return {};
  return {{"at", iso_time(reload.at)}, {"ok", reload.ok}, {"text", reload.text}};
}

Json listeners_json(const std::vector<ListenerFacts>& listeners) {
  Json list = Json::array();
  for (const ListenerFacts& listener : listeners) {
    list.push_back(
        {{"name", listener.name}, {"bind", listener.bind}, {"connections", listener.connections}});
  }
  return list;
}

Json to_json(const RecentFacts& recent) {
  return {{"seconds", recent.seconds},
          {"requests_per_s", recent.requests_per_s},
          {"p50_ms", to_ms(recent.p50)},
          {"p95_ms", to_ms(recent.p95)},
          {"p99_ms", to_ms(recent.p99)}};
}

Json to_json(const TotalFacts& totals) {
  Json errors = Json::object();
  for (const auto& [reason, count] : totals.errors) errors[std::string(reason)] = count;
  return {{"requests", totals.requests},
          {"retries", totals.retries},
          {"bytes_in", totals.bytes_in},
          {"bytes_out", totals.bytes_out},
          {"errors", std::move(errors)}};
}

double hit_ratio(uint64_t hits, uint64_t misses) {
  const uint64_t looked_up = hits + misses;
  return looked_up == 0 ? 0 : static_cast<double>(hits) / static_cast<double>(looked_up);
}

Json to_json(const CacheFacts::Tier& tier) {
  return {{"hits", tier.hits},
          {"misses", tier.misses},
          {"hit_ratio", hit_ratio(tier.hits, tier.misses)}};
}

Json to_json(const cache::SharedServerFacts& server) {
  return {{"address", server.address},
          {"state", server.is_well() ? "up" : "degraded"},
          {"since", time_or_null(server.since)},
          {"error", server.last_error},
          {"subscribed", server.is_subscribed},
          {"purges_waiting", server.purges_waiting},
          {"purges_sent", server.purges_sent},
          {"purges_received", server.purges_received},
          {"degraded_workers", server.degraded_workers},
          {"warning", server.warning}};
}

Json to_json(const CacheFacts& cache) {
  Json routes = Json::array();
  for (const auto& [name, sums] : cache.routes) {
    routes.push_back({{"name", name},
                      {"hits", sums.hits()},
                      {"misses", sums.misses()},
                      {"hit_ratio", hit_ratio(sums.hits(), sums.misses())}});
  }
  Json servers = Json::array();
  for (const cache::SharedServerFacts& server : cache.shared.servers) {
    servers.push_back(to_json(server));
  }
  return {
      {"hits", cache.hits},
      {"misses", cache.misses},
      {"hit_ratio", hit_ratio(cache.hits, cache.misses)},
      {"bytes", cache.bytes},
      {"limit", cache.limit},
      {"entries", cache.entries},
      {"evicted", cache.evicted},
      {"purged", cache.purged},
      {"redis", shared_state(cache.shared)},
      {"tiers", {{"memory", to_json(cache.memory_tier)}, {"redis", to_json(cache.shared_tier)}}},
      {"servers", std::move(servers)},
      {"routes", std::move(routes)}};
}

}  // namespace

std::string_view to_string(Phase phase) noexcept {
  switch (phase) {
    case Phase::starting:
      return "starting";
    case Phase::serving:
      return "serving";
    case Phase::leaving:
      return "leaving";
    case Phase::draining:
      return "draining";
    case Phase::stopping:
      return "stopping";
  }
  return "?";
}

std::string_view shared_state(const cache::SharedFacts& shared) noexcept {
  if (shared.servers.empty()) return "off";
  return std::ranges::all_of(shared.servers, &cache::SharedServerFacts::is_well) ? "up"
                                                                                 : "degraded";
}

std::vector<std::string> degradations(const StatusFacts& facts) {
  std::vector<std::string> found;
  for (const cache::SharedServerFacts& server : facts.server.cache.shared.servers) {
    if (server.is_well()) continue;
    found.push_back(fmt::format("redis {}: {}", server.address,
                                server.last_error.empty() ? "not ready" : server.last_error));
  }
  return found;
}

StatusFacts collect_status(Port& port) {
  StatusFacts facts;
  facts.server = port.facts();
  facts.pools = collect_pools(port, monotonic_now());
  facts.not_ready = not_ready_reasons(facts);
  return facts;
}

std::string status_json(const StatusFacts& facts, bool pretty) {
  const ServerFacts& server = facts.server;
  Json pools = Json::array();
  for (const PoolFacts& pool : facts.pools) pools.push_back(to_json(pool));
  const Json status = {{"version", server.version},
                       {"uptime_s", server.uptime.count() / 1'000'000'000},
                       {"workers", server.workers},
                       {"listeners", listeners_json(server.listeners)},
                       {"pools", std::move(pools)},
                       {"cache", to_json(server.cache)},
                       {"state", to_string(server.phase)},
                       {"ready", facts.not_ready.empty()},
                       {"not_ready", facts.not_ready},
                       {"pid", server.pid},
                       {"generation", server.generation},
                       {"loaded", iso_time(server.loaded)},
                       {"reloads", {{"ok", server.reloads_ok}, {"failed", server.reloads_failed}}},
                       {"last_reload", to_json(server.last_reload)},
                       {"worker_connections", server.connections},
                       {"log_dropped", server.log_dropped},
                       {"recent", to_json(server.recent)},
                       {"totals", to_json(server.totals)}};
  return status.dump(pretty ? 2 : -1, ' ', false, Json::error_handler_t::replace);
}

std::vector<std::string> not_ready_reasons(const StatusFacts& facts) {
  std::vector<std::string> reasons;
  if (facts.server.phase != Phase::serving) {
    reasons.push_back("sluice is " + std::string(to_string(facts.server.phase)));
  }
  for (const PoolFacts& pool : facts.pools) {
    const bool has_usable = std::any_of(pool.endpoints.begin(), pool.endpoints.end(),
                                        [](const EndpointFacts& e) { return e.is_usable; });
    if (!has_usable) reasons.push_back("pool " + pool.name + " has no usable endpoint");
  }
  return reasons;
}

std::string status_line(const StatusFacts& facts) {
  size_t all = 0, down = 0;
  for (const PoolFacts& pool : facts.pools) {
    for (const EndpointFacts& endpoint : pool.endpoints) {
      ++all;
      if (endpoint.state == upstream::EndpointState::down) ++down;
    }
  }
  const size_t listeners = facts.server.listeners.size();
  return fmt::format("{} {} listener{}, {}/{} endpoints down", to_string(facts.server.phase),
                     listeners, listeners == 1 ? "" : "s", down, all);
}

std::string iso_time(WallTime time) {
  const auto ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
  const time_t second = static_cast<time_t>(ms / 1000);
  tm parts{};
  gmtime_r(&second, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                     ms % 1000);
}

}  // namespace sluice::admin
