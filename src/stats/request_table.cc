#include "sluice/stats/request_table.h"

#include "sluice/base/check.h"
#include "sluice/base/hash.h"
#include "sluice/stats/name_table.h"

namespace sluice::stats {

namespace {

constexpr size_t kFirstSlots = 64;
constexpr RequestKey kOverflow = {NameTable::kOther, NameTable::kOther, NameTable::kOther,
                                  NameTable::kOther, 0};

constexpr RouteKey kOtherRoute = {NameTable::kOther, NameTable::kOther, NameTable::kOther};

uint64_t pack(const RequestKey& key) noexcept {
  return uint64_t{key.listener} << 48 | uint64_t{key.route} << 32 | uint64_t{key.pool} << 16 |
         key.endpoint;
}

RequestKey unpack(uint64_t names, uint32_t code) noexcept {
  return {static_cast<uint16_t>(names >> 48), static_cast<uint16_t>(names >> 32),
          static_cast<uint16_t>(names >> 16), static_cast<uint16_t>(names),
          static_cast<uint16_t>(code)};
}

// There is one writer, so no locked instruction.
void bump(std::atomic<uint64_t>& cell) noexcept {
  cell.store(cell.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

constexpr std::string_view kResultWords[] = {"",         "hit",       "stale", "miss",
                                             "validate", "collapsed", "bypass"};
static_assert(std::size(kResultWords) == kCacheResults);

}  // namespace

std::string_view to_string(CacheResult result) noexcept {
  return kResultWords[static_cast<size_t>(result)];
}

// No two words begin alike.
CacheResult cache_result(std::string_view word) noexcept {
  for (size_t i = 1; i < kCacheResults && !word.empty(); ++i) {
    if (kResultWords[i].front() != word.front()) continue;
    return kResultWords[i] == word ? static_cast<CacheResult>(i) : CacheResult::none;
  }
  return CacheResult::none;
}

struct RequestTable::Slot {
  std::atomic<uint64_t> names{0};
  std::atomic<uint32_t> code{0};  // plus one; 0: the slot is free
  std::atomic<uint64_t> count{0};
  RouteNode* route = nullptr;  // the writer's
};

struct RequestTable::Table {
  explicit Table(size_t n) : slots(n) {}

  // The key's slot, or the free one where it belongs.
  Slot& find(uint64_t names, uint32_t code) noexcept {
    const size_t mask = slots.size() - 1;
    size_t at = mix64(names, code) & mask;
    for (size_t tries = 0; tries < slots.size(); ++tries, at = (at + 1) & mask) {
      Slot& slot = slots[at];
      const uint32_t found = slot.code.load(std::memory_order_relaxed);
      if (found == 0) return slot;
      if (found == code && slot.names.load(std::memory_order_relaxed) == names) return slot;
    }
    SL_CHECK(!"a table that is at most half full has free slots");
    return slots[0];
  }

  std::vector<Slot> slots;
};

struct RequestTable::RouteNode {
  RouteKey key;
  RouteNode* next;
  Histogram histogram;
  std::array<std::atomic<uint64_t>, kCacheResults> cache{};
};

RequestTable::RequestTable() {
  tables_.push_back(std::make_unique<Table>(kFirstSlots));
  table_.store(tables_.back().get(), std::memory_order_release);
}

RequestTable::~RequestTable() {
  RouteNode* node = routes_.load();
  while (node != nullptr) {
    RouteNode* next = node->next;
    delete node;
    node = next;
  }
}

void RequestTable::record(const RequestKey& key, Duration total, CacheResult cache) noexcept {
  Slot& slot = find_or_add(key);
  bump(slot.count);
  slot.route->histogram.record(total);
  if (cache != CacheResult::none) bump(slot.route->cache[static_cast<size_t>(cache)]);
}

RequestTable::Slot& RequestTable::find_or_add(const RequestKey& key) noexcept {
  const uint64_t names = pack(key);
  const uint32_t code = uint32_t{key.code} + 1;
  Slot* slot = &tables_.back()->find(names, code);
  if (slot->code.load(std::memory_order_relaxed) != 0) return *slot;
  if (rows_ >= kMostRows && !(key == kOverflow)) return find_or_add(kOverflow);
  if ((rows_ + 1) * 2 > tables_.back()->slots.size()) {
    grow();
    slot = &tables_.back()->find(names, code);
  }
  ++rows_;
  slot->route = node_of({key.listener, key.route, key.pool});
  slot->names.store(names, std::memory_order_relaxed);
  slot->code.store(code, std::memory_order_release);
  return *slot;
}

void RequestTable::grow() noexcept {
  Table& old = *tables_.back();
  auto larger = std::make_unique<Table>(old.slots.size() * 2);
  for (Slot& from : old.slots) {
    const uint32_t code = from.code.load(std::memory_order_relaxed);
    if (code == 0) continue;
    const uint64_t names = from.names.load(std::memory_order_relaxed);
    Slot& to = larger->find(names, code);
    to.names.store(names, std::memory_order_relaxed);
    to.count.store(from.count.load(std::memory_order_relaxed), std::memory_order_relaxed);
    to.route = from.route;
    to.code.store(code, std::memory_order_relaxed);
  }
  table_.store(larger.get(), std::memory_order_release);
  tables_.push_back(std::move(larger));
}

// Routes are few and this is asked for new rows only, so a walk will do.
RequestTable::RouteNode* RequestTable::node_of(const RouteKey& key) noexcept {
  RouteNode* first = routes_.load(std::memory_order_relaxed);
  for (RouteNode* node = first; node != nullptr; node = node->next) {
    if (node->key == key) return node;
  }
  if (routes_count_ >= kMostRoutes && !(key == kOtherRoute)) return node_of(kOtherRoute);
  ++routes_count_;
  auto* node = new RouteNode{key, first, {}, {}};  // NOLINT: without memory nothing goes on
  routes_.store(node, std::memory_order_release);
  return node;
}

void RequestTable::for_each_row(
    const std::function<void(const RequestKey&, uint64_t count)>& f) const {
  for (const Slot& slot : table_.load(std::memory_order_acquire)->slots) {
    const uint32_t code = slot.code.load(std::memory_order_acquire);
    if (code == 0) continue;
    f(unpack(slot.names.load(std::memory_order_relaxed), code - 1),
      slot.count.load(std::memory_order_relaxed));
  }
}

void RequestTable::for_each_route(
    const std::function<void(const RouteKey&, const Histogram&)>& f) const {
  for (const RouteNode* node = routes_.load(std::memory_order_acquire); node != nullptr;
       node = node->next) {
    f(node->key, node->histogram);
  }
}

void RequestTable::for_each_cache(
    const std::function<void(const RouteKey&, const CacheSums&)>& f) const {
  for (const RouteNode* node = routes_.load(std::memory_order_acquire); node != nullptr;
       node = node->next) {
    CacheSums sums;
    for (size_t i = 0; i < kCacheResults; ++i) {
      sums.by_result[i] = node->cache[i].load(std::memory_order_relaxed);
    }
    if (!sums.is_empty()) f(node->key, sums);
  }
}

}  // namespace sluice::stats
