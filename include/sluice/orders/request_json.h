// Bodies that come in, and the seed file: strict JSON, turned into values. Pure.
//
// Strict: one value with nothing behind it, no field that is not known, none twice, every type
// exactly as documented; 1.0 and "1" are no integers.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "sluice/orders/order.h"
#include "sluice/orders/problem.h"

namespace sluice::orders {

// {"user_id": "u1", "items": [{"product_id": "p1", "quantity": 1}]}; fills in the fingerprint.
Checked<NewOrder> parse_order(std::string_view body);

// {"quantity": 100}
Checked<int64_t> parse_restock(std::string_view body);

// {"products": [{"id": "p1", "name": "Mug", "price_cents": 1299, "stock": 1000}]}
Checked<std::vector<Product>> parse_seed(std::string_view text);

// What a new database gets unless --seed says otherwise.
std::vector<Product> default_seed();

}  // namespace sluice::orders
