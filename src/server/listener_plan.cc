#include "sluice/server/listener_plan.h"

#include <algorithm>

namespace sluice::server {

namespace {

// Port 0 asks for some free port: two such listeners never mean the same socket.
bool is_shareable(const config::BindAddress& bind) noexcept {
  return bind.kind != config::BindAddress::Kind::kTcp || bind.port != 0;
}

template <typename Predicate>
std::optional<size_t> find_index(const std::vector<ListenerKey>& keys, Predicate predicate) {
  const auto it = std::find_if(keys.begin(), keys.end(), predicate);
  if (it == keys.end()) return std::nullopt;
  return static_cast<size_t>(it - keys.begin());
}

}  // namespace

ListenerPlan plan_listeners(const std::vector<ListenerKey>& have,
                            const std::vector<ListenerKey>& wanted) {
  using Kind = ListenerStep::Kind;
  ListenerPlan plan;
  std::vector<bool> is_kept(have.size(), false);
  for (const ListenerKey& key : wanted) {
    ListenerStep step;
    const auto same = find_index(have, [&](const ListenerKey& old) { return old == key; });
    const auto at_address = find_index(have, [&](const ListenerKey& old) {
      return old.bind == key.bind && is_shareable(key.bind);
    });
    if (same) {
      step = {Kind::kKeep, *same};
      is_kept[*same] = true;
    } else if (at_address) {
      step = {Kind::kReuse, *at_address};
    }
    plan.steps.push_back(step);
  }
  for (size_t i = 0; i < have.size(); ++i) {
    if (!is_kept[i]) plan.drain.push_back(i);
  }
  return plan;
}

}  // namespace sluice::server
