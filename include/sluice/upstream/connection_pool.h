// Idle and new connections to endpoints, of one worker. No locks: nothing here is shared.
//
// Owner: the worker. Lifetime: outlives every exchange; survives snapshots, since it is keyed by
// Endpoint, which survives too. An idle connection keeps a read armed: any byte or end of file
// closes it, so that a dead one is rarely taken. Newest first.
#pragma once

#include <memory>

#include "sluice/base/clock.h"
#include "sluice/base/error.h"
#include "sluice/config/config.h"
#include "sluice/loop/loop.h"
#include "sluice/stats/counters.h"
#include "sluice/upstream/endpoint.h"
#include "sluice/upstream/upstream_stream.h"

namespace sluice::upstream {

// Idle connections kept to one endpoint by one worker.
inline constexpr size_t kMostIdle = 512;

// Called once, never inside acquire(), and not after the Acquire was destroyed.
class AcquireListener {
 public:
  virtual void on_acquired(UpstreamStream* stream) noexcept = 0;
  virtual void on_acquire_failed(Error error) noexcept = 0;  // connect_*, dns_failed

 protected:
  ~AcquireListener() = default;
};

// A connection being made for an exchange; destroying it gives up.
class Acquire {
 public:
  virtual ~Acquire() = default;
};

class ConnectionPool {
 public:
  ConnectionPool(loop::Loop& loop, stats::Counters& counters);
  ~ConnectionPool();  // closes all idle ones

  // An idle connection that may serve at once, or nullptr. begin() is then called by the taker.
  UpstreamStream* take_idle(Endpoint& endpoint) noexcept;
  // Makes a connection within `timeouts.connect`, over all addresses of the endpoint in turn.
  // `endpoint` and `timeouts` must stay alive until the listener was called.
  std::unique_ptr<Acquire> connect(std::shared_ptr<Endpoint> endpoint,
                                   const config::PoolTimeouts& timeouts, AcquireListener* listener);

  // Closes what is idle to `endpoint` (it left the configuration) and keeps none to it from now on.
  void retire(const Endpoint& endpoint) noexcept;
  // Closes every idle connection (drain).
  void close_idle() noexcept;
  size_t idle_count() const noexcept;
  size_t open_count() const noexcept;  // idle and in use

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sluice::upstream
