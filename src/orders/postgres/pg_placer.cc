#include "sluice/orders/postgres/pg_placer.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "sluice/orders/event.h"
#include "sluice/orders/order_id.h"
#include "sluice/orders/postgres/pg_schema.h"
#include "sluice/orders/reply_json.h"
#include "sluice/orders/stored.h"

namespace sluice::orders {
namespace {

// An order that has waited long gets at least that much for its group.
constexpr Duration kLeastTime = std::chrono::milliseconds(500);

// Products and users before keys: an order whose key is not there yet had not taken what is
// missing, nor is it the one that reached the limit.
const PgStatement kSelectProducts{
    "place_products",
    "SELECT id, price_cents, available FROM products JOIN stock ON product_id = id "
    "WHERE id = ANY ($1::text[])"};
const PgStatement kSelectKeys{
    "place_keys",
    "SELECT key, fingerprint, order_id, status, body, sold_out FROM idempotency_keys "
    "WHERE key = ANY ($1::text[]) AND at_ms > $2"};
const PgStatement kCountOrders{
    "place_users",
    "SELECT user_id, count(*) FROM orders WHERE user_id = ANY ($1::text[]) AND status <> 'failed' "
    "GROUP BY user_id"};
const PgStatement kPlaceOrders{
    "place_orders",
    "SELECT * FROM place_orders($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, "
    "$16, $17, $18)"};
const PgStatement kBeginCommitted{"place_begin", "BEGIN ISOLATION LEVEL READ COMMITTED"};
const PgStatement kCommit{"place_commit", "COMMIT"};

}  // namespace

// What the database said, and what the orders before in the group take of it.
class PgPlacer::Judge {
 public:
  enum class Say : uint8_t { write, answer, wait };

  Judge(const PgReply& found, WallTime now);
  // `answer`: with `placed`. `write`: order and reply are made.
  Say judge(Waiting& waiting, Placed& placed);

 private:
  struct Found {
    int64_t price_cents, available, taken;
  };

  bool find_key(const Waiting& waiting, Placed& placed) const;
  bool fill_in(Waiting& waiting, std::map<std::string, int64_t>& units, Placed& placed);
  void make_reply(Waiting& waiting) const;

