// One endpoint as the control thread watches it: its name resolved again and again, each of its
// addresses probed, and what that makes of it.
//
// Owner: the HealthChecker. Thread: control. The endpoint is up when any of its addresses is.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sluice/base/random.h"
#include "sluice/loop/loop.h"
#include "sluice/loop/resolver.h"
#include "sluice/loop/timer.h"
#include "sluice/stats/counters.h"
#include "sluice/upstream/endpoint.h"
#include "sluice/upstream/health.h"
#include "sluice/upstream/probe.h"

namespace sluice::upstream {

class EndpointWatch final : private ProbeListener {
 public:
  struct Tools {
    loop::Loop& loop;
    stats::Counters& counters;
    Random& random;
  };
  EndpointWatch(Tools tools, std::shared_ptr<Endpoint> endpoint, config::Health check,
                Duration resolve_every);
  ~EndpointWatch();
  EndpointWatch(const EndpointWatch&) = delete;
  EndpointWatch& operator=(const EndpointWatch&) = delete;

  // Starts what there is to do, at once.
  void start();
  bool is_for(const config::Health& check, Duration resolve_every) const noexcept {
    return check_ == check && resolve_every_ == resolve_every;
  }

 private:
  struct Address;

  void watch(const std::vector<SocketAddress>& addresses);
  void look_up();
  void on_looked_up(const Result<std::vector<SocketAddress>>& found);
  void on_found(const std::vector<SocketAddress>& addresses);
  void on_not_found(Error error);
  void on_probed(Probe& probe, ProbeResult result) noexcept override;
  void judge(const std::string& text);
  void report(const std::string& text, bool ok);

  Tools tools_;
  std::shared_ptr<Endpoint> endpoint_;
  const config::Health check_;
  const Duration resolve_every_;
  std::vector<std::unique_ptr<Address>> addresses_;
  std::unique_ptr<loop::Lookup> lookup_;
  loop::Timer resolve_timer_;
  enum class Name : uint8_t { unknown, resolved, failing } name_ = Name::unknown;
  WallTime since_;
};

}  // namespace sluice::upstream
