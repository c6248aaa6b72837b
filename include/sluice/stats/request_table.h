// Requests of one worker by listener, route, pool, endpoint and status, with a latency histogram
// for each listener, route and pool.
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

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
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

class RequestTable {
 public:
  static constexpr size_t kMostRows = 1 << 15;
  static constexpr size_t kMostRoutes = 512;  // 8 KiB each

  RequestTable();
  ~RequestTable();
  RequestTable(const RequestTable&) = delete;
  RequestTable& operator=(const RequestTable&) = delete;

  // Writer.
  void record(const RequestKey& key, Duration total) noexcept;

  // Any thread. The order of rows is not defined.
  void for_each_row(const std::function<void(const RequestKey&, uint64_t count)>& f) const;
  void for_each_route(const std::function<void(const RouteKey&, const Histogram&)>& f) const;

 private:
  struct Slot;
  struct Table;
  struct RouteNode;

  Slot& find_or_add(const RequestKey& key) noexcept;
  void grow() noexcept;
  Histogram* histogram_of(const RouteKey& key) noexcept;

  std::atomic<Table*> table_;
  std::vector<std::unique_ptr<Table>> tables_;  // the writer's; the last is the present one
  size_t rows_ = 0;
  size_t routes_count_ = 0;
  std::atomic<RouteNode*> routes_{nullptr};  // newest first; a node never changes its successor
};

}  // namespace sluice::stats
