// Durations in buckets of at most 3 % width, from 10 us to 1 h; what is outside falls into the
// first or the last bucket.
//
// Thread: one writer; any thread may take a snapshot while it writes. Buckets are log-linear as in
// HdrHistogram: 32 equal ones for each power of two, in units of 256 ns.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "sluice/base/clock.h"

namespace sluice::stats {

namespace buckets {

inline constexpr unsigned kUnitBits = 8;    // 256 ns
inline constexpr unsigned kLinearBits = 5;  // 32 buckets for each power of two
inline constexpr size_t kPerOctave = size_t{1} << kLinearBits;
inline constexpr Duration kLongest = std::chrono::hours(1);

constexpr size_t index_of(Duration duration) noexcept {
  if (duration < Duration(0)) duration = Duration(0);
  if (duration > kLongest) duration = kLongest;
  const uint64_t units = static_cast<uint64_t>(duration.count()) >> kUnitBits;
  if (units < kPerOctave) return units;
  const unsigned shift = static_cast<unsigned>(std::bit_width(units)) - kLinearBits - 1;
  return (size_t{shift} << kLinearBits) + (units >> shift);
}
inline constexpr size_t kCount = index_of(kLongest) + 1;

// The first duration that is in the bucket.
constexpr Duration start_of(size_t index) noexcept {
  if (index < kPerOctave) return Duration(int64_t(index << kUnitBits));
  const size_t shift = (index >> kLinearBits) - 1;
  const size_t units = (kPerOctave + (index & (kPerOctave - 1))) << shift;
  return Duration(int64_t(units << kUnitBits));
}
constexpr Duration middle_of(size_t index) noexcept {
  return start_of(index) + (start_of(index + 1) - start_of(index)) / 2;
}

}  // namespace buckets

// The upper bounds that Prometheus sees, in seconds.
inline constexpr std::array<double, 13> kExportBounds = {
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};

// What a histogram held at one moment; a plain value of about 8 KiB.
class HistogramSnapshot {
 public:
  void merge(const HistogramSnapshot& other) noexcept;

  uint64_t count() const noexcept { return count_; }
  Duration sum() const noexcept { return Duration(static_cast<int64_t>(sum_)); }
  Duration mean() const noexcept;
  // The duration that a share `q` in [0, 1] does not exceed, within 2 %; 0 when empty.
  Duration quantile(double q) const noexcept;
  // How many are at most as long as kExportBounds[i], within 2 % of the bound.
  std::array<uint64_t, kExportBounds.size()> cumulative() const noexcept;
  // What was recorded since `earlier`, an older snapshot of the same histogram.
  HistogramSnapshot since(const HistogramSnapshot& earlier) const noexcept;

 private:
  friend class Histogram;
  std::array<uint64_t, buckets::kCount> counts_{};
  uint64_t count_ = 0;
  uint64_t sum_ = 0;  // ns
};

class Histogram {
 public:
  Histogram() noexcept = default;
  Histogram(const Histogram&) = delete;
  Histogram& operator=(const Histogram&) = delete;

  void record(Duration duration) noexcept {
    bump(counts_[buckets::index_of(duration)], 1);
    if (duration > Duration(0)) bump(sum_, static_cast<uint64_t>(duration.count()));
  }
  // Adds what this holds to `out`.
  void add_to(HistogramSnapshot& out) const noexcept;
  HistogramSnapshot snapshot() const noexcept {
    HistogramSnapshot out;
    add_to(out);
    return out;
  }

 private:
  static void bump(std::atomic<uint64_t>& cell, uint64_t n) noexcept {
    cell.store(cell.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }

  std::array<std::atomic<uint64_t>, buckets::kCount> counts_{};
  std::atomic<uint64_t> sum_{0};
};

}  // namespace sluice::stats
