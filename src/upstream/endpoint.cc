#include "sluice/upstream/endpoint.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "sluice/base/hash.h"

namespace sluice::upstream {

namespace {

// Slow start begins at this share of the weight, so that the endpoint gets requests at all.
constexpr int64_t kSlowStartFloor = 20;  // one part in so many

std::optional<SocketAddress> fixed_address(const config::EndpointAddress& address) {
  switch (address.kind) {
    case config::EndpointAddress::Kind::kIp:
      return SocketAddress::from_ip(address.host, address.port);
    case config::EndpointAddress::Kind::kUnix:
      return SocketAddress::from_path(address.path);
    case config::EndpointAddress::Kind::kName:
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

std::string_view to_string(EndpointState state) noexcept {
  switch (state) {
    case EndpointState::up:
      return "up";
    case EndpointState::down:
      return "down";
    case EndpointState::draining:
      return "draining";
    case EndpointState::disabled:
      return "disabled";
  }
  return "?";
}

struct Endpoint::Addresses {
  struct Known {
    SocketAddress address;
    bool up = true;
  };
  std::mutex mutex;
  std::vector<Known> known;
  size_t turn = 0;
  CheckResult check;
};

Endpoint::Endpoint(std::string pool, const config::Endpoint& configured, uint32_t workers,
                   uint16_t id)
    : pool_(std::move(pool)),
      name_(configured.name),
      address_(configured.address),
      host_(address_.kind == config::EndpointAddress::Kind::kUnix ? "localhost" : address_.text()),
      hash_(hash64(name_, hash64(pool_))),
      id_(id),
      configured_weight_(configured.weight),
      slots_(workers),
      addresses_(std::make_unique<Addresses>()),
      weight_(configured.weight),
      backup_(configured.backup) {
  SL_CHECK(workers > 0);
  if (auto fixed = fixed_address(address_)) {
    addresses_->known.push_back({*fixed, true});
  } else if (address_.kind != config::EndpointAddress::Kind::kName) {
    resolved_ = false;
  }
}

Endpoint::~Endpoint() = default;

EndpointState Endpoint::state() const noexcept {
  switch (admin_state()) {
    case AdminState::draining:
      return EndpointState::draining;
    case AdminState::disabled:
      return EndpointState::disabled;
    case AdminState::enabled:
      break;
  }
  return may_serve(monotonic_now()) ? EndpointState::up : EndpointState::down;
}

uint32_t Endpoint::effective_weight(TimePoint now, Duration slow_start) const noexcept {
  const uint32_t full = weight() * 256;
  if (slow_start == Duration{0}) return full;
  const int64_t up_since = up_since_.load(std::memory_order_relaxed);
  if (up_since == 0) return full;
  const int64_t up_for = std::max<int64_t>(now.time_since_epoch().count() - up_since, 0);
  if (up_for >= slow_start.count()) return full;
  const double share = std::max(
      static_cast<double>(up_for) / static_cast<double>(slow_start.count()), 1.0 / kSlowStartFloor);
  return static_cast<uint32_t>(full * share);
}

uint32_t Endpoint::in_flight() const noexcept {
  uint32_t sum = 0;
  for (const Slot& slot : slots_) sum += slot.in_flight.load(std::memory_order_relaxed);
  return sum;
}

uint64_t Endpoint::requests() const noexcept {
  uint64_t sum = 0;
  for (const Slot& slot : slots_) sum += slot.requests.load(std::memory_order_relaxed);
  return sum;
}

uint64_t Endpoint::failures() const noexcept {
  uint64_t sum = 0;
  for (const Slot& slot : slots_) sum += slot.failures.load(std::memory_order_relaxed);
  return sum;
}

bool Endpoint::try_admit(uint32_t limit) noexcept {
  uint32_t taken = admitted_.load(std::memory_order_seq_cst);
  while (taken < limit) {
    if (admitted_.compare_exchange_weak(taken, taken + 1, std::memory_order_seq_cst)) return true;
  }
  return false;
}

void Endpoint::release_admission() noexcept {
  const uint32_t before = admitted_.fetch_sub(1, std::memory_order_seq_cst);
  SL_CHECK(before > 0);
}

std::vector<SocketAddress> Endpoint::addresses() const {
  std::lock_guard lock(addresses_->mutex);
  std::vector<SocketAddress> all;
  for (const auto& known : addresses_->known) all.push_back(known.address);
  return all;
}

SocketAddress Endpoint::next_address() noexcept {
  std::lock_guard lock(addresses_->mutex);
  const auto& known = addresses_->known;
  if (known.empty()) return {};
  const size_t first = addresses_->turn++ % known.size();
  for (size_t i = 0; i < known.size(); ++i) {
    const auto& candidate = known[(first + i) % known.size()];
    if (candidate.up) return candidate.address;
  }
  return known[first].address;
}

std::vector<SocketAddress> Endpoint::connect_order() {
  std::lock_guard lock(addresses_->mutex);
  const auto& known = addresses_->known;
  std::vector<SocketAddress> order;
  if (known.empty()) return order;
  const size_t first = addresses_->turn++ % known.size();
  for (const bool up : {true, false}) {
    for (size_t i = 0; i < known.size(); ++i) {
      const auto& candidate = known[(first + i) % known.size()];
      if (candidate.up == up) order.push_back(candidate.address);
    }
  }
  return order;
}

void Endpoint::reconfigure(const config::Endpoint& configured) noexcept {
  if (configured.weight != configured_weight_) {
    configured_weight_ = configured.weight;
    set_weight(configured.weight);
  }
  backup_.store(configured.backup, std::memory_order_relaxed);
}

void Endpoint::set_addresses(const std::vector<SocketAddress>& addresses) {
  {
    std::lock_guard lock(addresses_->mutex);
    std::vector<Addresses::Known> known;
    for (const SocketAddress& address : addresses) {
      auto before = std::find_if(addresses_->known.begin(), addresses_->known.end(),
                                 [&](const auto& k) { return k.address == address; });
      known.push_back({address, before == addresses_->known.end() || before->up});
    }
    addresses_->known = std::move(known);
  }
  resolved_.store(!addresses.empty(), std::memory_order_relaxed);
  note_change();
}

void Endpoint::set_healthy(bool healthy, TimePoint now) noexcept {
  if (healthy == is_healthy()) return;
  if (healthy) up_since_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  healthy_.store(healthy, std::memory_order_relaxed);
  note_change();
}

void Endpoint::set_address_up(const SocketAddress& address, bool up) {
  std::lock_guard lock(addresses_->mutex);
  for (auto& known : addresses_->known) {
    if (known.address == address) known.up = up;
  }
}

void Endpoint::set_check(CheckResult result) {
  std::lock_guard lock(addresses_->mutex);
  addresses_->check = std::move(result);
}

CheckResult Endpoint::check() const {
  std::lock_guard lock(addresses_->mutex);
  return addresses_->check;
}

void Endpoint::eject_until(TimePoint until) noexcept {
  ejected_until_.store(until.time_since_epoch().count(), std::memory_order_relaxed);
  note_change();
}

bool Endpoint::note_return(TimePoint now) noexcept {
  int64_t until = ejected_until_.load(std::memory_order_relaxed);
  if (until == 0 || until > now.time_since_epoch().count()) return false;
  if (!ejected_until_.compare_exchange_strong(until, 0, std::memory_order_relaxed)) return false;
  note_change();
  return true;
}

}  // namespace sluice::upstream
