#include "sluice/upstream/pool.h"

#include <algorithm>
#include <array>
#include <utility>

#include "sluice/base/hash.h"
#include "sluice/base/log.h"
#include "sluice/base/strings.h"
#include "sluice/base/units.h"
#include "sluice/upstream/balance/balancer.h"
#include "sluice/upstream/balance/ewma.h"
#include "sluice/upstream/pool_shared.h"

namespace sluice::upstream {

namespace {

// Endpoints among which one algorithm chooses: the primary ones, or the backups.
struct Group {
  std::vector<Endpoint*> endpoints;
  std::vector<balance::Member> members;  // of each endpoint
  std::unique_ptr<balance::Balancer> balancer;

  // What was found for a request without peculiarities holds until an endpoint changes or the time
  // comes; only what moves by itself is read for each choice.
  uint64_t filled_at = 0;  // Endpoint::changes() then; 0: holds for nothing
  TimePoint filled_until{};
  bool any_usable = false;
};

// How often weights follow a slow start.
constexpr Duration kSlowStartStep = std::chrono::milliseconds(50);

enum class Among : uint8_t { untried, tried };
enum class Standard : uint8_t { usable, may_be_tried };

bool contains(std::span<Endpoint* const> list, const Endpoint* endpoint) noexcept {
  return std::find(list.begin(), list.end(), endpoint) != list.end();
}

// The hash in a sticky cookie; 0 when it is none of ours.
uint64_t parse_sticky(std::string_view text) noexcept {
  if (text.size() != 16) return 0;
  uint64_t hash = 0;
  for (char c : text) {
    const int digit = hex_value(c);
    if (digit < 0) return 0;
    hash = hash << 4 | static_cast<uint64_t>(digit);
  }
  return hash;
}

uint64_t first_turn(config::Balance::Kind kind, uint32_t worker) {
  const bool is_random =
      kind == config::Balance::Kind::kRandomTwo || kind == config::Balance::Kind::kEwma;
  return is_random ? Random().next() : worker;
}

}  // namespace

struct Pool::State {
  State(const config::Pool& its_config, std::vector<std::shared_ptr<Endpoint>> its_endpoints,
        std::shared_ptr<PoolShared> its_shared, uint32_t its_worker, loop::Loop& its_loop,
        stats::Counters& its_counters)
      : configured(its_config),
        endpoints(std::move(its_endpoints)),
        shared(std::move(its_shared)),
        worker(its_worker),
        loop(its_loop),
        counters(its_counters),
        queue(shared->queue(worker)) {
    SL_CHECK(endpoints.size() == configured.endpoints.size());
    group_endpoints();
  }

  const config::Pool& configured;
  const std::vector<std::shared_ptr<Endpoint>> endpoints;
  const std::shared_ptr<PoolShared> shared;
  const uint32_t worker;
  loop::Loop& loop;
  stats::Counters& counters;
  WaitQueue& queue;
  std::array<Group, 2> groups;  // primary, backup
  uint8_t needs = balance::kNeedsNothing;

  struct Choice {
    Endpoint* endpoint = nullptr;
    bool is_full = false;  // who might have served has no place
  };

