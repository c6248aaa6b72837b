#include "gate_compare.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include <nlohmann/json.hpp>

#include "sluice/base/check.h"
#include "sluice/base/strings.h"

namespace sluice::orders {
namespace {

constexpr Duration kBudget = std::chrono::milliseconds(500);
constexpr int kMostTries = 5;

// The items of a record; none if it is broken.
std::vector<GateStock> held_in(const std::string& record) {
  std::vector<GateStock> units;
  const auto json = nlohmann::json::parse(record, nullptr, false);
  if (!json.is_object() || !json.contains("items") || !json["items"].is_array()) return units;
  for (const auto& item : json["items"]) {
    if (!item.is_array() || item.size() != 2 || !item[0].is_string() || !item[1].is_string()) {
      continue;
    }
    GateStock line;
    line.product_id = item[0];
    line.held =
        static_cast<int64_t>(parse_decimal(item[1].get_ref<const std::string&>()).value_or(0));
    units.push_back(std::move(line));
  }
  return units;
}

}  // namespace

int64_t GateComparison::drift() const noexcept {
  int64_t sum = 0;
  for (const GateStock& each : stock) sum += std::abs(each.drift());
  return sum;
}

void GateCompare::compare(Done done) {
  SL_CHECK(!is_comparing());
  done_ = std::move(done);
  tries_ = 0;
  attempt();
}

void GateCompare::attempt() {
  if (tries_++ == kMostTries) return end(std::nullopt);
  link_.ask(GateScript::compare, {}, kBudget, [this](const GateReply& reply) { on_gate(reply); });
}

void GateCompare::on_gate(const GateReply& reply) {
  if (!reply.is("compare")) return end(std::nullopt);
  gate_ = {reply.at(1), reply.at(2), {}, {}, {}, {}};
  size_t place = 4;
  for (int64_t i = 0; i < reply.number(3) && place + 2 < reply.words.size(); ++i, place += 3) {
    gate_.left.emplace_back(reply.at(place), reply.number(place + 1));
    gate_.raises[reply.at(place)] = reply.at(place + 2);
  }
  for (; place + 1 < reply.words.size(); place += 2) {
    if (reply.at(place).empty()) continue;
    gate_.keys.push_back(reply.at(place));
    gate_.held.push_back(held_in(reply.at(place + 1)));
  }
  read_placed(&placed_before_, [this] { read_stock(); });
}

void GateCompare::read_placed(Keys* placed, std::function<void()> next) {
  store_.placed_keys(gate_.keys, [this, placed, next = std::move(next)](Result<Keys> keys) {
    if (!keys) return end(std::nullopt);
    *placed = *std::move(keys);
    std::ranges::sort(*placed);
    next();
  });
}

void GateCompare::read_stock() {
  store_.products([this](Result<std::vector<Product>> products) {
    if (!products) return end(std::nullopt);
    products_ = *std::move(products);
    read_placed(&placed_after_, [this] { look_again(); });
  });
}

void GateCompare::look_again() {
  link_.ask(GateScript::compare, {}, kBudget, [this](const GateReply& reply) {
    if (!reply.is("compare")) return end(std::nullopt);
    const bool is_same = reply.at(1) == gate_.epoch && reply.at(2) == gate_.ops;
    if (!is_same || placed_before_ != placed_after_) return attempt();
    conclude();
  });
}

void GateCompare::conclude() {
  std::map<std::string, GateStock> stock;
  for (const Product& product : products_) {
    stock[product.id] = {product.id, 0, 0, product.stock};
  }
  for (const auto& [product_id, left] : gate_.left) {
    GateStock& each = stock[product_id];
    each.product_id = product_id;
    each.left = left;
  }
  for (size_t i = 0; i < gate_.keys.size(); ++i) {
    if (std::ranges::binary_search(placed_after_, gate_.keys[i])) continue;
    for (const GateStock& line : gate_.held[i]) stock[line.product_id].held += line.held;
  }
  GateComparison result{gate_.epoch, {}, gate_.raises};
  for (auto& [product_id, each] : stock) result.stock.push_back(std::move(each));
  end(result);
}

void GateCompare::end(const std::optional<GateComparison>& result) {
  const Done done = std::exchange(done_, nullptr);
  done(result);
}

}  // namespace sluice::orders
