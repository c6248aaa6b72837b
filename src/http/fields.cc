#include "sluice/http/fields.h"

#include <array>
#include <cstring>

#include "sluice/base/strings.h"

namespace sluice::http {
namespace {

struct Row {
  std::string_view name;
  bool hop_by_hop;
};
constexpr Row kRows[] = {
    {"", false},
#define SL_FIELD(id, name, hop) {name, hop},
#include "sluice/http/fields.def"
#undef SL_FIELD
};
constexpr size_t kRowCount = sizeof(kRows) / sizeof(kRows[0]);
constexpr size_t kLongest = 24;  // what the comparison below can take
constexpr std::string_view kForwardedPrefix = "x-forwarded-";

constexpr uint8_t fold(char c) noexcept { return static_cast<uint8_t>(c) | 0x20; }

// Length, first and last letter tell all known names apart, so a multiplier exists that gives each
// a slot of its own; the compiler finds it.
constexpr uint32_t slot_of(std::string_view name, uint32_t multiplier) noexcept {
  const uint32_t key = static_cast<uint32_t>(name.size()) << 16 |
                       static_cast<uint32_t>(fold(name.front())) << 8 | fold(name.back());
  return key * multiplier >> 23;
}

struct NameTable {
  uint32_t multiplier = 0;
  std::array<uint8_t, 512> ids{};  // by the top nine bits
};

consteval NameTable make_name_table() {
  NameTable table;
  for (uint32_t multiplier = 0x9E3779B1;; multiplier += 2) {
    table.ids = {};
    bool fits = true;
    for (size_t id = 1; id < kRowCount && fits; ++id) {
      if (static_cast<FieldId>(id) == FieldId::kXForwardedOther) continue;
      uint8_t& slot = table.ids[slot_of(kRows[id].name, multiplier)];
      fits = slot == 0;
      slot = static_cast<uint8_t>(id);
    }
    if (fits) {
      table.multiplier = multiplier;
      return table;
    }
  }
}
constexpr NameTable kNames = make_name_table();

consteval bool are_names_short_enough() {
  for (const Row& row : kRows) {
    if (row.name.size() > kLongest) return false;
  }
  return true;
}
static_assert(are_names_short_enough());

uint64_t load_folded(const char* at) noexcept {
  uint64_t word;
  std::memcpy(&word, at, 8);
  return word | 0x2020202020202020u;
}

// Bit 0x20 folds letters; that it folds control bytes too does not matter, since names are tokens.
bool is_same_name(std::string_view name, std::string_view known) noexcept {
  const size_t size = known.size();
  if (name.size() != size) return false;
  if (size < 8) {
    for (size_t i = 0; i < size; ++i) {
      if (fold(name[i]) != static_cast<uint8_t>(known[i])) return false;
    }
    return true;
  }
  for (size_t at = 0; at + 8 < size; at += 8) {
    if (load_folded(name.data() + at) != load_folded(known.data() + at)) return false;
  }
  return load_folded(name.data() + size - 8) == load_folded(known.data() + size - 8);
}

}  // namespace

FieldId field_id(std::string_view name) noexcept {
  if (name.empty()) return FieldId::kOther;
  const uint8_t id = kNames.ids[slot_of(name, kNames.multiplier)];
  if (is_same_name(name, kRows[id].name)) return static_cast<FieldId>(id);
  if (fold(name.front()) == 'x' && name.size() >= kForwardedPrefix.size() &&
      is_same_name(name.substr(0, kForwardedPrefix.size()), kForwardedPrefix)) {
    return FieldId::kXForwardedOther;
  }
  return FieldId::kOther;
}

std::string_view field_name(FieldId id) noexcept {
  const auto row = static_cast<size_t>(id);
  return row < kRowCount ? kRows[row].name : std::string_view();
}

bool is_hop_by_hop(FieldId id) noexcept {
  const auto row = static_cast<size_t>(id);
  return row < kRowCount && kRows[row].hop_by_hop;
}

}  // namespace sluice::http
