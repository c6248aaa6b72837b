#include "gated_store.h"

#include <algorithm>
#include <utility>

#include "gate_scripts.h"
#include "sluice/orders/order_id.h"

namespace sluice::orders {
namespace {

// What an order waits for the gate, at most.
constexpr Duration kBudget = std::chrono::milliseconds(50);
constexpr Duration kLowerBudget = std::chrono::milliseconds(250);

redis::SubscriberOptions subscriber_options(const redis::Address& address) {
  redis::SubscriberOptions options;
  options.link = gate_link_options(address);
  options.channels = {kGateNews};
  return options;
}

redis::Address address_of(const std::string& url) { return *redis::parse_address(url); }

std::string milliseconds_text(Duration time) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(time).count());
}

// Of two numbers without leading zeros.
bool is_greater(const std::string& a, const std::string& b) noexcept {
  return a.size() != b.size() ? a.size() > b.size() : a > b;
}

// What the database said of an order, to the gate. "": it does not know either, a sweeper asks.
std::string_view verdict_of(const Result<Placed>& placed) {
  if (!placed) return placed.error().code() == Errc::kSystem ? "" : "refused";
  switch (placed->verdict) {
    case Verdict::accepted:
      return "accepted";
    case Verdict::replayed:
    case Verdict::key_reused:
      return "replayed";
    case Verdict::unknown_product:
    case Verdict::sold_out:
    case Verdict::user_limit:
      return "refused";
  }
  return {};
}

}  // namespace

GatedStore::GatedStore(loop::Loop& loop, std::unique_ptr<ShopStore> below,
                       const GateOptions& options, std::string owner)
    : StoreLayer(std::move(below)),
      loop_(loop),
      options_(options),
      owner_(std::move(owner)),
      link_(loop, address_of(options.url)),
      subscriber_(loop, subscriber_options(address_of(options.url)), *this),
      teller_(link_),
      door_(link_, this->below(), owner_),
      watch_(link_, this->below(), door_),
      reader_(link_, this->below()),
      past_(loop) {
  door_.on_open([this](bool is_new) { on_gate_open(is_new); });
  door_.start();
  watch_.start();
  link_.start();
  subscriber_.start();
}

void GatedStore::place(NewOrder order, Answer<Placed> answer) {
  auto buy = std::make_shared<Purchase>();
  buy->units = units_of(order.lines);
  buy->order = std::move(order);
  buy->answer = std::move(answer);
  if (sold_out_line(*buy) != nullptr) return remember(std::move(buy));
  ask_gate(buy);
}

const OrderLine* GatedStore::sold_out_line(const Purchase& buy) {
  if (!door_.is_open() || memory_.may_know(buy.order.key)) return nullptr;
  for (const OrderLine& line : buy.units) {
    const auto left = memory_.left(line.product_id, loop_.now());
    if (left && *left < line.quantity) return &line;
  }
  return nullptr;
}

// An answer never comes inside the call; and news that are here already are heard before it.
void GatedStore::remember(Buy buy) {
  remembered_.push_back(std::move(buy));
  if (remembered_.size() > 1) return;
  loop_.post([this, alive = std::weak_ptr(alive_)] {
    if (!alive.expired()) answer_remembered();
  });
}

void GatedStore::answer_remembered() {
  for (const Buy& buy : std::exchange(remembered_, {})) {
    const OrderLine* line = sold_out_line(*buy);
    if (line == nullptr) {
      ask_gate(buy);
      continue;
    }
    ++counts_.from_memory;
    refuse_sold_out(buy, *line, *memory_.left(line->product_id, loop_.now()));
  }
}

void GatedStore::refuse_sold_out(const Buy& buy, const OrderLine& line, int64_t left) {
  Placed placed;
  placed.verdict = Verdict::sold_out;
  placed.product_id = line.product_id;
  placed.requested = line.quantity;
  placed.available = left;
  buy->answer(std::move(placed));
}

void GatedStore::ask_gate(const Buy& buy) {
  // Also past the gate: should it still be there, the units are charged to it.
  buy->epoch = door_.epoch();
  if (!door_.is_open()) return go_past(buy);
  const NewOrder& order = buy->order;
  std::vector<std::string> values{
      order.key, order.user_id, std::to_string(order.user_limit), milliseconds_text(options_.hold),
      owner_,    memory_.last()};
  for (const OrderLine& line : buy->units) {
    values.push_back(line.product_id);
    values.push_back(std::to_string(line.quantity));
  }
  link_.ask(GateScript::reserve, std::move(values), kBudget,
            [this, buy, asked_at = monotonic_now()](const GateReply& reply) {
              on_reserved(buy, asked_at, reply);
            });
}

void GatedStore::on_reserved(const Buy& buy, TimePoint asked_at, const GateReply& reply) {
  if (reply.fault) {
    buy->is_maybe_reserved = true;
    reply.is_broken() ? door_.on_broken() : door_.on_fault();
    return go_past(buy);
  }
  if (reply.is("closed") || reply.is("broken")) {
    reply.is("closed") ? door_.on_closed() : door_.on_broken();
    return go_past(buy);
  }
  if (reply.is("sold_out")) return on_sold_out(buy, asked_at, reply);
  if (reply.is("user_limit")) {
    ++counts_.limited;
    return buy->answer(Placed{Verdict::user_limit, {}, {}});
  }
  door_.on_epoch(reply.at(1));
  buy->epoch = reply.at(1);
  if (reply.is("reserved")) {
    ++counts_.reserved;
    buy->is_reserved = true;
    buy->raises.assign(reply.words.begin() + 2, reply.words.end());
  }
  // Else the key has an order or is getting one, or the product is not known to the gate.
  to_database(buy, nullptr);
}