  void group_endpoints();
  Choice choose(const PickInput& input, Standard standard) noexcept;
  Choice choose_in(Group& group, const PickInput& input, Among among, Standard standard) noexcept;
  void fill(Group& group, const PickInput& input, Among among, Standard standard) noexcept;
  void note_times(Group& group, Endpoint& endpoint, TimePoint now) noexcept;
  void refresh(Group& group, TimePoint now) noexcept;
  bool claim(Endpoint& endpoint) noexcept;
  Endpoint* find_sticky(const PickInput& input) const noexcept;
  Errc why_nobody(TimePoint now) const noexcept;
  void observe_latency(Endpoint& endpoint, const TryOutcome& outcome, TimePoint now) noexcept;
  void observe_failure(Endpoint& endpoint, TimePoint now) noexcept;
};

Pool::Pool(const config::Pool& configured, std::vector<std::shared_ptr<Endpoint>> endpoints,
           std::shared_ptr<PoolShared> shared, uint32_t worker, loop::Loop& loop,
           stats::Counters& counters)
    : state_(std::make_unique<State>(configured, std::move(endpoints), std::move(shared), worker,
                                     loop, counters)) {
  state_->queue.attach(loop);
}

Pool::~Pool() { state_->queue.detach(); }

void Pool::State::group_endpoints() {
  for (size_t i = 0; i < endpoints.size(); ++i) {
    Group& group = groups[configured.endpoints[i].backup ? 1 : 0];
    group.endpoints.push_back(endpoints[i].get());
    group.members.emplace_back().hash = endpoints[i]->hash();
  }
  const auto kind = configured.balance.kind;
  for (Group& group : groups) {
    group.balancer = balance::make_balancer(kind, first_turn(kind, worker));
    needs = group.balancer->needs();
  }
}

// Choosing
// -----------------------------------------------------------------------------------------

PickOutcome Pool::pick(const PickInput& input) noexcept {
  State& state = *state_;
  PickOutcome outcome;
  bool is_bound = false;
  if (!state.configured.sticky_cookie.empty()) {
    Endpoint* bound = input.sticky.empty() ? nullptr : state.find_sticky(input);
    is_bound = bound != nullptr;
    if (is_bound && state.claim(*bound)) {
      outcome.endpoint = bound;
      return outcome;
    }
  }
  State::Choice choice;
  if (state.queue.is_reserved() && state.queue.has_waiters()) {
    choice.is_full = true;
  } else {
    choice = state.choose(input, Standard::usable);
    if (choice.endpoint == nullptr && !choice.is_full &&
        state.configured.when_all_down == config::WhenAllDown::kTryAll) {
      choice = state.choose(input, Standard::may_be_tried);
    }
  }
  outcome.endpoint = choice.endpoint;
  if (choice.endpoint != nullptr) {
    // Who is bound to an endpoint that is only full now stays bound to it.
    outcome.set_sticky = !state.configured.sticky_cookie.empty() && !is_bound;
  } else if (choice.is_full) {
    outcome.error = Errc::kQueueFull;
    state.queue.note_full();
  } else {
    outcome.error = state.why_nobody(input.now);
  }
  return outcome;
}

// Backups come when no primary one is usable, tried endpoints when no other one is. One that is
// full is usable, so it is waited for.
Pool::State::Choice Pool::State::choose(const PickInput& input, Standard standard) noexcept {
  for (Among among : {Among::untried, Among::tried}) {
    if (among == Among::tried && input.tried.empty()) break;
    for (Group& group : groups) {
      const Choice choice = choose_in(group, input, among, standard);
      if (choice.endpoint != nullptr || choice.is_full) return choice;
    }
  }
  return {};
}

Pool::State::Choice Pool::State::choose_in(Group& group, const PickInput& input, Among among,
                                           Standard standard) noexcept {
  Choice choice;
  const bool is_plain = input.tried.empty() && standard == Standard::usable;
  if (!is_plain || group.filled_at != Endpoint::changes() || input.now >= group.filled_until) {
    fill(group, input, among, standard);
    if (!is_plain) group.filled_at = 0;
  }
  if (!group.any_usable) return choice;
  if (needs != balance::kNeedsNothing) refresh(group, input.now);
  for (size_t tries = 0; tries < group.members.size(); ++tries) {
    const size_t index = group.balancer->choose(group.members, input.hash);
    if (index == balance::kNobody) break;
    if (claim(*group.endpoints[index])) {
      choice.endpoint = group.endpoints[index];
      return choice;
    }
    choice.is_full = true;
    group.members[index].usable = false;
    group.filled_at = 0;
  }
  return choice;
}

// Who is usable, and with what weight.
void Pool::State::fill(Group& group, const PickInput& input, Among among,
                       Standard standard) noexcept {
  group.filled_at = Endpoint::changes();
  group.filled_until = TimePoint::max();
  group.any_usable = false;
  for (size_t i = 0; i < group.members.size(); ++i) {
    Endpoint& endpoint = *group.endpoints[i];
    balance::Member& member = group.members[i];
    note_times(group, endpoint, input.now);
    member.usable =
        standard == Standard::usable ? endpoint.is_usable(input.now) : endpoint.may_be_tried();
    if (contains(input.tried, &endpoint) != (among == Among::tried)) member.usable = false;
    group.any_usable = group.any_usable || member.usable;
    member.weight = std::max(endpoint.effective_weight(input.now, configured.slow_start), 1u);
    member.share = std::max(member.weight / std::max(endpoint.weight(), 1u), 1u);
  }
}

// Until when the present findings about `endpoint` hold.
void Pool::State::note_times(Group& group, Endpoint& endpoint, TimePoint now) noexcept {
  if (endpoint.is_ejection_over(now) && endpoint.note_return(now)) {
    log_info("upstream", "endpoint {}/{} is back in", endpoint.pool(), endpoint.name());
  }
  if (endpoint.is_ejected(now)) {
    group.filled_until = std::min(group.filled_until, endpoint.ejection_end());
  }
  if (endpoint.is_starting_slowly(now, configured.slow_start)) {
    group.filled_until = std::min(group.filled_until, now + kSlowStartStep);
  }
}

void Pool::State::refresh(Group& group, TimePoint now) noexcept {
  for (size_t i = 0; i < group.members.size(); ++i) {
    balance::Member& member = group.members[i];
    if (!member.usable) continue;
    Endpoint& endpoint = *group.endpoints[i];
    if ((needs & balance::kNeedsInFlight) != 0) member.in_flight = endpoint.in_flight();
    if ((needs & balance::kNeedsLatency) == 0) continue;
    member.latency_ns = endpoint.latency_of(worker).load(std::memory_order_relaxed);
    const Duration at(endpoint.latency_time_of(worker).load(std::memory_order_relaxed));
    member.latency_age = now.time_since_epoch() - at;
  }
}

bool Pool::State::claim(Endpoint& endpoint) noexcept {
  if (configured.max_in_flight != 0 && !endpoint.try_admit(shared->max_in_flight())) return false;
  endpoint.began(worker);
  return true;
}

// The endpoint that the cookie names, if it can serve and was not tried yet.
Endpoint* Pool::State::find_sticky(const PickInput& input) const noexcept {
  const uint64_t hash = parse_sticky(input.sticky);
  if (hash == 0) return nullptr;
  for (const auto& endpoint : endpoints) {
    if (endpoint->hash() != hash) continue;
    const bool fit = endpoint->may_serve(input.now) && !contains(input.tried, endpoint.get());
    return fit ? endpoint.get() : nullptr;
  }
  return nullptr;
}

Errc Pool::State::why_nobody(TimePoint now) const noexcept {
  bool all_unresolved = true;
  bool all_out = true;
  for (const auto& endpoint : endpoints) {
    if (endpoint->is_resolved()) all_unresolved = false;
    if (!endpoint->is_ejected(now)) all_out = false;
  }
  if (all_unresolved) return Errc::kDnsFailed;
  return all_out ? Errc::kBreakerOpen : Errc::kNoHealthyEndpoint;
}

// Settling
// -----------------------------------------------------------------------------------------

void Pool::settle(Endpoint& endpoint, const TryOutcome& outcome) noexcept {
  State& state = *state_;
  endpoint.ended(state.worker);
  const bool answered = outcome.first_byte > Duration{0};
  if (outcome.failed) endpoint.failed(state.worker);
  if ((state.needs & balance::kNeedsLatency) != 0 && (answered || outcome.failed)) {
    state.observe_latency(endpoint, outcome, state.loop.now());
  }
  if (state.configured.outlier.failures > 0) {
    if (outcome.failed) {
      state.observe_failure(endpoint, state.loop.now());
    } else if (answered) {
      endpoint.end_failures();
    }
  }
  if (state.configured.max_in_flight == 0) return;
  endpoint.release_admission();
  if (state.queue.has_waiters()) {
    state.queue.wake();
  } else {
    state.shared->wake_others(state.queue);
  }
}

void Pool::State::observe_latency(Endpoint& endpoint, const TryOutcome& outcome,
                                  TimePoint now) noexcept {
  Duration seen = outcome.first_byte;
  if (outcome.failed) seen = std::max(seen, balance::kEwmaPenalty);
  std::atomic<uint64_t>& average = endpoint.latency_of(worker);
  std::atomic<int64_t>& at = endpoint.latency_time_of(worker);
  const Duration since = now.time_since_epoch() - Duration(at.load(std::memory_order_relaxed));
  average.store(balance::ewma_observe(average.load(std::memory_order_relaxed), since, seen),
                std::memory_order_relaxed);
  at.store(now.time_since_epoch().count(), std::memory_order_relaxed);
}

void Pool::State::observe_failure(Endpoint& endpoint, TimePoint now) noexcept {
  const uint32_t row = endpoint.count_failure();
  if (row < configured.outlier.failures) return;
  const Duration time = shared->try_eject(endpoint, configured.outlier, now);
  if (time == Duration{0}) return;
  counters.add(stats::Counter::outlier_ejections);
  log_warn("upstream", "endpoint {}/{} is taken out for {}, failures in a row: {}", endpoint.pool(),
           endpoint.name(), format_duration(time), row);
}

// Waiting and the budget
// ---------------------------------------------------------------------------

// A place that was freed after the first look, but before anybody could see who waits, woke nobody:
// so who has sat down looks once more.
PickOutcome Pool::pick_or_wait(const PickInput& input, Waiter& waiter) noexcept {
  PickOutcome outcome = pick(input);
  if (outcome.error != Errc::kQueueFull || !wait(waiter)) return outcome;
  outcome = pick(input);
  outcome.is_waiting = outcome.error == Errc::kQueueFull;
  if (!outcome.is_waiting) waiter.unlink();
  return outcome;
}

bool Pool::wait(Waiter& waiter) noexcept {
  return state_->queue.add(waiter, state_->configured.queue.size);
}

size_t Pool::waiting() const noexcept { return state_->queue.waiting(); }

void Pool::count_request(TimePoint now) noexcept {
  state_->shared->budget().count_request(state_->worker, now);
}

bool Pool::take_retry(TimePoint now) noexcept {
  return state_->shared->budget().take_retry(state_->configured.retry.budget, now);
}

// Looking
// ------------------------------------------------------------------------------------------

const std::string& Pool::name() const noexcept { return state_->configured.name; }
uint16_t Pool::id() const noexcept { return state_->shared->id(); }
const config::Pool& Pool::config() const noexcept { return state_->configured; }
std::span<const std::shared_ptr<Endpoint>> Pool::endpoints() const noexcept {
  return state_->endpoints;
}

std::shared_ptr<Endpoint> Pool::share(Endpoint& endpoint) const {
  for (const auto& ours : state_->endpoints) {
    if (ours.get() == &endpoint) return ours;
  }
  return nullptr;
}

void Pool::write_sticky(const Endpoint& endpoint, char out[16]) noexcept {
  uint64_t hash = endpoint.hash();
  for (int i = 15; i >= 0; --i, hash >>= 4) out[i] = "0123456789abcdef"[hash & 15];
}

}  // namespace sluice::upstream
