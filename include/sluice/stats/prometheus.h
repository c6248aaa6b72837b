// Writes metrics in Prometheus' text format 0.0.4.
//
// Thread: one. Use: family(), then its samples, then the next family; each family once.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "sluice/stats/counters.h"
#include "sluice/stats/histogram.h"

namespace sluice::stats {

struct Label {
  std::string_view name;
  std::string_view value;  // any bytes; escaped, and what is not UTF-8 replaced
};
using Labels = std::span<const Label>;

class PrometheusWriter {
 public:
  static constexpr std::string_view kContentType = "text/plain; version=0.0.4; charset=utf-8";

  void family(std::string_view name, MetricType type, std::string_view help);
  void sample(Labels labels, uint64_t value);
  void sample(Labels labels, int64_t value);
  void sample(Labels labels, double value);
  void sample(std::initializer_list<Label> labels, auto value) {
    sample(Labels(labels.begin(), labels.size()), value);
  }
  // Labels as ready exposition text without braces: a="b",c="d".
  void sample_raw(std::string_view labels, uint64_t value);
  void histogram(Labels labels, const HistogramSnapshot& snapshot);
  void histogram(std::initializer_list<Label> labels, const HistogramSnapshot& snapshot) {
    histogram(Labels(labels.begin(), labels.size()), snapshot);
  }
  void histogram_raw(std::string_view labels, const HistogramSnapshot& snapshot);

  const std::string& text() const noexcept { return out_; }
  std::string take() noexcept { return std::move(out_); }

 private:
  void line(std::string_view suffix, std::string_view labels, std::string_view value);

  std::string out_;
  std::string family_;
  std::set<std::string, std::less<>> seen_;
};

}  // namespace sluice::stats
