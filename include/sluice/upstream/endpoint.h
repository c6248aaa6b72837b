// One address of a pool: identity, state, counters. Shared by all workers and the control thread.
//
// Owner: the Registry, by shared_ptr; pools of a snapshot and pooled connections keep it alive, so
// a raw Endpoint* inside an exchange is safe. It survives reloads that keep its identity (pool
// name, endpoint name, address). Threads: probes, admin verbs and weights are written by the
// control thread; each worker writes only its own Slot; everything is readable everywhere.
//
//   made by Registry::apply     -> probes by HealthChecker, requests by Pools
//   gone from the configuration -> retire(): no connection to it is kept from then on
//   last snapshot, connection and probe that held it gone -> destroyed
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sluice/base/address.h"
#include "sluice/base/check.h"
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
  ~Endpoint();
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

  const std::string& pool() const noexcept { return pool_; }
  const std::string& name() const noexcept { return name_; }  // in CLI, status, metrics, logs
  const config::EndpointAddress& configured_address() const noexcept { return address_; }
  // What to send as Host when nobody gave one: its address, or localhost for a socket.
  const std::string& host() const noexcept { return host_; }
  uint16_t id() const noexcept { return id_; }  // for stats::RequestTable
  uint64_t hash() const noexcept {
    return hash_;
  }  // of pool and name, for rings and sticky cookies
  bool is_backup() const noexcept { return backup_.load(std::memory_order_relaxed); }

  // Usable now: enabled, healthy, not taken out, resolved, weight above 0.
  bool is_usable(TimePoint now) const noexcept { return weight() > 0 && may_serve(now); }
  // The same whatever its weight: good enough for a request that is bound to it.
  bool may_serve(TimePoint now) const noexcept {
    return admin_state() == AdminState::enabled && is_healthy() && is_resolved() &&
           !is_ejected(now);
  }
  // Not forbidden by people: what when_all_down: try_all chooses from.
  bool may_be_tried() const noexcept {
    return weight() > 0 && admin_state() == AdminState::enabled;
  }
  // Draining and disabled before all else; down also while taken out or without an address.
  EndpointState state() const noexcept;
  // False when its name has no address. True before the first look-up ended: who connects then
  // looks it up itself.
  bool is_resolved() const noexcept { return resolved_.load(std::memory_order_relaxed); }
  // It left the configuration.
  bool is_retired() const noexcept { return retired_.load(std::memory_order_relaxed); }
  void retire() const noexcept { retired_.store(true, std::memory_order_relaxed); }
  bool is_healthy() const noexcept { return healthy_.load(std::memory_order_relaxed); }
  bool is_ejected(TimePoint now) const noexcept {
    return ejected_until_.load(std::memory_order_relaxed) > now.time_since_epoch().count();
  }
  AdminState admin_state() const noexcept { return admin_.load(std::memory_order_relaxed); }
  // Weight now: configured or set by people, scaled down while slow_start lasts. In 1/256 steps, so
  // that slow start is smooth: weight 3 is 768.
  uint32_t effective_weight(TimePoint now, Duration slow_start) const noexcept;
  uint32_t weight() const noexcept { return weight_.load(std::memory_order_relaxed); }

  // Grows with each change, of any endpoint, to what is_usable() or weight() says, except that an
  // ejection ends by itself (ejection_end()). So who asks often may keep what it was told.
  static uint64_t changes() noexcept { return changes_.load(std::memory_order_acquire); }
  // TimePoint{}: not taken out.
  TimePoint ejection_end() const noexcept {
    return TimePoint(Duration(ejected_until_.load(std::memory_order_relaxed)));
  }
  // Whether effective_weight() still grows by itself.
  bool is_starting_slowly(TimePoint now, Duration slow_start) const noexcept {
    const int64_t since = up_since_.load(std::memory_order_relaxed);
    return since != 0 && now.time_since_epoch().count() - since < slow_start.count();
  }

  // Requests in flight on all workers; a sum over slots, so only algorithms that need it ask.
  uint32_t in_flight() const noexcept;
  uint64_t requests() const noexcept;
  uint64_t failures() const noexcept;

  // Worker side, own slot only: one writer a slot, so plain loads and stores.
  void began(uint32_t worker) noexcept {
    Slot& slot = slots_[worker];
    add(slot.in_flight, 1u);
    add(slot.requests, uint64_t{1});
  }
  void ended(uint32_t worker) noexcept { add(slots_[worker].in_flight, ~0u); }
  void failed(uint32_t worker) noexcept { add(slots_[worker].failures, uint64_t{1}); }
  // Peak-sensitive average of latency (ewma): see balance/ewma.h for the rule. In ns; 0: unknown.
  std::atomic<uint64_t>& latency_of(uint32_t worker) noexcept { return slots_[worker].latency_ns; }
  // When it was last observed, in ns of the monotonic clock.
  std::atomic<int64_t>& latency_time_of(uint32_t worker) noexcept {
    return slots_[worker].latency_at;
  }

  // Failures in a row, on all workers together. A success costs one load.
  uint32_t count_failure() noexcept {
    return failures_in_row_.fetch_add(1, std::memory_order_relaxed) + 1;
  }
  void end_failures() noexcept {
    if (failures_in_row_.load(std::memory_order_relaxed) != 0) {
      failures_in_row_.store(0, std::memory_order_relaxed);
    }
  }

  // A strict cap over all workers: takes one of `limit` places or returns false. 0: no cap.
  bool try_admit(uint32_t limit) noexcept;
  void release_admission() noexcept;

  // Addresses it resolves to now; empty until a name resolved. Takes a lock: asked only to connect.
  std::vector<SocketAddress> addresses() const;
  // The next address to connect to, in turn, those whose probe failed last; unset when unresolved.
  SocketAddress next_address() noexcept;
  // All of them from the next one on, those whose probe failed last. Turns as next_address() does.
  std::vector<SocketAddress> connect_order();

  // Control thread.
  // A new configuration of the same endpoint: a weight set by people stays unless the configured
  // one changed.
  void reconfigure(const config::Endpoint& configured) noexcept;
  void set_addresses(
      const std::vector<SocketAddress>& addresses);        // none: the name does not resolve
  void set_healthy(bool healthy, TimePoint now) noexcept;  // a change to up starts slow start
  void set_address_up(const SocketAddress& address, bool up);
  void set_check(CheckResult result);
  CheckResult check() const;
  void set_admin_state(AdminState state) noexcept {
    admin_.store(state, std::memory_order_relaxed);
    note_change();
  }
  void set_weight(uint32_t weight) noexcept {
    weight_.store(weight, std::memory_order_relaxed);
    note_change();
  }
  void eject_until(TimePoint until) noexcept;  // any thread; TimePoint{} ends it
  bool is_ejection_over(TimePoint now) const noexcept {
    const int64_t until = ejected_until_.load(std::memory_order_relaxed);
    return until != 0 && until <= now.time_since_epoch().count();
  }
  // True for the one caller, of any thread, that is first to find its ejection over.
  bool note_return(TimePoint now) noexcept;

 private:
  struct alignas(64) Slot {
    std::atomic<uint32_t> in_flight{0};
    std::atomic<uint64_t> requests{0};
    std::atomic<uint64_t> failures{0};
    std::atomic<uint64_t> latency_ns{0};
    std::atomic<int64_t> latency_at{0};
  };
  struct Addresses;

  static void note_change() noexcept { changes_.fetch_add(1, std::memory_order_release); }
  template <typename T>
  static void add(std::atomic<T>& counter, T change) noexcept {
    counter.store(counter.load(std::memory_order_relaxed) + change, std::memory_order_relaxed);
  }

  alignas(64) static inline std::atomic<uint64_t> changes_{1};

  std::string pool_, name_;
  config::EndpointAddress address_;
  std::string host_;
  uint64_t hash_;
  uint16_t id_;
  uint32_t configured_weight_;
  std::vector<Slot> slots_;
  std::unique_ptr<Addresses> addresses_;

  // Read at each choice, written seldom.
  alignas(64) std::atomic<uint32_t> weight_;
  std::atomic<AdminState> admin_{AdminState::enabled};
  std::atomic<bool> healthy_{true};
  std::atomic<bool> resolved_{true};
  std::atomic<bool> backup_;
  mutable std::atomic<bool> retired_{false};
  std::atomic<uint32_t> failures_in_row_{0};
  std::atomic<int64_t> ejected_until_{0};  // 0: not taken out since the last return
  std::atomic<int64_t> up_since_{0};       // 0: from the start, without slow start

  alignas(64) std::atomic<uint32_t> admitted_{0};
};

}  // namespace sluice::upstream
