#include "sluice/upstream/connection_pool.h"

#include <unordered_map>
#include <utility>

#include "sluice/upstream/connector.h"
#include "sluice/upstream/h1_client.h"

namespace sluice::upstream {

namespace {

// The connections to one endpoint; there while there is one.
struct Group {
  List<H1Client, IdleTag> idle;  // newest first
  size_t idle_count = 0;
  size_t open_count = 0;
};

}  // namespace

struct ConnectionPool::State final : ClientOwner, StreamMaker {
  loop::Loop& loop;
  stats::Counters& counters;
  std::unordered_map<const Endpoint*, Group> groups;
  size_t idle_count = 0;
  size_t open_count = 0;

  State(loop::Loop& its_loop, stats::Counters& its_counters)
      : loop(its_loop), counters(its_counters) {}

  UpstreamStream* make_stream(std::unique_ptr<loop::Stream> stream,
                              std::shared_ptr<Endpoint> endpoint, Duration idle_timeout) override;
  std::optional<CloseReason> keep(H1Client& client) noexcept override;
  void gone(H1Client& client, CloseReason reason) noexcept override;
  Group& group_of(H1Client& client) noexcept;
  void take(Group& group, H1Client& client) noexcept;
};

ConnectionPool::ConnectionPool(loop::Loop& loop, stats::Counters& counters)
    : state_(std::make_unique<State>(loop, counters)) {}

ConnectionPool::~ConnectionPool() {
  close_idle();
  SL_CHECK(state_->open_count == 0);
}

UpstreamStream* ConnectionPool::take_idle(Endpoint& endpoint) noexcept {
  State& state = *state_;
  auto found = state.groups.find(&endpoint);
  if (found == state.groups.end()) return nullptr;
  H1Client* client = found->second.idle.front();
  if (client == nullptr) return nullptr;
  state.take(found->second, *client);
  state.counters.add(stats::Counter::upstream_reuses);
  return client;
}

std::unique_ptr<Acquire> ConnectionPool::connect(std::shared_ptr<Endpoint> endpoint,
                                                 const config::PoolTimeouts& timeouts,
                                                 AcquireListener* listener) {
  return Connector::start({.loop = state_->loop,
                           .counters = state_->counters,
                           .maker = *state_,
                           .endpoint = std::move(endpoint),
                           .timeouts = timeouts,
                           .listener = listener});
}

void ConnectionPool::retire(const Endpoint& endpoint) noexcept {
  endpoint.retire();
  // Each close() may end the group.
  for (;;) {
    auto found = state_->groups.find(&endpoint);
    if (found == state_->groups.end()) return;
    H1Client* client = found->second.idle.front();
    if (client == nullptr) return;
    client->close(CloseReason::kRetired);
  }
}

void ConnectionPool::close_idle() noexcept {
  std::vector<H1Client*> all;
  for (auto& [endpoint, group] : state_->groups) {
    for (H1Client* client = group.idle.front(); client != nullptr;
         client = group.idle.next(*client)) {
      all.push_back(client);
    }
  }
  for (H1Client* client : all) client->close(CloseReason::kDrain);
}

size_t ConnectionPool::idle_count() const noexcept { return state_->idle_count; }
size_t ConnectionPool::open_count() const noexcept { return state_->open_count; }

// What clients tell ------------------------------------------------------------------------------

UpstreamStream* ConnectionPool::State::make_stream(std::unique_ptr<loop::Stream> stream,
                                                   std::shared_ptr<Endpoint> endpoint,
                                                   Duration idle_timeout) {
  ++groups[endpoint.get()].open_count;
  ++open_count;
  return new H1Client({.loop = loop,
                       .counters = counters,
                       .owner = *this,
                       .endpoint = std::move(endpoint),
                       .idle_timeout = idle_timeout},
                      std::move(stream));
}

std::optional<CloseReason> ConnectionPool::State::keep(H1Client& client) noexcept {
  if (client.endpoint().is_retired()) return CloseReason::kRetired;
  Group& group = group_of(client);
  if (group.idle_count >= kMostIdle) return CloseReason::kExcess;
  group.idle.push_front(client);
  ++group.idle_count;
  ++idle_count;
  counters.add(stats::Counter::upstream_connections_idle);
  return std::nullopt;
}

void ConnectionPool::State::gone(H1Client& client, CloseReason) noexcept {
  Group& group = group_of(client);
  if (static_cast<ListNode<H1Client, IdleTag>&>(client).is_linked()) take(group, client);
  --open_count;
  if (--group.open_count == 0) groups.erase(&client.endpoint());
}

Group& ConnectionPool::State::group_of(H1Client& client) noexcept {
  auto found = groups.find(&client.endpoint());
  SL_CHECK(found != groups.end());
  return found->second;
}

void ConnectionPool::State::take(Group& group, H1Client& client) noexcept {
  static_cast<ListNode<H1Client, IdleTag>&>(client).unlink();
  --group.idle_count;
  --idle_count;
  counters.subtract(stats::Counter::upstream_connections_idle);
}

}  // namespace sluice::upstream
