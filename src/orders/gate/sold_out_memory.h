// What this process remembers of products that are sold out, so that it can refuse without asking
// Redis: for a second at most, and never an order whose key may be known.
//
// A refusal of the gate brings the keys that became known before it. Once all of them are here, an
// order with another key cannot have been accepted before; and none can be accepted while nothing
// comes back, which is told over Pub/Sub. Pure: the time is an argument.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "sluice/base/clock.h"

namespace sluice::orders {

class SoldOutMemory {
 public:
  static constexpr Duration kLife = std::chrono::seconds(1);
  static constexpr size_t kMostKeys = 1'000'000;

  // Another gate: nothing that was known holds.
  void begin_epoch();
  // Messages come from now on, or may be missed.
  void set_listening(bool is_listening) noexcept;
  // Units of that product came back; "": of any.
  void on_news(std::string_view product_id, TimePoint now);

  void learn_key(std::string_view key);
  // Up to where keys are known.
  const std::string& last() const noexcept { return last_; }
  void set_last(std::string last) { last_ = std::move(last); }
  // After all keys were learned. `asked_at`: before the gate was asked.
  void learn_sold_out(const std::string& product_id, int64_t left, TimePoint asked_at);

  bool may_know(std::string_view key) const;
  // What is left of it, if that is known well enough to refuse by.
  std::optional<int64_t> left(const std::string& product_id, TimePoint now) const;

 private:
  struct Flag {
    int64_t left;
    TimePoint until;
  };

  bool is_listening_ = false;
  TimePoint last_news_{};
  std::string last_ = "0";
  std::unordered_set<uint64_t> keys_;  // hashes: a false one costs a question to Redis
  std::unordered_map<std::string, Flag> flags_;
};

}  // namespace sluice::orders
