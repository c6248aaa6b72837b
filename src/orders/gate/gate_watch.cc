#include "gate_watch.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "sluice/base/log.h"

namespace sluice::orders {
namespace {

constexpr Duration kBudget = std::chrono::milliseconds(500);
constexpr Duration kSweepEvery = std::chrono::milliseconds(500);
constexpr Duration kCompareEvery = std::chrono::seconds(1);
constexpr const char* kMostSwept = "256";

}  // namespace

GateWatch::GateWatch(GateLink& link, ShopStore& store, GateDoor& door)
    : link_(link),
      store_(store),
      door_(door),
      compare_(link, store),
      sweep_timer_(loop::Timer::make<&GateWatch::on_sweep>(link.loop(), this)),
      compare_timer_(loop::Timer::make<&GateWatch::on_compare>(link.loop(), this)) {}

void GateWatch::start() {
  sweep_timer_.set_after(kSweepEvery);
  compare_timer_.set_after(kCompareEvery);
}

void GateWatch::on_sweep() noexcept {
  sweep_timer_.set_after(kSweepEvery);
  if (!door_.is_open()) return;
  link_.ask(GateScript::expired, {kMostSwept}, kBudget,
            [this](const GateReply& reply) { on_expired(reply); });
}

// Another sweeper may have the same keys: the script settles each once.
void GateWatch::on_expired(const GateReply& reply) {
  if (reply.is_broken()) return door_.on_broken();
  if (!reply.is("expired") || reply.words.size() < 2) return;
  std::vector<std::string> keys(reply.words.begin() + 1, reply.words.end());
  auto asked = keys;
  store_.placed_keys(std::move(asked), [this, keys = std::move(keys)](
                                           const Result<std::vector<std::string>>& placed) {
    if (!placed) return;  // the next sweep asks again
    const std::unordered_set<std::string> has_order(placed->begin(), placed->end());
    for (const std::string& key : keys) settle(key, has_order.contains(key));
  });
}

void GateWatch::settle(const std::string& key, bool is_placed) {
  // What is read through has no units of it here: they went from the view with the second.
  link_.ask(GateScript::settle, {key, is_placed ? "accepted" : "refused", "", ""}, kBudget,
            [this, key, is_placed](const GateReply& reply) {
              if (!reply.is("settled")) return;
              if (!is_placed) ++returned_;
              log_info("gate", "the reservation of key {} ended late: {}", key,
                       is_placed ? "it has an order" : "it has no order, its units are back");
            });
}

void GateWatch::on_compare() noexcept {
  compare_timer_.set_after(kCompareEvery);
  if (!door_.is_open() || compare_.is_comparing()) return;
  compare_.compare([this](const std::optional<GateComparison>& found) {
    if (found) on_compared(*found);
  });
}

void GateWatch::on_compared(const GateComparison& found) {
  int64_t drift = 0;
  for (const GateStock& each : found.stock) {
    const auto before = std::ranges::find(stock_, each.product_id, &GateStock::product_id);
    if (before == stock_.end() || before->drift() != each.drift()) continue;
    drift += std::abs(each.drift());
    if (each.drift() > 0) lower(found, each);
  }
  stock_ = found.stock;
  static LogLimiter limiter;
  if (drift != 0 && drift != drift_) {
    log_limited(
        limiter, LogLevel::warn, "gate",
        "gate and database differ by {} units; if that stays, sluice-orders repair mends it",
        drift);
  }
  drift_ = drift;
}

void GateWatch::lower(const GateComparison& found, const GateStock& stock) {
  const auto raises = found.raises.find(stock.product_id);
  if (raises == found.raises.end()) return;
  const int64_t units = stock.left - stock.available;
  link_.ask(GateScript::lower,
            {stock.product_id, std::to_string(stock.available), raises->second, found.epoch},
            kBudget, [this, units, id = stock.product_id](const GateReply& reply) {
              if (!reply.is("lowered")) return;
              lowered_ += static_cast<uint64_t>(units);
              log_info("gate", "{}: lowered by {} units that the database does not have", id,
                       units);
            });
}

}  // namespace sluice::orders
