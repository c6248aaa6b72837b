#include "sluice/stats/name_table.h"

#include "sluice/base/check.h"

namespace sluice::stats {

NameTable::NameTable() { intern(""); }

uint16_t NameTable::intern(std::string_view name) {
  std::lock_guard lock(mutex_);
  if (const auto found = ids_.find(name); found != ids_.end()) return found->second;
  if (names_.size() == kOther) return kOther;
  const auto id = static_cast<uint16_t>(names_.size());
  names_.emplace_back(name);
  ids_.emplace(names_.back(), id);
  return id;
}

std::string_view NameTable::name(uint16_t id) const noexcept {
  if (id == kOther) return "other";
  std::lock_guard lock(mutex_);
  SL_CHECK(id < names_.size());
  return names_[id];
}

size_t NameTable::size() const noexcept {
  std::lock_guard lock(mutex_);
  return names_.size();
}

}  // namespace sluice::stats