  WallTime now_;
  std::map<std::string, Found> products_;
  std::map<std::string, std::pair<std::string, StoredReply>> keys_;  // fingerprint, reply
  std::map<std::string, int64_t> users_;
  std::set<std::string> keys_in_group_;
};

PgPlacer::Judge::Judge(const PgReply& found, WallTime now) : now_(now) {
  const PgRows& products = found.rows[0];
  for (int i = 0; i < products.size(); ++i) {
    products_[products.text(i, 0)] = {products.number(i, 1), products.number(i, 2), 0};
  }
  const PgRows& keys = found.rows.back();
  for (int i = 0; i < keys.size(); ++i) {
    keys_[keys.text(i, 0)] = {keys.text(i, 1),
                              {static_cast<int>(keys.number(i, 3)), keys.text(i, 2),
                               keys.text(i, 4), ids_in(keys.text(i, 5))}};
  }
  if (found.rows.size() < 3) return;
  const PgRows& users = found.rows[1];
  for (int i = 0; i < users.size(); ++i) users_[users.text(i, 0)] = users.number(i, 1);
}

PgPlacer::Judge::Say PgPlacer::Judge::judge(Waiting& waiting, Placed& placed) {
  const NewOrder& asked = waiting.asked;
  if (find_key(waiting, placed)) return Say::answer;
  if (keys_in_group_.contains(asked.key)) return Say::wait;
  if (asked.user_limit > 0 && users_[asked.user_id] >= asked.user_limit) {
    placed.verdict = Verdict::user_limit;
    return Say::answer;
  }
  std::map<std::string, int64_t> units;
  if (!fill_in(waiting, units, placed)) return Say::answer;
  for (const auto& [id, quantity] : units) {
    const Found& product = products_[id];
    if (quantity > product.available - product.taken) return Say::wait;
  }
  for (const auto& [id, quantity] : units) products_[id].taken += quantity;
  ++users_[asked.user_id];
  keys_in_group_.insert(asked.key);
  make_reply(waiting);
  return Say::write;
}

bool PgPlacer::Judge::find_key(const Waiting& waiting, Placed& placed) const {
  const auto known = keys_.find(waiting.asked.key);
  if (known == keys_.end()) return false;
  const auto& [fingerprint, reply] = known->second;
  placed.verdict =
      fingerprint == waiting.asked.fingerprint ? Verdict::replayed : Verdict::key_reused;
  placed.reply = reply;
  return true;
}

// False: it cannot be met, whatever else is in the group.
bool PgPlacer::Judge::fill_in(Waiting& waiting, std::map<std::string, int64_t>& units,
                              Placed& placed) {
  Order& order = waiting.order;
  const NewOrder& asked = waiting.asked;
  order = {make_order_id(now_), asked.user_id, std::string(kAccepted), 0, asked.lines, {}, 1,
           asked.request_id};
  for (OrderLine& line : order.lines) {
    const auto product = products_.find(line.product_id);
    if (product == products_.end()) {
      placed.verdict = Verdict::unknown_product;
      placed.product_id = line.product_id;
      return false;
    }
    line.price_cents = product->second.price_cents;
    order.total_cents += line.price_cents * line.quantity;
    units[line.product_id] += line.quantity;
  }
  for (const auto& [id, quantity] : units) {
    if (quantity <= products_[id].available) continue;
    placed = {Verdict::sold_out, {}, id, quantity, products_[id].available};
    return false;
  }
  return true;
}

void PgPlacer::Judge::make_reply(Waiting& waiting) const {
  waiting.reply.status = waiting.asked.reply_status;
  waiting.reply.order_id = waiting.order.id;
  waiting.reply.body = accepted_body(waiting.order);
  waiting.reply.sold_out.clear();
}

// The way of a group
// --------------------------------------------------------------------------------

PgPlacer::PgPlacer(loop::Loop& loop, PgCaller& caller) : loop_(loop), caller_(caller) {}

void PgPlacer::place(NewOrder order, Answer<Placed> answer) {
  if (queue_.size() >= kRoom) {
    const Error error = PgFailure{PgFault::kFull, {}, {}, {}}.error();
    return caller_.later(Duration(0), [answer = std::move(answer), error] { answer(error); });
  }
  Waiting waiting{
      std::move(order), std::move(answer), loop_.now() + OrderStore::kPatience, 0, false, {}, {}};
  queue_.push_back(std::move(waiting));
  begin_groups();
  if (queue_.size() == 1) caller_.later(kLongWait, [this] { begin_groups(); });
}

bool PgPlacer::may_begin() noexcept {
  if (queue_.empty() || groups_ >= kGroups) return false;
  const TimePoint since = queue_.front().deadline - OrderStore::kPatience;
  return groups_ == 0 || queue_.size() >= kEnough || loop_.now() - since >= kLongWait;
}

void PgPlacer::begin_groups() {
  while (may_begin()) {
    ++groups_;
    read(next_group());
  }
}

PgPlacer::GroupPtr PgPlacer::next_group() {
  auto group = std::make_shared<Group>();
  const TimePoint now = loop_.now();
  group->now = wall_now();
  group->deadline = now + OrderStore::kPatience;
  while (!queue_.empty() && group->orders.size() < kMostInGroup) {
    if (queue_.front().is_alone && !group->orders.empty()) break;
    group->orders.push_back(std::move(queue_.front()));
    queue_.pop_front();
    group->deadline = std::min(group->deadline, group->orders.back().deadline);
    if (group->orders.back().is_alone) break;
  }
  group->deadline = std::max(group->deadline, now + kLeastTime);
  return group;
}

void PgPlacer::read(const GroupPtr& group) {
  std::set<std::string> products, keys, users;
  for (const Waiting& each : group->orders) {
    for (const OrderLine& line : each.asked.lines) products.insert(line.product_id);
    keys.insert(each.asked.key);
    if (each.asked.user_limit > 0) users.insert(each.asked.user_id);
  }
  const auto list = [](const std::set<std::string>& set) {
    return std::vector<std::string>(set.begin(), set.end());
  };
  PgSteps steps{{&kSelectProducts, PgValues(list(products))}};
  if (!users.empty()) steps.push_back({&kCountOrders, PgValues(list(users))});
  steps.push_back({&kSelectKeys, PgValues(list(keys), oldest_key_ms(group->now))});
  caller_.read(std::move(steps), group->deadline, [this, group](const PgReply& found) {
    if (!found.failure) return judge(group, found);
    for (Waiting& each : group->orders) each.answer(found.failure.error());
    end(group);
  });
}

void PgPlacer::judge(const GroupPtr& group, const PgReply& found) {
  Judge judge(found, group->now);
  std::vector<Waiting> to_write, to_wait;
  std::vector<std::pair<Answer<Placed>, Placed>> answers;
  for (Waiting& each : group->orders) {
    Placed placed;
    switch (judge.judge(each, placed)) {
      case Judge::Say::write:
        to_write.push_back(std::move(each));
        break;
      case Judge::Say::wait:
        to_wait.push_back(std::move(each));
        break;
      case Judge::Say::answer:
        answers.emplace_back(std::move(each.answer), std::move(placed));
        break;
    }
  }
  // The first of a group never waits for others in it, so this comes to an end.
  std::ranges::move(to_wait, std::front_inserter(queue_));
  std::reverse(queue_.begin(), queue_.begin() + static_cast<ptrdiff_t>(to_wait.size()));
  group->orders = std::move(to_write);
  for (auto& [answer, placed] : answers) answer(std::move(placed));
  if (group->orders.empty()) return end(group);
  write(group);
}

void PgPlacer::write(const GroupPtr& group) {
  std::vector<std::string> ids, users, requests, traces, payloads, keys, fingerprints, bodies;
  std::vector<std::string> item_orders, item_products;
  std::vector<int64_t> limits, totals, statuses, item_lines, item_quantities, item_prices;
  bool has_limit = false;
  for (const Waiting& each : group->orders) {
    ids.push_back(each.order.id);
    users.push_back(each.order.user_id);
    limits.push_back(each.asked.user_limit);
    has_limit = has_limit || each.asked.user_limit > 0;
    totals.push_back(each.order.total_cents);
    requests.push_back(each.order.request_id);
    traces.push_back(each.asked.traceparent);
    payloads.push_back(make_event(each.order, {}, group->now).payload);
    keys.push_back(each.asked.key);
    fingerprints.push_back(each.asked.fingerprint);
    statuses.push_back(each.reply.status);
    bodies.push_back(each.reply.body);
    for (size_t i = 0; i < each.order.lines.size(); ++i) {
      const OrderLine& line = each.order.lines[i];
      item_orders.push_back(each.order.id);
      item_lines.push_back(static_cast<int64_t>(i));
      item_products.push_back(line.product_id);
      item_quantities.push_back(line.quantity);
      item_prices.push_back(line.price_cents);
    }
  }
  PgSteps steps{{&kPlaceOrders,
                 PgValues(to_unix_ms(group->now), oldest_key_ms(group->now), ids, users, limits,
                          totals, requests, traces, payloads, keys, fingerprints, statuses, bodies,
                          item_orders, item_lines, item_products, item_quantities, item_prices)}};
  // Orders of one user are counted after others have been waited for, which a snapshot from before
  // would not show.
  if (has_limit) {
    steps.insert(steps.begin(), {&kBeginCommitted, PgValues()});
    steps.push_back({&kCommit, PgValues()});
  }
  caller_.pool().run(std::move(steps), group->deadline,
                     [this, group](PgReply reply) { on_written(group, std::move(reply)); });
}

void PgPlacer::on_written(const GroupPtr& group, PgReply reply) {
  if (reply.failure) return try_again(group, reply.failure);
  const PgRows& last = reply.rows[reply.rows.size() == 1 ? 0 : 1];
  for (int i = 0; i < last.size(); ++i) {
    for (Waiting& each : group->orders) {
      if (each.order.id == last.view(i, 0)) each.reply.sold_out.push_back(last.text(i, 1));
    }
  }
  for (Waiting& each : group->orders) {
    Placed placed;
    placed.reply = std::move(each.reply);
    each.answer(std::move(placed));
  }
  end(group);
}

// Nothing was written. Others have taken the stock, the key or the user's last order meanwhile, or
// it was nobody's fault, or that of one order.
void PgPlacer::try_again(const GroupPtr& group, const PgFailure& why) {
  const bool has_changed =
      why.state == kPgSoldOut || why.state == kPgUserLimit || why.state == "23505";
  const bool is_one_bad =
      why.fault == PgFault::kRefused && !why.is_busy() && !why.is_stale() && !has_changed;
  const bool may_help = has_changed || why.is_worth_repeating() || is_one_bad;
  if (!may_help || (is_one_bad && group->orders.size() == 1)) return fail(group, why);
  const TimePoint now = loop_.now();
  std::vector<Waiting> again;
  std::vector<Answer<Placed>> late;
  int tries = 0;
  for (Waiting& each : group->orders) {
    each.is_alone = each.is_alone || is_one_bad;
    tries = std::max(tries, ++each.tries);
    if (each.tries >= PgCaller::kMostTries || each.deadline <= now) {
      late.push_back(std::move(each.answer));
    } else {
      again.push_back(std::move(each));
    }
  }
  group->orders.clear();
  for (auto& answer : late) answer(Error(Errc::kQueueTimeout, "the database is busy"));
  const auto go_on = [this, group,
                      again = std::make_shared<std::vector<Waiting>>(std::move(again))] {
    for (auto each = again->rbegin(); each != again->rend(); ++each) {
      queue_.push_front(std::move(*each));
    }
    end(group);
  };
  if (!why.is_worth_repeating()) return go_on();
  caller_.later(caller_.pause(tries), go_on);
}

void PgPlacer::fail(const GroupPtr& group, const PgFailure& why) {
  log_pg_failure("placing orders", why);
  for (Waiting& each : group->orders) each.answer(why.error());
  end(group);
}

void PgPlacer::end(const GroupPtr& group) {
  group->orders.clear();
  --groups_;
  begin_groups();
}

}  // namespace sluice::orders
