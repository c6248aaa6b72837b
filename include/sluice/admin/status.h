// GET /api/v1/status: the state of everything as values, and those values as JSON.
//
// Collected on the control thread; rendering is pure. The CLI makes its tables from the same JSON.
#pragma once

#include <string>
#include <vector>

#include "sluice/admin/port.h"
#include "sluice/upstream/endpoint.h"

namespace sluice::admin {

struct EndpointFacts {
  std::string name;
  std::vector<std::string> addresses;  // what the name resolves to now
  std::string address;                 // as configured
  upstream::EndpointState state = upstream::EndpointState::up;
  bool is_backup = false;
  bool is_healthy = true;
  bool is_ejected = false;
  bool is_usable = false;
  uint32_t weight = 1;
  uint32_t in_flight = 0;
  uint64_t requests = 0;
  uint64_t failures = 0;
  upstream::CheckResult check;
};

struct PoolFacts {
  std::string name;
  std::string balance;
  std::vector<EndpointFacts> endpoints;
};

struct StatusFacts {
  ServerFacts server;
  std::vector<PoolFacts> pools;
  std::vector<std::string> not_ready;  // reasons of /readyz, empty: ready
};

StatusFacts collect_status(Port& port);
// The contract's shape, indented by two when `pretty`.
std::string status_json(const StatusFacts& facts, bool pretty = false);

// Why traffic should not come here: draining, a pool without a usable endpoint. Pure.
std::vector<std::string> not_ready_reasons(const StatusFacts& facts);
// What goes on with less than it was given: servers of the shared tier that are away. Pure.
std::vector<std::string> degradations(const StatusFacts& facts);
// "up", "degraded", "off"
std::string_view shared_state(const cache::SharedFacts& shared) noexcept;
// "serving 3 listeners, 2/12 endpoints down": for systemd and people. Pure.
std::string status_line(const StatusFacts& facts);

// "2026-01-31T12:00:00.123Z"
std::string iso_time(WallTime time);

}  // namespace sluice::admin
