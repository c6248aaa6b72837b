// Small numbers for names that stand in labels: listeners, routes, pools, endpoints. It only grows.
//
// Thread: any. A number means the same name for ever, also after reloads; so what counted under it
// goes on when the name comes back.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace sluice::stats {

class NameTable {
 public:
  static constexpr uint16_t kNone = 0;  // "": there is none, such as the pool of a local answer
  static constexpr uint16_t kOther = 65535;  // "other": the table is full

  NameTable();
  NameTable(const NameTable&) = delete;
  NameTable& operator=(const NameTable&) = delete;

  // The number of `name`, which is given one if it has none.
  uint16_t intern(std::string_view name);
  // The name of a number that intern() returned; it stays valid as long as the table.
  std::string_view name(uint16_t id) const noexcept;
  size_t size() const noexcept;

 private:
  mutable std::mutex mutex_;
  std::deque<std::string> names_;  // by number; elements never move
  std::map<std::string_view, uint16_t> ids_;
};

}  // namespace sluice::stats
