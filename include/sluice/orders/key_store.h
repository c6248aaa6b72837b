// Which Idempotency-Keys have an order: what the database says to those who hold units for orders
// that they have not seen the end of.
//
// Implemented by the same object as OrderStore, with the same rules for threads, answers and
// errors.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sluice/orders/order_store.h"

namespace sluice::orders {

struct PlacedKey {
  std::string key;
  int64_t at_ms = 0;  // when its order was written, unix time
};

class KeyStore {
 public:
  virtual ~KeyStore() = default;

  // Those of the keys that have an order, in any order.
  virtual void placed_keys(std::vector<std::string> keys,
                           Answer<std::vector<std::string>> answer) = 0;
  // The next page of all that are remembered, by time and key, behind `last`.
  virtual void keys_after(PlacedKey last, int64_t most, Answer<std::vector<PlacedKey>> answer) = 0;
};

}  // namespace sluice::orders
