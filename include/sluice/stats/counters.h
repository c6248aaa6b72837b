// The numbers of one worker: one cell for each row of counters.def, and the counters by reason.
//
// Owner: stats/collect.h's registry, which never frees a block. Thread: one writer; any thread may
// read while it writes (relaxed: each number is true by itself, two need not fit together).
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "sluice/base/close_reason.h"
#include "sluice/base/error.h"
#include "sluice/stats/histogram.h"

namespace sluice::stats {

// Counters and gauges.
enum class Counter : uint16_t {
#define SL_COUNTER(id, ...) id,
#define SL_GAUGE(id, ...) id,
#define SL_HISTOGRAM(id, ...)
#include "sluice/stats/counters.def"
#undef SL_COUNTER
#undef SL_GAUGE
#undef SL_HISTOGRAM
  kCount
};

enum class Timing : uint16_t {
#define SL_COUNTER(id, ...)
#define SL_GAUGE(id, ...)
#define SL_HISTOGRAM(id, ...) id,
#include "sluice/stats/counters.def"
#undef SL_COUNTER
#undef SL_GAUGE
#undef SL_HISTOGRAM
  kCount
};

enum class MetricType : uint8_t { counter, gauge, histogram };

struct MetricRow {
  std::string_view family;  // as exported: "sluice_retries_total"
  MetricType type;
  std::string_view labels;  // fixed exposition text, mostly empty
  std::string_view help;
};

const MetricRow& metric_row(Counter id) noexcept;
const MetricRow& metric_row(Timing id) noexcept;

enum class Side : uint8_t { downstream, upstream, kCount };
std::string_view to_string(Side side) noexcept;

inline constexpr size_t kCounters = static_cast<size_t>(Counter::kCount);
inline constexpr size_t kTimings = static_cast<size_t>(Timing::kCount);
inline constexpr size_t kErrors = static_cast<size_t>(Errc::kCount);
inline constexpr size_t kSides = static_cast<size_t>(Side::kCount);
inline constexpr size_t kCloseReasons = static_cast<size_t>(CloseReason::kCount);

class alignas(64) Counters {
 public:
  Counters() noexcept = default;
  Counters(const Counters&) = delete;
  Counters& operator=(const Counters&) = delete;

  // Writer.
  void add(Counter id, uint64_t n = 1) noexcept { bump(cell(id), n); }
  void subtract(Counter gauge, uint64_t n = 1) noexcept { bump(cell(gauge), 0 - n); }
  void set(Counter gauge, uint64_t value) noexcept {
    cell(gauge).store(value, std::memory_order_relaxed);
  }
  void add_error(Errc code) noexcept { bump(errors_[static_cast<size_t>(code)], 1); }
  void add_close(Side side, CloseReason reason) noexcept {
    bump(closes_[static_cast<size_t>(side)][static_cast<size_t>(reason)], 1);
  }
  void record(Timing id, Duration duration) noexcept {
    timings_[static_cast<size_t>(id)].record(duration);
  }

  // Any thread.
  uint64_t get(Counter id) const noexcept {
    return cells_[static_cast<size_t>(id)].load(std::memory_order_relaxed);
  }
  uint64_t errors(Errc code) const noexcept {
    return errors_[static_cast<size_t>(code)].load(std::memory_order_relaxed);
  }
  uint64_t closes(Side side, CloseReason reason) const noexcept {
    return closes_[static_cast<size_t>(side)][static_cast<size_t>(reason)].load(
        std::memory_order_relaxed);
  }
  const Histogram& timing(Timing id) const noexcept { return timings_[static_cast<size_t>(id)]; }

 private:
  using Cell = std::atomic<uint64_t>;
  Cell& cell(Counter id) noexcept { return cells_[static_cast<size_t>(id)]; }
  // There is one writer, so no locked instruction.
  static void bump(Cell& cell, uint64_t n) noexcept {
    cell.store(cell.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }

  Cell cells_[kCounters] = {};
  Cell errors_[kErrors] = {};
  Cell closes_[kSides][kCloseReasons] = {};
  std::array<Histogram, kTimings> timings_;
};

// Counts and logs (at most once a second for each place) something that should not happen.
bool on_surprise(Counters& counters, const char* what, const char* file, int line) noexcept;

}  // namespace sluice::stats

// True, and counted, when the condition holds: for what should not happen but can be survived.
//   if (SL_COUNT_IF(counters, lease.is_empty())) return;
#define SL_COUNT_IF(counters, condition)                \
  (__builtin_expect(static_cast<bool>(condition), 0) && \
   ::sluice::stats::on_surprise(counters, #condition, __FILE__, __LINE__))
