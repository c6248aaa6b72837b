// An order and a product as Redis holds them for readers. Pure. Reading is strict: what is not
// exactly what was written is no entry.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "sluice/orders/order.h"

namespace sluice::orders {

// "VERSION JSON"
std::string entry_of(const Order& order);
std::optional<Order> read_entry(std::string_view entry, std::string_view id);

// Without the stock, which changes.
std::string item_of(const Product& product);
std::optional<Product> read_item(std::string_view item, int64_t stock);

}  // namespace sluice::orders
