#include "sluice/upstream/pool_shared.h"

#include <algorithm>
#include <utility>

#include "sluice/upstream/registry.h"

namespace sluice::upstream {

PoolShared::PoolShared(std::string name, uint16_t id, uint32_t workers)
    : name_(std::move(name)), id_(id), budget_(workers), queues_(workers) {
  for (WaitQueue& queue : queues_) queue.init(*this, waiting_);
}

std::string_view pool_name(const PoolShared& shared) noexcept { return shared.name(); }

void PoolShared::wake_others(const WaitQueue& queue) noexcept {
  if (waiting() == 0) return;
  const size_t own = static_cast<size_t>(&queue - queues_.data());
  for (size_t i = 1; i < queues_.size(); ++i) {
    WaitQueue& other = queues_[(own + i) % queues_.size()];
    if (!other.has_waiters()) continue;
    other.notify();
    return;
  }
}

void PoolShared::configure(const config::Pool& pool,
                           const std::vector<std::shared_ptr<Endpoint>>& endpoints) {
  max_in_flight_.store(pool.max_in_flight == 0 ? UINT32_MAX : pool.max_in_flight,
                       std::memory_order_relaxed);
  std::lock_guard lock(mutex_);
  std::vector<Member> members;
  for (const auto& endpoint : endpoints) {
    auto before = std::find_if(members_.begin(), members_.end(),
                               [&](const Member& m) { return m.endpoint == endpoint; });
    members.push_back({endpoint, before == members_.end() ? OutlierRecord() : before->record});
  }
  members_ = std::move(members);
}

Duration PoolShared::try_eject(Endpoint& endpoint, const config::Outlier& rule, TimePoint now) {
  std::lock_guard lock(mutex_);
  if (endpoint.is_ejected(now)) return Duration{0};
  size_t out = 0;
  Member* found = nullptr;
  for (Member& member : members_) {
    if (member.endpoint->is_ejected(now)) ++out;
    if (member.endpoint.get() == &endpoint) found = &member;
  }
  if (found == nullptr || !may_eject(out, members_.size(), rule.max_share)) return Duration{0};
  const Duration time = found->record.next_ejection(now, rule.base);
  endpoint.eject_until(now + time);
  endpoint.end_failures();
  return time;
}

}  // namespace sluice::upstream
