#include "gate_builder.h"

#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include "sluice/base/check.h"
#include "sluice/base/log.h"
#include "sluice/orders/sqlite/sqlite_db.h"

namespace sluice::orders {
namespace {

constexpr Duration kBudget = std::chrono::seconds(1);
constexpr const char* kLockLife = "5000";  // ms; longer than any step
constexpr int64_t kPage = 1000;

}  // namespace

void GateBuilder::build(const std::string& replaced, Done done) {
  SL_CHECK(!is_building());
  done_ = std::move(done);
  token_ = fmt::format("{}#{}", owner_, ++builds_);
  link_.ask(GateScript::begin, {token_, kLockLife, replaced, owner_}, kBudget,
            [this](const GateReply& reply) { on_begun(reply); });
}

void GateBuilder::on_begun(const GateReply& reply) {
  if (reply.fault) return end(End::failed);
  if (reply.is("open")) return end(End::open, reply.at(1));
  if (!reply.is("begun")) return end(End::locked);
  held_.clear();
  for (size_t i = 1; i + 1 < reply.words.size(); i += 2) {
    if (!reply.at(i).empty()) held_.push_back(reply.at(i));
  }
  read_stock();
}

// Before the reservations: one that becomes an order in between then counts as free.
void GateBuilder::read_stock() {
  store_.products([this](Result<std::vector<Product>> products) {
    if (!products) return end(End::failed);
    products_ = *std::move(products);
    ask_for_orders();
  });
}

void GateBuilder::ask_for_orders() {
  store_.placed_keys(held_, [this](const Result<std::vector<std::string>>& placed) {
    if (!placed) return end(End::failed);
    const std::unordered_set<std::string> has_order(placed->begin(), placed->end());
    std::erase_if(held_, [&](const std::string& key) { return has_order.contains(key); });
    const WallTime oldest = wall_now() - std::chrono::duration_cast<WallTime::duration>(kKeyLife);
    learn_keys({"", to_unix_ms(oldest)});
  });
}

void GateBuilder::learn_keys(PlacedKey last) {
  store_.keys_after(std::move(last), kPage, [this](Result<std::vector<PlacedKey>> page) {
    if (!page) return end(End::failed);
    on_page(*std::move(page));
  });
}

void GateBuilder::on_page(std::vector<PlacedKey> page) {
  std::vector<std::string> values{token_, kLockLife};
  for (const PlacedKey& row : page) values.push_back(row.key);
  const bool is_last = page.size() < static_cast<size_t>(kPage);
  PlacedKey last = page.empty() ? PlacedKey() : page.back();
  link_.ask(GateScript::learn, std::move(values), kBudget,
            [this, is_last, last = std::move(last)](const GateReply& reply) {
              if (!reply.is("learned")) return end(End::failed);
              if (is_last) return install();
              learn_keys(last);
            });
}

void GateBuilder::install() {
  std::vector<std::string> values{token_, std::to_string(products_.size())};
  for (const Product& product : products_) {
    values.push_back(product.id);
    values.push_back(std::to_string(product.stock));
  }
  values.insert(values.end(), held_.begin(), held_.end());
  link_.ask(GateScript::install, std::move(values), kBudget, [this](const GateReply& reply) {
    if (!reply.is("open")) return end(End::failed);
    log_info("gate", "built from the database: epoch {}, {} products, {} open reservations",
             reply.at(1), products_.size(), held_.size());
    end(End::open, reply.at(1), true);
  });
}

void GateBuilder::end(End end, const std::string& epoch, bool is_ours) {
  const Done done = std::exchange(done_, nullptr);
  done(end, epoch, is_ours);
}

}  // namespace sluice::orders
