#include "sluice/stats/histogram.h"

#include <algorithm>
#include <cmath>

namespace sluice::stats {

void Histogram::add_to(HistogramSnapshot& out) const noexcept {
  for (size_t i = 0; i < counts_.size(); ++i) {
    const uint64_t n = counts_[i].load(std::memory_order_relaxed);
    out.counts_[i] += n;
    out.count_ += n;
  }
  out.sum_ += sum_.load(std::memory_order_relaxed);
}

void HistogramSnapshot::merge(const HistogramSnapshot& other) noexcept {
  for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  sum_ += other.sum_;
}

Duration HistogramSnapshot::mean() const noexcept {
  return count_ == 0 ? Duration(0) : Duration(static_cast<int64_t>(sum_ / count_));
}

Duration HistogramSnapshot::quantile(double q) const noexcept {
  if (count_ == 0) return Duration(0);
  const double share = std::clamp(q, 0.0, 1.0) * static_cast<double>(count_);
  const uint64_t rank = std::max<uint64_t>(1, static_cast<uint64_t>(std::ceil(share)));
  uint64_t seen = 0;
  for (size_t i = 0; i < counts_.size(); ++i) {
    seen += counts_[i];
    if (seen >= rank) return buckets::middle_of(i);
  }
  return buckets::kLongest;
}

std::array<uint64_t, kExportBounds.size()> HistogramSnapshot::cumulative() const noexcept {
  std::array<uint64_t, kExportBounds.size()> out{};
  uint64_t seen = 0;
  size_t bucket = 0;
  for (size_t bound = 0; bound < kExportBounds.size(); ++bound) {
    // A bucket that a bound divides counts on the side where its middle is.
    while (bucket < counts_.size() &&
           to_seconds(buckets::middle_of(bucket)) <= kExportBounds[bound]) {
      seen += counts_[bucket++];
    }
    out[bound] = seen;
  }
  return out;
}

HistogramSnapshot HistogramSnapshot::since(const HistogramSnapshot& earlier) const noexcept {
  HistogramSnapshot out;
  for (size_t i = 0; i < counts_.size(); ++i) out.counts_[i] = counts_[i] - earlier.counts_[i];
  out.count_ = count_ - earlier.count_;
  out.sum_ = sum_ - earlier.sum_;
  return out;
}

}  // namespace sluice::stats
