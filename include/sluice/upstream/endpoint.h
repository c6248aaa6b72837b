// One address of a pool: identity, state, counters. Shared by all workers and the control thread.
//
// Owner: the Registry, by shared_ptr; pools of a snapshot and pooled connections keep it alive, so a
// raw Endpoint* inside an exchange is safe. It survives reloads that keep its identity (pool name,
// endpoint name, address). Threads: probes, admin verbs and weights are written by the control thread; each
// worker writes only its own Slot; everything is readable everywhere.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sluice/base/address.h"
#include "sluice/base/clock.h"
#include "sluice/config/config.h"

namespace sluice::upstream {

// What people asked for; independent of health.
enum class AdminState : uint8_t { enabled, draining, disabled };
// What `status` shows.
enum class EndpointState : uint8_t { up, down, draining, disabled };
std::string_view to_string(EndpointState state) noexcept;

// The last probe, for people.
struct CheckResult {
  WallTime at{};
  WallTime since{};  // of the present up or down
  bool ok = false;
  bool done = false;  // a probe was made
  std::string text;   // "200 in 1.2 ms", "connection refused"
};

class Endpoint {
 public:
  Endpoint(std::string pool, const config::Endpoint& configured, uint32_t workers, uint16_t id);

  const std::string& pool() const noexcept { return pool_; }
  const std::string& name() const noexcept { return name_; }  // in CLI, status, metrics, logs
  const config::EndpointAddress& configured_address() const noexcept { return address_; }
  uint16_t id() const noexcept { return id_; }  // for stats::RequestTable
  uint64_t hash() const noexcept { return hash_; }  // of pool and name, for rings and sticky cookies
  bool is_backup() const noexcept { return backup_; }

  // Usable now: enabled, healthy, not taken out, resolved, weight above 0.
  bool is_usable(TimePoint now) const noexcept;
  EndpointState state() const noexcept;
  bool is_healthy() const noexcept { return healthy_.load(std::memory_order_relaxed); }
  bool is_ejected(TimePoint now) const noexcept {
    return ejected_until_.load(std::memory_order_relaxed) > now.time_since_epoch().count();
  }
  AdminState admin_state() const noexcept { return admin_.load(std::memory_order_relaxed); }
  // Weight now: configured or set by people, scaled down while slow_start lasts. In 1/256 steps, so
  // that slow start is smooth: weight 3 is 768.
  uint32_t effective_weight(TimePoint now, Duration slow_start) const noexcept;
  uint32_t weight() const noexcept { return weight_.load(std::memory_order_relaxed); }

  // Requests in flight on all workers; a sum over slots, so only algorithms that need it ask.
  uint32_t in_flight() const noexcept;
  uint64_t requests() const noexcept;
  uint64_t failures() const noexcept;

  // Worker side, own slot only.
  void began(uint32_t worker) noexcept;
  void ended(uint32_t worker) noexcept;
  void failed(uint32_t worker) noexcept;
  // Peak-sensitive average of latency (ewma): see balance/ewma.h for the rule. In ns.
  std::atomic<uint64_t>& latency_of(uint32_t worker) noexcept { return slots_[worker].latency_ns; }

  // A strict cap over all workers: takes one of `limit` places or returns false. 0: no cap.
  bool try_admit(uint32_t limit) noexcept;
  void release_admission() noexcept;

  // Addresses it resolves to now; empty until a name resolved. Takes a lock: asked only to connect.
  std::vector<SocketAddress> addresses() const;
  // The next address to connect to, in turn, those whose probe failed last; unset when unresolved.
  SocketAddress next_address() noexcept;

  // Control thread.
  void set_addresses(std::vector<SocketAddress> addresses);
  void set_healthy(bool healthy, TimePoint now) noexcept;  // a change to up starts slow start
  void set_address_up(const SocketAddress& address, bool up);
  void set_check(CheckResult result);
  CheckResult check() const;
  void set_admin_state(AdminState state) noexcept { admin_.store(state, std::memory_order_relaxed); }
  void set_weight(uint32_t weight) noexcept { weight_.store(weight, std::memory_order_relaxed); }
  void eject_until(TimePoint until) noexcept;  // any thread; TimePoint{} ends it

 private:
  struct alignas(64) Slot {
    std::atomic<uint32_t> in_flight{0};
    std::atomic<uint64_t> requests{0};
    std::atomic<uint64_t> failures{0};
    std::atomic<uint64_t> latency_ns{0};
  };
  struct Addresses;

  std::string pool_, name_;
  config::EndpointAddress address_;
  uint64_t hash_;
  uint16_t id_;
  bool backup_;
  std::atomic<bool> healthy_{true};
  std::atomic<bool> resolved_{false};
  std::atomic<AdminState> admin_{AdminState::enabled};
  std::atomic<uint32_t> weight_;
  std::atomic<int64_t> ejected_until_{0};
  std::atomic<int64_t> up_since_{0};
  std::atomic<uint32_t> admitted_{0};
  std::vector<Slot> slots_;
  std::shared_ptr<Addresses> addresses_;
};

}  // namespace sluice::upstream
