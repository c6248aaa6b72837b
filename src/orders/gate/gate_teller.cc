#include "gate_teller.h"

#include <algorithm>
#include <map>
#include <utility>

#include "sluice/base/log.h"

namespace sluice::orders {
namespace {

constexpr Duration kBudget = std::chrono::milliseconds(250);
constexpr Duration kPause = std::chrono::milliseconds(200);
constexpr size_t kBatch = 256;
constexpr int kMostFailures = 5;  // of the script itself

void add_units(std::vector<std::string>& values, const std::vector<OrderLine>& units) {
  for (const OrderLine& line : units) {
    values.push_back(line.product_id);
    values.push_back(std::to_string(line.quantity));
  }
}

}  // namespace

std::vector<OrderLine> units_of(const std::vector<OrderLine>& lines) {
  std::map<std::string, int64_t> sums;
  for (const OrderLine& line : lines) sums[line.product_id] += line.quantity;
  std::vector<OrderLine> units;
  for (const auto& [product_id, quantity] : sums) units.push_back({product_id, quantity, 0});
  return units;
}

GateTeller::GateTeller(GateLink& link)
    : link_(link), timer_(loop::Timer::make<&GateTeller::on_timer>(link.loop(), this)) {}

void GateTeller::settle(const Settlement& settlement, std::function<void()> heard) {
  Message message{
      GateScript::settle,
      {settlement.key, std::string(settlement.verdict), settlement.epoch, settlement.user}};
  add_units(message.values, settlement.units);
  tell(std::move(message), std::move(heard));
}

void GateTeller::raise(const std::string& id, const std::string& user,
                       const std::vector<OrderLine>& units, std::function<void()> heard) {
  Message message{GateScript::raise, {id, user}};
  add_units(message.values, units);
  tell(std::move(message), std::move(heard));
}

void GateTeller::tell(Message message, std::function<void()> heard) {
  auto values = message.values;
  link_.ask(message.script, std::move(values), kBudget,
            [this, message = std::move(message), heard = std::move(heard)](const GateReply& reply) {
              if (reply.fault) {
                Message again = message;
                again.failures += reply.is_broken() ? 1 : 0;
                keep(std::move(again));
              }
              if (heard) heard();
            });
}

void GateTeller::keep(Message message) {
  static LogLimiter limiter;
  if (message.failures >= kMostFailures || waiting_.size() >= kMostWaiting) {
    return log_limited(limiter, LogLevel::error, "gate",
                       "Redis does not take what became of orders; the gate may drift, see /status "
                       "(sluice-orders repair mends it)");
  }
  waiting_.push_back(std::move(message));
  if (!timer_.is_set()) timer_.set_after(kPause);
}

void GateTeller::retry() {
  timer_.cancel();
  if (!link_.is_up()) {
    // One goes nonetheless: only what is asked finds out that the server is back.
    if (waiting_.empty()) return;
    timer_.set_after(kPause);
    Message first = std::move(waiting_.front());
    waiting_.pop_front();
    return tell(std::move(first), nullptr);
  }
  for (size_t i = std::min(kBatch, waiting_.size()); i > 0; --i) {
    Message message = std::move(waiting_.front());
    waiting_.pop_front();
    tell(std::move(message), nullptr);
  }
  if (!waiting_.empty()) timer_.set_after(std::chrono::milliseconds(1));
}

}  // namespace sluice::orders
