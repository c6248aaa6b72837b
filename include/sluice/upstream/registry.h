// All endpoints and shared pool states, found again by identity at each reload.
//
// Owner: the server; thread: control only, except the shared objects it hands out.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sluice/config/snapshot.h"
#include "sluice/loop/loop.h"
#include "sluice/stats/name_table.h"
#include "sluice/upstream/endpoint.h"

namespace sluice::upstream {

class PoolShared;
std::string_view pool_name(const PoolShared& shared) noexcept;

// One pool of a snapshot with its living parts; the same for every worker.
struct PoolParts {
  std::vector<std::shared_ptr<Endpoint>> endpoints;  // as in config::Pool::endpoints
  std::shared_ptr<PoolShared> shared;
};

class Registry {
 public:
  Registry(uint32_t workers, stats::NameTable& names);
  ~Registry();

  // The parts for a snapshot's pools, in its order: found again, or made. Endpoints that are in no
  // pool any more are returned by take_retired() once, for workers to close their idle connections.
  std::vector<PoolParts> apply(const config::Snapshot& snapshot);
  std::vector<std::shared_ptr<Endpoint>> take_retired();

  // "POOL/ENDPOINT" of the present snapshot, or nullptr.
  Endpoint* find(std::string_view pool_slash_endpoint) const;
  const std::vector<PoolParts>& pools() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sluice::upstream
