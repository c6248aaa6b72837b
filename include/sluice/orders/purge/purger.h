// Tells the sluices of other hosts that the stock of a product has changed so much that what they
// have cached must go: it is sold out, or restocked.
//
// Owner: the server; thread: its loop. Nobody waits for it. What could not be told is tried again,
// less and less often, and given up a minute after the last reason for it: cached stock is not
// shown for so long anyway. Each host has a queue of its own, of product ids, which is bounded: all
// answers with a stock have the tag "products", so that this one alone will do.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sluice/base/clock.h"
#include "sluice/loop/loop.h"
#include "sluice/orders/purge/purge_call.h"
#include "sluice/orders/purge/purge_target.h"
#include "sluice/stats/prometheus.h"

namespace sluice::orders {

// The tags of an answer that shows the stock of these products, in the order of Cache-Tag.
std::vector<std::string> purge_tags(const std::vector<std::string>& product_ids);

struct PurgerOptions {
  size_t most_waiting = 100;                              // product ids for a host
  Duration first_pause = std::chrono::milliseconds(100);  // after a failure; doubled
  Duration longest_pause = std::chrono::seconds(5);
  Duration life = std::chrono::seconds(60);  // of what cannot be told
};

class Purger {
 public:
  struct Counts {
    uint64_t done = 0, failed = 0, given_up = 0;  // requests
  };

  Purger(loop::Loop& loop, const std::vector<PurgeTarget>& targets, PurgerOptions options = {});
  ~Purger();
  Purger(const Purger&) = delete;
  Purger& operator=(const Purger&) = delete;

  void purge(const std::vector<std::string>& product_ids);
  // What waits is tried once more, at most for `patience`; `done` comes once.
  void stop(Duration patience, std::function<void()> done);
  const Counts& counts() const noexcept { return counts_; }
  void write_metrics(stats::PrometheusWriter& out) const;

 private:
  class Host;
  void on_idle();
  void on_patience_over() noexcept;

  loop::Loop& loop_;
  PurgerOptions options_;
  Counts counts_;
  std::vector<std::unique_ptr<Host>> hosts_;
  loop::Timer timer_;
  std::function<void()> on_stopped_;
};

}  // namespace sluice::orders
