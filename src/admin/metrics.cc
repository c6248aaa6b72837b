#include "sluice/admin/metrics.h"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

namespace sluice::admin {

namespace {

using stats::MetricType;
using stats::PrometheusWriter;

uint64_t count_open_fds() {
  // Newer kernels tell the number as the folder's size; counting takes long with a million of them.
  struct stat info;
  if (stat("/proc/self/fd", &info) == 0 && info.st_size > 0) {
    return static_cast<uint64_t>(info.st_size);
  }
  DIR* dir = opendir("/proc/self/fd");
  if (dir == nullptr) return 0;
  uint64_t count = 0;
  while (const dirent* entry = readdir(dir)) count += entry->d_name[0] != '.' ? 1 : 0;
  closedir(dir);
  return count - 1;  // that of the folder itself
}

uint64_t read_resident_bytes() {
  unsigned long pages = 0, resident = 0;
  FILE* file = std::fopen("/proc/self/statm", "re");
  if (file == nullptr) return 0;
  if (std::fscanf(file, "%lu %lu", &pages, &resident) != 2) resident = 0;
  std::fclose(file);
  return uint64_t{resident} * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

double unix_seconds(WallTime time) {
  return std::chrono::duration<double>(time.time_since_epoch()).count();
}

struct EndpointFamily {
  std::string_view name;
  MetricType type;
  std::string_view help;
  uint64_t (*value)(const EndpointFacts&);
};

constexpr EndpointFamily kEndpointFamilies[] = {
    {"sluice_endpoint_up", MetricType::gauge, "Whether the endpoint is healthy (1) or not (0)",
     [](const EndpointFacts& e) -> uint64_t { return e.is_healthy ? 1 : 0; }},
    {"sluice_endpoint_usable", MetricType::gauge, "Whether the endpoint may get requests now",
     [](const EndpointFacts& e) -> uint64_t { return e.is_usable ? 1 : 0; }},
    {"sluice_endpoint_in_flight", MetricType::gauge, "Requests in progress at the endpoint",
     [](const EndpointFacts& e) -> uint64_t { return e.in_flight; }},
    {"sluice_endpoint_weight", MetricType::gauge, "Weight as configured or set by people",
     [](const EndpointFacts& e) -> uint64_t { return e.weight; }},
    {"sluice_endpoint_requests_total", MetricType::counter, "Tries sent to the endpoint",
     [](const EndpointFacts& e) -> uint64_t { return e.requests; }},
    {"sluice_endpoint_failures_total", MetricType::counter, "Tries at the endpoint that failed",
     [](const EndpointFacts& e) -> uint64_t { return e.failures; }},
};

void write_value(PrometheusWriter& out, std::string_view name, std::string_view help, auto value) {
  out.family(name, MetricType::gauge, help);
  out.sample({}, value);
}

void write_total(PrometheusWriter& out, std::string_view name, std::string_view help,
                 uint64_t value) {
  out.family(name, MetricType::counter, help);
  out.sample({}, value);
}

void write_shared(PrometheusWriter& out, const std::vector<cache::SharedServerFacts>& servers) {
  if (servers.empty()) return;
  const auto write = [&](std::string_view name, std::string_view help, auto value) {
    out.family(name, MetricType::gauge, help);
    for (const cache::SharedServerFacts& server : servers) {
      out.sample({{"server", server.address}}, static_cast<uint64_t>(value(server)));
    }
  };
  write("sluice_cache_redis_up", "Whether the server of the shared tier serves all of this process",
        [](const auto& server) { return server.is_well(); });
  write("sluice_cache_redis_subscribed", "Whether purges of other hosts come from it by message",
        [](const auto& server) { return server.is_subscribed; });
  write("sluice_cache_redis_purges_waiting", "Purges of ours that it has not acknowledged",
        [](const auto& server) { return server.purges_waiting; });
  write("sluice_cache_redis_degraded_workers", "Workers that get nothing from it",
        [](const auto& server) { return server.degraded_workers; });
}

void write_cache(PrometheusWriter& out, const CacheFacts& cache) {
  write_value(out, "sluice_cache_entries", "Responses in the memory of the cache", cache.entries);
  write_value(out, "sluice_cache_bytes", "Memory that the cache takes", cache.bytes);
  write_value(out, "sluice_cache_limit_bytes", "Memory that it may take", cache.limit);
  write_total(out, "sluice_cache_evictions_total", "Entries thrown out for lack of room",
              cache.evicted);
  write_shared(out, cache.shared.servers);
  write_total(out, "sluice_cache_purges_total", "Entries removed by a purge", cache.purged);
}

void write_process(PrometheusWriter& out) {
  const ProcessFacts process = process_facts();
  write_value(out, "sluice_open_fds", "Descriptors open", process.open_fds);
  write_value(out, "sluice_max_fds", "Descriptors that may be open", process.max_fds);
  write_value(out, "sluice_resident_memory_bytes", "Memory in use", process.resident_bytes);
  out.family("sluice_cpu_seconds_total", MetricType::counter, "User and system time");
  out.sample({}, process.cpu_seconds);
}

}  // namespace

std::string metrics_text(const StatusFacts& facts, const stats::Collect& collect,
                         const stats::NameTable& names) {
  PrometheusWriter out;
  write_stats(out, collect, names);
  write_endpoints(out, facts.pools);
  write_server(out, facts);
  write_process(out);
  return out.take();
}

void write_endpoints(PrometheusWriter& out, const std::vector<PoolFacts>& pools) {
  for (const EndpointFamily& family : kEndpointFamilies) {
    out.family(family.name, family.type, family.help);
    for (const PoolFacts& pool : pools) {
      for (const EndpointFacts& endpoint : pool.endpoints) {
        out.sample({{"pool", pool.name}, {"endpoint", endpoint.name}}, family.value(endpoint));
      }
    }
  }
}

void write_server(PrometheusWriter& out, const StatusFacts& facts) {
  const ServerFacts& server = facts.server;
  out.family("sluice_build_info", MetricType::gauge, "Version of the running program");
  out.sample({{"version", server.version}}, uint64_t{1});
  write_value(out, "sluice_ready", "Whether /readyz says ready",
              uint64_t{facts.not_ready.empty() ? 1u : 0u});
  write_value(out, "sluice_workers", "Worker threads", uint64_t{server.workers});
  write_value(out, "sluice_config_generation", "Configurations put into force since the start",
              server.generation);
  write_value(out, "sluice_config_loaded_time_seconds",
              "When the configuration in force was loaded, as Unix time",
              unix_seconds(server.loaded));
  write_value(out, "sluice_start_time_seconds", "When the process started, as Unix time",
              unix_seconds(server.started));
  write_cache(out, server.cache);
  out.family("sluice_listener_connections", MetricType::gauge, "Open connections of a listener");
  for (const ListenerFacts& listener : server.listeners) {
    out.sample({{"listener", listener.name}}, uint64_t{listener.connections});
  }
  out.family("sluice_worker_connections", MetricType::gauge, "Open connections of a worker");
  for (size_t i = 0; i < server.connections.size(); ++i) {
    out.sample({{"worker", std::to_string(i)}}, uint64_t{server.connections[i]});
  }
  out.family("sluice_worker_lag_seconds", MetricType::gauge,
             "Longest turn of a worker's loop in the last second");
  for (size_t i = 0; i < server.loop_lag.size(); ++i) {
    out.sample({{"worker", std::to_string(i)}}, to_seconds(server.loop_lag[i]));
  }
}

ProcessFacts process_facts() {
  ProcessFacts facts;
  facts.open_fds = count_open_fds();
  facts.resident_bytes = read_resident_bytes();
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) facts.max_fds = limit.rlim_cur;
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) == 0) {
    facts.cpu_seconds = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
  }
  return facts;
}

}  // namespace sluice::admin
