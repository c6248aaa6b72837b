// What the workers' views of one pool share: retry budget, waiters, and who is taken out.
//
// Owner: the Registry and every Pool made of it, by shared_ptr; found again by the pool's name, so
// it survives reloads. Thread: any; what takes the mutex happens per failure, never per request.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "sluice/base/clock.h"
#include "sluice/config/config.h"
#include "sluice/upstream/endpoint.h"
#include "sluice/upstream/outlier.h"
#include "sluice/upstream/retry_budget.h"
#include "sluice/upstream/wait_queue.h"

namespace sluice::upstream {

class PoolShared : public std::enable_shared_from_this<PoolShared> {
 public:
  PoolShared(std::string name, uint16_t id, uint32_t workers);

  const std::string& name() const noexcept { return name_; }
  uint16_t id() const noexcept { return id_; }
  RetryBudget& budget() noexcept { return budget_; }

  WaitQueue& queue(uint32_t worker) noexcept { return queues_[worker]; }
  // Of one endpoint, by the newest configuration, also for requests that began under an older one
  // and wait. UINT32_MAX: no limit now.
  uint32_t max_in_flight() const noexcept { return max_in_flight_.load(std::memory_order_relaxed); }

  // In one order with Endpoint::try_admit() and release_admission(): who frees a place after
  // somebody found none sees that one waiting.
  uint32_t waiting() const noexcept { return waiting_.load(std::memory_order_seq_cst); }
  // A place is free that nobody of `queue` wants.
  void wake_others(const WaitQueue& queue) noexcept;

  // The configuration now; the records of endpoints that stay are kept. Control thread.
  void configure(const config::Pool& pool, const std::vector<std::shared_ptr<Endpoint>>& endpoints);
  // Takes `endpoint` out if the pool can spare it. For how long, or 0.
  Duration try_eject(Endpoint& endpoint, const config::Outlier& rule, TimePoint now);

 private:
  struct Member {
    std::shared_ptr<Endpoint> endpoint;
    OutlierRecord record;
  };

  const std::string name_;
  const uint16_t id_;
  RetryBudget budget_;
  std::atomic<uint32_t> waiting_{0};
  std::atomic<uint32_t> max_in_flight_{UINT32_MAX};
  std::vector<WaitQueue> queues_;
  std::mutex mutex_;
  std::vector<Member> members_;  // under the mutex
};

}  // namespace sluice::upstream
