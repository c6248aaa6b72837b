#include "sluice/upstream/endpoint_watch.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "sluice/base/log.h"

namespace sluice::upstream {

namespace {

// A name that has never resolved is looked up again even where `resolve` is off.
constexpr Duration kFirstAnswerEvery = std::chrono::seconds(10);

bool are_the_same(const std::vector<SocketAddress>& a, const std::vector<SocketAddress>& b) {
  return a.size() == b.size() && std::all_of(a.begin(), a.end(), [&](const SocketAddress& address) {
           return std::find(b.begin(), b.end(), address) != b.end();
         });
}

std::string join(const std::vector<SocketAddress>& addresses) {
  std::string text;
  for (const SocketAddress& address : addresses) {
    if (!text.empty()) text += ", ";
    text += address.to_string();
  }
  return text;
}

std::string host_of(const Endpoint& endpoint, const config::Health& check) {
  return check.host.empty() ? endpoint.host() : check.host;
}

}  // namespace

// One address with its row of probes.
struct EndpointWatch::Address {
  Address(EndpointWatch& its_watch, const SocketAddress& address)
      : watch(its_watch),
        probe(watch.tools_.loop, watch.check_, host_of(*watch.endpoint_, watch.check_), address,
              &watch),
        row(watch.check_.rise, watch.check_.fall, watch.endpoint_->is_healthy()),
        timer(loop::Timer::make<&Address::begin>(watch.tools_.loop, this)) {}

  void begin() noexcept {
    watch.tools_.counters.add(stats::Counter::health_checks);
    began = monotonic_now();
    probe.start();
  }
  void schedule() {
    timer.set(began + next_probe_after(watch.check_.interval, row.against() > 0,
                                       watch.tools_.random.unit()));
  }

  EndpointWatch& watch;
  Probe probe;
  RiseFall row;
  TimePoint began{};
  loop::Timer timer;
};

EndpointWatch::EndpointWatch(Tools tools, std::shared_ptr<Endpoint> endpoint, config::Health check,
                             Duration resolve_every)
    : tools_(tools),
      endpoint_(std::move(endpoint)),
      check_(std::move(check)),
      resolve_every_(resolve_every),
      resolve_timer_(loop::Timer::make<&EndpointWatch::look_up>(tools.loop, this)),
      since_(wall_now()) {}

EndpointWatch::~EndpointWatch() = default;

void EndpointWatch::start() {
  if (check_.type == config::Health::Type::kOff) {
    endpoint_->set_healthy(true, tools_.loop.now());
  }
  if (endpoint_->configured_address().kind == config::EndpointAddress::Kind::kName) {
    look_up();
  } else {
    watch(endpoint_->addresses());
  }
}

// Names
// ----------------------------------------------------------------------------------------------

void EndpointWatch::look_up() {
  tools_.counters.add(stats::Counter::dns_lookups);
  const config::EndpointAddress& address = endpoint_->configured_address();
  lookup_ = loop::resolve(
      tools_.loop, address.host, address.port,
      [this](const Result<std::vector<SocketAddress>>& found) { on_looked_up(found); });
}

void EndpointWatch::on_looked_up(const Result<std::vector<SocketAddress>>& found) {
  if (found && !found->empty()) {
    on_found(*found);
  } else {
    on_not_found(found ? Error(Errc::kDnsFailed, "the name has no address") : found.error());
  }
  if (resolve_every_ > Duration{0}) {
    resolve_timer_.set_after(resolve_every_);
  } else if (!endpoint_->is_resolved()) {
    resolve_timer_.set_after(kFirstAnswerEvery);
  }
}

void EndpointWatch::on_found(const std::vector<SocketAddress>& addresses) {
  const std::vector<SocketAddress> before = endpoint_->addresses();
  const bool is_same = are_the_same(before, addresses);
  if (name_ == Name::failing || (!is_same && !before.empty())) {
    log_info("upstream", "endpoint {}/{} resolves to {}", endpoint_->pool(), endpoint_->name(),
             join(addresses));
  }
  name_ = Name::resolved;
  // Kept as they are when only their order differs, so that turns go on.
  if (!is_same) endpoint_->set_addresses(addresses);
  watch(endpoint_->addresses());
}

// The last good answer stays.
void EndpointWatch::on_not_found(Error error) {
  tools_.counters.add(stats::Counter::dns_failures);
  const bool has_answer = !endpoint_->addresses().empty();
  if (name_ != Name::failing) {
    log_warn("upstream", "endpoint {}/{} does not resolve: {}{}", endpoint_->pool(),
             endpoint_->name(), error.text(), has_answer ? "; its last addresses are kept" : "");
  }
  name_ = Name::failing;
  if (has_answer) return watch(endpoint_->addresses());
  endpoint_->set_addresses({});
  report(fmt::format("does not resolve: {}", error.text()), false);
}

// Probes
// ---------------------------------------------------------------------------------------------

// Probes of addresses that stay go on.
void EndpointWatch::watch(const std::vector<SocketAddress>& addresses) {
  if (check_.type == config::Health::Type::kOff) return;
  std::vector<std::unique_ptr<Address>> now;
  std::vector<Address*> fresh;
  for (const SocketAddress& address : addresses) {
    auto same = std::find_if(addresses_.begin(), addresses_.end(), [&](const auto& known) {
      return known != nullptr && known->probe.address() == address;
    });
    if (same != addresses_.end()) {
      now.push_back(std::move(*same));
    } else {
      fresh.push_back(now.emplace_back(std::make_unique<Address>(*this, address)).get());
    }
  }
  addresses_ = std::move(now);
  for (Address* address : fresh) address->begin();
  if (!addresses_.empty() && fresh.empty()) judge("an address of the name went away");
}

void EndpointWatch::on_probed(Probe& probe, ProbeResult result) noexcept {
  auto found = std::find_if(addresses_.begin(), addresses_.end(),
                            [&](const auto& address) { return &address->probe == &probe; });
  SL_CHECK(found != addresses_.end());
  Address& address = **found;
  if (result.verdict == ProbeResult::Verdict::unknown) {
    static LogLimiter limiter;
    log_limited(limiter, LogLevel::warn, "health", "cannot probe {}/{}: {}", endpoint_->pool(),
                endpoint_->name(), result.text);
    return address.schedule();
  }
  const bool ok = result.verdict == ProbeResult::Verdict::good;
  if (!ok) tools_.counters.add(stats::Counter::health_check_failures);
  if (address.row.observe(ok)) endpoint_->set_address_up(probe.address(), address.row.is_up());
  if (addresses_.size() > 1) result.text = probe.address().to_string() + ": " + result.text;
  judge(result.text);
  report(result.text, ok);
  address.schedule();
}

void EndpointWatch::judge(const std::string& text) {
  const bool up = std::any_of(addresses_.begin(), addresses_.end(),
                              [](const auto& address) { return address->row.is_up(); });
  if (up == endpoint_->is_healthy()) return;
  endpoint_->set_healthy(up, monotonic_now());
  since_ = wall_now();
  log(up ? LogLevel::info : LogLevel::warn, "health", "endpoint {}/{} is {}: {}", endpoint_->pool(),
      endpoint_->name(), up ? "up" : "down", text);
}

void EndpointWatch::report(const std::string& text, bool ok) {
  endpoint_->set_check({.at = wall_now(), .since = since_, .ok = ok, .done = true, .text = text});
}

}  // namespace sluice::upstream
