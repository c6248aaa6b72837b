#include "sluice/orders/page/feed_log.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "sluice/orders/reply_json.h"

namespace sluice::orders {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMostShown = 10;  // of an order, so that a message stays small
constexpr std::string_view kSkipped = "event: skipped\ndata: {}\n\n";

Json member(const Json& json, const char* name) {
  return json.is_object() ? json.value(name, Json()) : Json();
}

}  // namespace

std::string FeedLog::take(const std::vector<PlacedEvent>& read, TimePoint now) {
  std::string news;
  if (!read.empty()) {
    const int64_t before = read.front().seq - 1;
    const bool is_full = read.size() >= kMostRead;
    if (has_begun_ && is_full && before > highest_) news += kSkipped;
    // What a full read leaves out is not asked for again.
    if (!has_begun_ || is_full) settled_ = std::max(settled_, before);
  }
  has_begun_ = true;
  for (const auto& [seq, event] : read) {
    if (seq <= settled_ || !told_.emplace(seq, now).second) continue;
    highest_ = std::max(highest_, seq);
    settle(now);
    kept_.push_back({seq, feed_message(settled_, event)});
    news += kept_.back().text;
    if (kept_.size() > kMostKept) kept_.pop_front();
  }
  settle(now);
  return news;
}

void FeedLog::settle(TimePoint now) {
  while (!told_.empty()) {
    const auto [seq, since] = *told_.begin();
    if (seq > settled_ + 1 && now - since < kSettled) return;
    settled_ = std::max(settled_, seq);
    told_.erase(told_.begin());
  }
}

std::string FeedLog::since(std::optional<int64_t> after) const {
  std::string text;
  if (after && !kept_.empty() && kept_.front().seq > *after + 1) text += kSkipped;
  for (const Message& message : kept_) {
    if (!after || message.seq > *after) text += message.text;
  }
  return text;
}

std::string feed_message(int64_t id, const Event& event) {
  const Json payload = Json::parse(event.payload, nullptr, false);
  Json items = Json::array();
  for (const Json& line : member(payload, "items")) {
    if (items.size() == kMostShown) break;
    items.push_back(
        {{"product_id", member(line, "product_id")}, {"quantity", member(line, "quantity")}});
  }
  const Json data = {{"order_id", event.order_id},
                     {"version", event.version},
                     {"status", member(payload, "status")},
                     {"items", std::move(items)},
                     {"at", time_text(event.created)}};
  return fmt::format("id: {}\nevent: order\ndata: {}\n\n", id,
                     data.dump(-1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace sluice::orders
