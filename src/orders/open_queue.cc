#include "sluice/orders/open_queue.h"

#include <fmt/format.h>

#include "sluice/orders/queue_embedded.h"

namespace sluice::orders {

std::string queue_url_problem(const std::string& url) {
  if (url == "embedded") return {};
  const size_t end = url.find("://");
  const std::string scheme = url.substr(0, end);
  if (end != std::string::npos && (scheme == "amqp" || scheme == "amqps" || scheme == "kafka")) {
    return fmt::format("{}:// comes in a later version; use embedded", scheme);
  }
  return url + " is not embedded";
}

std::unique_ptr<EventPublisher> make_publisher(loop::Loop&, const std::string&) { return nullptr; }

std::unique_ptr<EventSource> make_source(loop::Loop& loop, const std::string&, EventStore& store) {
  return make_embedded_source(loop, store);
}

}  // namespace sluice::orders