void GatedStore::on_sold_out(const Buy& buy, TimePoint asked_at, const GateReply& reply) {
  const auto line = std::ranges::find(buy->units, reply.at(2), &OrderLine::product_id);
  if (line == buy->units.end()) return to_database(buy, nullptr);  // not what was asked
  const bool is_same_gate = reply.at(1) == buy->epoch && buy->epoch == door_.epoch();
  door_.on_epoch(reply.at(1));
  if (is_same_gate) {
    for (size_t i = 6; i < reply.words.size(); ++i) memory_.learn_key(reply.at(i));
    if (is_greater(reply.at(4), memory_.last())) memory_.set_last(reply.at(4));
    if (reply.at(5) == "0") memory_.learn_sold_out(reply.at(2), reply.number(3), asked_at);
  }
  ++counts_.sold_out;
  refuse_sold_out(buy, *line, reply.number(3));
}

void GatedStore::go_past(const Buy& buy) {
  const auto refuse = [this, buy, alive = std::weak_ptr(alive_)](Error error) {
    loop_.post([this, buy, error, alive] {
      if (alive.expired()) return;
      ++counts_.refused;
      if (buy->is_maybe_reserved) settle(*buy, error);
      buy->answer(error);
    });
  };
  if (options_.away == StockAway::refuse) {
    return refuse(Error(Errc::kBreakerOpen, "the stock gate is away"));
  }
  past_.enter([this, buy, refuse](Status entered) {
    if (!entered) return refuse(entered.error());
    ++counts_.past;
    to_database(buy, [this] { past_.leave(); });
  });
}

void GatedStore::to_database(const Buy& buy, std::function<void()> done) {
  below().place(buy->order, [this, buy, done = std::move(done)](Result<Placed> placed) {
    settle(*buy, placed);
    buy->answer(std::move(placed));
    if (done) done();
  });
}

// Every accepted order is told, also one past the gate: its units are charged to the gate that was
// known when it was placed, and its key is known from then on.
void GatedStore::settle(const Purchase& buy, const Result<Placed>& placed) {
  const std::string_view verdict = verdict_of(placed);
  const bool may_hold = buy.is_reserved || buy.is_maybe_reserved;
  if (verdict.empty() || (verdict == "refused" && !may_hold)) return;
  teller_.settle({buy.order.key, verdict, buy.epoch,
                  buy.order.user_limit > 0 ? buy.order.user_id : std::string(), buy.units});
  if (placed && placed->verdict == Verdict::sold_out && buy.is_reserved) lower(buy, *placed);
}

// The gate said that there was enough, and the database has less.
void GatedStore::lower(const Purchase& buy, const Placed& placed) {
  for (size_t i = 0; i < buy.units.size() && i < buy.raises.size(); ++i) {
    if (buy.units[i].product_id != placed.product_id) continue;
    link_.ask(GateScript::lower,
              {placed.product_id, std::to_string(placed.available), buy.raises[i], buy.epoch},
              kLowerBudget, [](const GateReply&) {});
  }
}

void GatedStore::restock(std::string product_id, int64_t quantity,
                         Answer<std::optional<Product>> answer) {
  below().restock(product_id, quantity,
                  [this, product_id, quantity,
                   answer = std::move(answer)](Result<std::optional<Product>> product) {
                    if (!product || !*product) return answer(std::move(product));
                    // Who is told of the units can order them.
                    memory_.on_news(product_id, monotonic_now());
                    teller_.raise("restock:" + make_order_id(wall_now()), {},
                                  {{product_id, quantity, 0}},
                                  [answer, product = std::move(product)] { answer(product); });
                  });
}

void GatedStore::products(Answer<std::vector<Product>> answer) {
  reader_.products(std::move(answer));
}

void GatedStore::product(std::string id, Answer<std::optional<Product>> answer) {
  reader_.product(id, std::move(answer));
}

void GatedStore::order(std::string id, Answer<std::optional<Order>> answer) {
  reader_.order(id, std::move(answer));
}

void GatedStore::totals(Answer<Totals> answer) {
  below().totals([this, answer = std::move(answer)](Result<Totals> totals) {
    if (totals) {
      GateFacts facts{std::string(to_string(door_.state())),
                      door_.epoch(),
                      watch_.drift(),
                      watch_.stock(),
                      teller_.waiting(),
                      counts_};
      facts.counts.returned = watch_.returned();
      facts.counts.lowered = watch_.lowered();
      facts.counts.built = door_.built();
      totals->gate = std::move(facts);
    }
    answer(std::move(totals));
  });
}

void GatedStore::on_gate_open(bool is_new) {
  if (is_new) memory_.begin_epoch();
  teller_.retry();
}

void GatedStore::on_message(std::string_view, std::string_view product_id) noexcept {
  memory_.on_news(product_id, monotonic_now());
}

}  // namespace sluice::orders
