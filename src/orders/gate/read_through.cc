#include "read_through.h"

#include <algorithm>
#include <utility>

#include "order_entry.h"

namespace sluice::orders {
namespace {

constexpr Duration kReadBudget = std::chrono::milliseconds(20);
constexpr Duration kWriteBudget = std::chrono::milliseconds(250);

void ignore(const GateReply&) {}

}  // namespace

void ReadThrough::order(const std::string& id, Answer<std::optional<Order>> answer) {
  if (!link_.is_up()) return store_.order(id, std::move(answer));
  link_.ask(GateScript::read_entry, {id}, kReadBudget,
            [this, id, answer = std::move(answer)](const GateReply& reply) {
              if (auto order = read_entry(reply.at(2), id)) return answer(std::move(order));
              order_from_store(id, reply.at(1), answer);
            });
}

void ReadThrough::order_from_store(const std::string& id, const std::string& now_ms,
                                   Answer<std::optional<Order>> answer) {
  store_.order(id, [this, now_ms, answer = std::move(answer)](Result<std::optional<Order>> order) {
    if (order && *order) put(**order, now_ms);
    answer(std::move(order));
  });
}

void ReadThrough::put(const Order& order, const std::string& begun_ms) {
  if (begun_ms.empty()) return;
  const bool is_final = order.status == kShipped || order.status == kFailed;
  link_.ask(GateScript::fill_entry,
            {order.id, entry_of(order), std::to_string(order.version), begun_ms,
             std::to_string(is_final ? kLongLife : kLife)},
            kWriteBudget, ignore);
}

void ReadThrough::renew(const std::string& id, int64_t version) {
  link_.ask(GateScript::forget_entry, {id, std::to_string(version)}, kWriteBudget,
            [this, id](const GateReply& reply) {
              if (!reply.is("forgotten")) return;
              order_from_store(id, reply.at(1), [](const Result<std::optional<Order>>&) {});
            });
}

void ReadThrough::products(Answer<Products> answer) {
  view({}, [this, answer = std::move(answer)](const std::string& now_ms,
                                              std::optional<Products> found) {
    if (found && !found->empty()) return answer(*std::move(found));
    products_from_store(now_ms, answer);
  });
}

void ReadThrough::product(const std::string& id, Answer<std::optional<Product>> answer) {
  view(id, [this, id, answer = std::move(answer)](const std::string& now_ms,
                                                  std::optional<Products> found) {
    if (found && found->size() == 1 && found->front().id == id) {
      return answer(std::optional(std::move(found->front())));
    }
    if (now_ms.empty() || found) return store_.product(id, answer);  // unknown, or nobody to tell
    products_from_store(now_ms, [id, answer](const Result<Products>& all) {
      if (!all) return answer(all.error());
      const auto place = std::ranges::find(*all, id, &Product::id);
      answer(place == all->end() ? std::optional<Product>() : std::optional(*place));
    });
  });
}

void ReadThrough::view(
    const std::string& id,
    std::function<void(const std::string& now_ms, std::optional<Products>)> then) {
  if (!link_.is_up()) return then({}, std::nullopt);
  link_.ask(GateScript::read_view, {id}, kReadBudget,
            [then = std::move(then)](const GateReply& reply) {
              Products products;
              for (size_t i = 2; i + 1 < reply.words.size(); i += 2) {
                auto product = read_item(reply.at(i), reply.number(i + 1));
                if (!product) return then(reply.at(1), std::nullopt);
                products.push_back(*std::move(product));
              }
              std::ranges::sort(products, {}, &Product::id);
              if (products.empty()) return then(reply.at(1), std::nullopt);
              then(reply.at(1), std::move(products));
            });
}

void ReadThrough::products_from_store(const std::string& now_ms, Answer<Products> answer) {
  store_.products([this, now_ms, answer = std::move(answer)](Result<Products> products) {
    if (products && !now_ms.empty()) {
      std::vector<std::string> values{now_ms, std::to_string(kLife)};
      for (const Product& product : *products) {
        values.insert(values.end(), {product.id, item_of(product), std::to_string(product.stock)});
      }
      link_.ask(GateScript::fill_view, std::move(values), kWriteBudget, ignore);
    }
    answer(std::move(products));
  });
}

}  // namespace sluice::orders
