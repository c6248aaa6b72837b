#include "sluice/orders/page/event_feed.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "sluice/base/strings.h"
#include "sluice/orders/request_check.h"

namespace sluice::orders {
namespace {

constexpr std::string_view kComment = ":\n\n";

// The field of a browser that comes back by itself, or the query of a page that begins anew.
std::optional<int64_t> place_of(const proxy::HandlerRequest& request) {
  std::string text(request.field("last-event-id"));
  if (text.empty()) {
    const Checked<std::string> after = query_value(request.query, "after");
    if (after) text = after.value;
  }
  const auto number = parse_decimal(text);
  if (!number || *number > INT64_MAX) return std::nullopt;
  return static_cast<int64_t>(*number);
}

std::string greeting(const std::string& name) {
  const nlohmann::json data = {{"backend", name}};
  return fmt::format("retry: 1000\nevent: hello\ndata: {}\n\n",
                     data.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

}  // namespace

EventFeed::EventFeed(loop::Loop& loop, EventStore& store, FeedOptions options)
    : loop_(loop),
      store_(store),
      options_(std::move(options)),
      timer_(loop::Timer::make<&EventFeed::look>(loop, this)),
      pause_(options_.look) {}

bool EventFeed::add(const std::shared_ptr<proxy::HandlerCall>& call) {
  drop_gone();
  if (is_closed_ || viewers_.size() >= options_.most_viewers) return false;
  call->begin({200,
               {{"Content-Type", "text/event-stream"},
                {"Cache-Control", "no-store"},
                {"X-Backend", options_.name}},
               {}});
  if (call->request().method == http::Method::head) {
    call->end();
    return true;
  }
  ++counts_.viewers;
  call->write(greeting(options_.name));
  viewers_.push_back({call, place_of(call->request())});
  if (!log_) log_.emplace();
  if (!timer_.is_set() && !is_reading_) timer_.set_after(Duration(0));
  return true;
}

void EventFeed::look() noexcept {
  timer_.cancel();
  drop_gone();
  if (viewers_.empty()) {
    log_.reset();
    return;
  }
  is_reading_ = true;
  store_.recent_events(
      log_->position(), FeedLog::kMostRead,
      [this, alive = std::weak_ptr(alive_)](const Result<std::vector<PlacedEvent>>& read) {
        if (!alive.expired()) on_read(read);
      });
}

void EventFeed::on_read(const Result<std::vector<PlacedEvent>>& read) {
  is_reading_ = false;
  if (is_closed_) return;
  pause_ = read ? options_.look : std::min(pause_ * 2, options_.longest_look);
  tell(read ? log_->take(*read, loop_.now()) : std::string());
  if (read) {
    for (Viewer& viewer : viewers_) {
      if (std::exchange(viewer.is_new, false)) viewer.call->write(log_->since(viewer.after));
    }
  }
  timer_.set_after(pause_);
}

// Writing to a viewer may be how it is found gone: they are dropped before and after, never here.
void EventFeed::tell(std::string_view news) {
  const TimePoint now = loop_.now();
  if (news.empty()) {
    if (now - last_bytes_ < options_.keep_alive) return;
    news = kComment;
  }
  last_bytes_ = now;
  for (Viewer& viewer : viewers_) {
    if (viewer.is_new && news != kComment) continue;
    if (viewer.call->pending() > options_.most_pending) {
      ++counts_.cut;
      std::exchange(viewer.call, nullptr)->end();
    } else {
      viewer.call->write(news);
    }
  }
  drop_gone();
}

void EventFeed::drop_gone() {
  std::erase_if(viewers_, [](const Viewer& viewer) {
    return viewer.call == nullptr || viewer.call->is_gone();
  });
}

void EventFeed::close() {
  is_closed_ = true;
  timer_.cancel();
  for (const Viewer& viewer : std::exchange(viewers_, {})) {
    if (!viewer.call->is_gone()) viewer.call->end();
  }
}

void EventFeed::write_metrics(stats::PrometheusWriter& out) const {
  using stats::MetricType;
  out.family("sluice_orders_event_viewers", MetricType::gauge, "Clients that watch /events now");
  out.sample({}, static_cast<uint64_t>(viewers_.size()));
  out.family("sluice_orders_event_viewers_total", MetricType::counter,
             "Clients of /events, by how it went on: all that came, and those ended since they did "
             "not take their bytes");
  out.sample({{"what", "came"}}, counts_.viewers);
  out.sample({{"what", "cut"}}, counts_.cut);
}

}  // namespace sluice::orders
