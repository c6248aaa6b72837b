// Rates and latencies of the last ten seconds, from a look at the sums once a second.
//
// Owner: the server; thread: control.
#pragma once

#include <array>

#include "sluice/admin/port.h"
#include "sluice/stats/collect.h"

namespace sluice::admin {

class Recent {
 public:
  static constexpr size_t kLooks = 11;  // ten intervals

  void look(const stats::Collect& collect, TimePoint now);
  RecentFacts facts() const;

 private:
  struct Look {
    TimePoint at{};
    stats::HistogramSnapshot sums;
  };
  std::array<Look, kLooks> looks_{};
  size_t newest_ = 0;
};

TotalFacts collect_totals(const stats::Collect& collect);

}  // namespace sluice::admin
