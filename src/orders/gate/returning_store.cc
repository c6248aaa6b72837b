#include "returning_store.h"

#include <utility>

#include <nlohmann/json.hpp>

namespace sluice::orders {
namespace {

// What an event's payload tells of its order; event_problem() has seen it before.
struct Ordered {
  std::string user_id;
  std::vector<OrderLine> units;
};

Ordered ordered_in(const Event& event) {
  Ordered ordered;
  try {  // nlohmann reports by exceptions
    const auto json = nlohmann::json::parse(event.payload);
    ordered.user_id = json.at("user_id");
    for (const auto& item : json.at("items")) {
      ordered.units.push_back({item.at("product_id"), item.at("quantity"), 0});
    }
  } catch (const nlohmann::json::exception&) {
    return {};
  }
  ordered.units = units_of(ordered.units);
  return ordered;
}

}  // namespace

ReturningStore::ReturningStore(loop::Loop& loop, std::unique_ptr<ShopStore> below,
                               const redis::Address& address)
    : StoreLayer(std::move(below)),
      link_(loop, address),
      teller_(link_),
      reader_(link_, this->below()) {
  link_.on_ready([this] { teller_.retry(); });
  link_.start();
}

void ReturningStore::apply(Event event, Handling handling, Answer<Applied> answer) {
  Event kept = event;
  below().apply(std::move(event), std::move(handling),
                [this, event = std::move(kept), answer = std::move(answer)](
                    Result<Applied> applied) { on_applied(event, std::move(applied), answer); });
}

void ReturningStore::on_applied(const Event& event, Result<Applied> applied,
                                const Answer<Applied>& answer) {
  if (!applied || applied->outcome == Outcome::unknown) return answer(std::move(applied));
  if (applied->outcome == Outcome::moved) reader_.renew(event.order_id, event.version + 1);
  const bool has_failed = event.type == event_type(kFailed);
  if (applied->released.empty() && !has_failed) return answer(std::move(applied));
  const Ordered ordered = ordered_in(event);
  const std::vector<OrderLine> units = has_failed ? ordered.units : applied->released;
  teller_.raise(event.order_id, ordered.user_id, units,
                [answer, applied = std::move(applied)] { answer(applied); });
}

}  // namespace sluice::orders
