#include "sluice/orders/open_queue.h"

#include <fmt/format.h>

#include "sluice/orders/kafka/kafka_publisher.h"
#include "sluice/orders/kafka/kafka_source.h"
#include "sluice/orders/kafka/kafka_url.h"
#include "sluice/orders/queue_embedded.h"

namespace sluice::orders {

std::string queue_url_problem(const std::string& url) {
  if (url == "embedded") return {};
  if (is_kafka_url(url)) return parse_kafka_url(url).problem;
  const size_t end = url.find("://");
  const std::string scheme = url.substr(0, end);
  if (end != std::string::npos && (scheme == "amqp" || scheme == "amqps")) {
    return fmt::format("{}:// comes in a later version; use embedded", scheme);
  }
  return url + " is not embedded";
}

std::unique_ptr<EventPublisher> make_publisher(loop::Loop& loop, const std::string& url) {
  if (is_kafka_url(url)) return make_kafka_publisher(loop, parse_kafka_url(url).address);
  return nullptr;
}

std::unique_ptr<EventSource> make_source(loop::Loop& loop, const std::string& url,
                                         EventStore& store) {
  if (is_kafka_url(url)) return make_kafka_source(loop, parse_kafka_url(url).address);
  return make_embedded_source(loop, store);
}

}  // namespace sluice::orders
