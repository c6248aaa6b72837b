// /events: each change of an order's state, told to all who watch, as server-sent events (HTML
// Living Standard section 9.2).
//
// Owner: the server; thread: its loop. Workers in other processes make most changes, so the feed
// reads the database: once for all viewers, and only while there are any. A viewer that does not
// take its bytes is ended, and so is each when the process drains: a browser comes back by itself,
// here or elsewhere, and gets what it has missed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/base/clock.h"
#include "sluice/loop/loop.h"
#include "sluice/loop/timer.h"
#include "sluice/orders/event_store.h"
#include "sluice/orders/page/feed_log.h"
#include "sluice/proxy/handler.h"
#include "sluice/stats/prometheus.h"

namespace sluice::orders {

struct FeedOptions {
  std::string name;  // X-Backend, and the event "hello"
  size_t most_viewers = 200;
  size_t most_pending = size_t{64} * 1024;  // bytes that a viewer may leave untaken
  Duration look = std::chrono::milliseconds(100);
  Duration longest_look = std::chrono::seconds(2);  // while the database fails
  Duration keep_alive = std::chrono::seconds(5);    // between two bytes; finds out who has left
};

class EventFeed {
 public:
  struct Counts {
    uint64_t viewers = 0, cut = 0;  // that ever came; that did not take their bytes
  };

  // The store must outlive the feed.
  EventFeed(loop::Loop& loop, EventStore& store, FeedOptions options);
  EventFeed(const EventFeed&) = delete;
  EventFeed& operator=(const EventFeed&) = delete;

  // Answers a GET or HEAD; false: it takes no more viewers, and nothing was answered.
  bool add(const std::shared_ptr<proxy::HandlerCall>& call);
  // Ends all, and takes no more.
  void close();
  size_t viewers() const noexcept { return viewers_.size(); }
  void write_metrics(stats::PrometheusWriter& out) const;

 private:
  struct Viewer {
    std::shared_ptr<proxy::HandlerCall> call;
    std::optional<int64_t> after;  // what it says that it has
    bool is_new = true;
  };

  void look() noexcept;
  void on_read(const Result<std::vector<PlacedEvent>>& read);
  void tell(std::string_view news);
  void drop_gone();

  loop::Loop& loop_;
  EventStore& store_;
  FeedOptions options_;
  loop::Timer timer_;
  Duration pause_;
  TimePoint last_bytes_{};
  bool is_reading_ = false, is_closed_ = false;
  std::optional<FeedLog> log_;  // none while nobody watches
  std::vector<Viewer> viewers_;
  Counts counts_;
  std::shared_ptr<Ok> alive_ = std::make_shared<Ok>();
};

}  // namespace sluice::orders
