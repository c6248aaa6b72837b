// Requests of one worker by listener, route, pool, endpoint and status; for each listener, route
// and pool a latency histogram and what the cache did.
//
// Owner: stats/collect.h. Thread: one writer, its worker; any thread may read while it writes. Only
// a row never seen before allocates. Rows are never removed; above kMostRows new ones count as
// "other", as do latencies above kMostRoutes.
//
// Slots: open addressing, at most half full. A slot's key is written first and published by its
// `code` (release); its count is relaxed. A table that got too small is copied into one of twice
// the size, which is then published; the old one is kept until the end, because a reader may be in
// it. All old ones together are smaller than the present one.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "sluice/base/clock.h"
#include "sluice/stats/histogram.h"

namespace sluice::stats {

// Numbers of a NameTable, and the status code that was sent (0 when none was).
struct RequestKey {
  uint16_t listener = 0;
  uint16_t route = 0;
  uint16_t pool = 0;
  uint16_t endpoint = 0;
  uint16_t code = 0;
  auto operator<=>(const RequestKey&) const = default;
};

struct RouteKey {
  uint16_t listener = 0;
  uint16_t route = 0;
  uint16_t pool = 0;
  auto operator<=>(const RouteKey&) const = default;
};

// What the cache did for a request on a route that has one.
enum class CacheResult : uint8_t { none, hit, stale, miss, validate, collapsed, bypass, kCount };
std::string_view to_string(CacheResult result) noexcept;
// Of the word that stands in the access log; none for any other.
CacheResult cache_result(std::string_view word) noexcept;

inline constexpr size_t kCacheResults = static_cast<size_t>(CacheResult::kCount);

// How many requests had each result.
struct CacheSums {
  std::array<uint64_t, kCacheResults> by_result{};
  uint64_t of(CacheResult result) const noexcept { return by_result[static_cast<size_t>(result)]; }
  // Answered from the cache, stale ones included.
  uint64_t hits() const noexcept { return of(CacheResult::hit) + of(CacheResult::stale); }
  // Looked up, and an endpoint had to be asked; who waited for the fill of another is among them.
  uint64_t misses() const noexcept {
    return of(CacheResult::miss) + of(CacheResult::validate) + of(CacheResult::collapsed);
  }
  bool is_empty() const noexcept { return hits() + misses() + of(CacheResult::bypass) == 0; }
};

class RequestTable {
 public:
  static constexpr size_t kMostRows = 1 << 15;
  static constexpr size_t kMostRoutes = 512;  // 8 KiB each

  RequestTable();
  ~RequestTable();
  RequestTable(const RequestTable&) = delete;
  RequestTable& operator=(const RequestTable&) = delete;

  // Writer.
  void record(const RequestKey& key, Duration total,
              CacheResult cache = CacheResult::none) noexcept;

  // Any thread. The order of rows is not defined.
  void for_each_row(const std::function<void(const RequestKey&, uint64_t count)>& f) const;
  void for_each_route(const std::function<void(const RouteKey&, const Histogram&)>& f) const;
  // Routes where the cache did anything.
  void for_each_cache(const std::function<void(const RouteKey&, const CacheSums&)>& f) const;

 private:
  struct Slot;
  struct Table;
  struct RouteNode;

  Slot& find_or_add(const RequestKey& key) noexcept;
  void grow() noexcept;
  RouteNode* node_of(const RouteKey& key) noexcept;

  std::atomic<Table*> table_;
  std::vector<std::unique_ptr<Table>> tables_;  // the writer's; the last is the present one
  size_t rows_ = 0;
  size_t routes_count_ = 0;
  std::atomic<RouteNode*> routes_{nullptr};  // newest first; a node never changes its successor
};

}  // namespace sluice::stats
