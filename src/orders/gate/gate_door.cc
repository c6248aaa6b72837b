#include "gate_door.h"

#include <utility>

#include "sluice/base/log.h"

namespace sluice::orders {
namespace {

constexpr Duration kBudget = std::chrono::milliseconds(50);  // as that of an order
constexpr Duration kLookEvery = std::chrono::milliseconds(500);
constexpr Duration kLookAgain = std::chrono::milliseconds(100);  // while it is not open

}  // namespace

std::string_view to_string(GateDoor::State state) noexcept {
  switch (state) {
    case GateDoor::State::kAway:
      return "away";
    case GateDoor::State::kClosed:
      return "closed";
    case GateDoor::State::kOpen:
      return "open";
  }
  return {};
}

GateDoor::GateDoor(GateLink& link, ShopStore& store, std::string owner)
    : link_(link),
      builder_(link, store, std::move(owner)),
      timer_(loop::Timer::make<&GateDoor::on_timer>(link.loop(), this)) {}

void GateDoor::start() {
  link_.on_ready([this] { look(); });
  timer_.set_after(kLookAgain);
}

void GateDoor::look() {
  timer_.set_after(is_open() ? kLookEvery : kLookAgain);
  if (is_looking_ || builder_.is_building()) return;
  is_looking_ = true;
  link_.ask(GateScript::look, {}, kBudget, [this](const GateReply& reply) {
    is_looking_ = false;
    on_looked(reply);
  });
}

void GateDoor::on_looked(const GateReply& reply) {
  // A reply to what went before the breaker opened does not close it: calls are still refused.
  if (reply.fault || !link_.is_up()) return on_fault();
  if (reply.is("open")) return on_epoch(reply.at(1));
  on_closed();
}

void GateDoor::on_fault() {
  static LogLimiter limiter;
  if (std::exchange(state_, State::kAway) == State::kOpen) {
    log_limited(limiter, LogLevel::warn, "gate", "Redis does not answer; the gate is away");
  }
  if (!timer_.is_set() || timer_.deadline() > timer_.loop().now() + kLookAgain) {
    timer_.set_after(kLookAgain);
  }
}

void GateDoor::on_closed() {
  state_ = State::kClosed;
  build({});
}

void GateDoor::on_broken() {
  static LogLimiter limiter;
  log_limited(limiter, LogLevel::error, "gate", "what Redis holds is no gate; it is built again");
  state_ = State::kClosed;
  build(epoch_);
}

void GateDoor::build(const std::string& replaced) {
  if (builder_.is_building()) return;
  builder_.build(replaced, [this](GateBuilder::End end, const std::string& epoch, bool is_ours) {
    if (is_ours) ++built_;
    if (end == GateBuilder::End::open) return on_epoch(epoch);
    timer_.set_after(kLookAgain);  // `locked`: the look finds what the other one built
  });
}

void GateDoor::on_epoch(const std::string& epoch) {
  const bool is_new = epoch != epoch_;
  if (is_open() && !is_new) return;
  state_ = State::kOpen;
  epoch_ = epoch;
  log_info("gate", "open, epoch {}", epoch);
  if (told_) told_(is_new);
}

}  // namespace sluice::orders
