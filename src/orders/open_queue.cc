#include "sluice/orders/open_queue.h"

#include "sluice/orders/queue_embedded.h"
#include "sluice/orders/rabbitmq/queue_rabbitmq.h"

namespace sluice::orders {

std::string queue_url_problem(const std::string& url) {
  if (url == "embedded") return {};
  if (is_amqp_url(url)) return parse_amqp_url(url).problem;
  if (url.starts_with("kafka://")) return "kafka:// comes in a later version; use embedded";
  return "it is neither embedded nor amqp://USER:PASSWORD@HOST:PORT/VHOST";
}

std::unique_ptr<EventPublisher> make_publisher(loop::Loop& loop, const std::string& url) {
  if (is_amqp_url(url)) return make_rabbitmq_publisher(loop, parse_amqp_url(url).address);
  return nullptr;
}

std::unique_ptr<EventSource> make_source(loop::Loop& loop, const std::string& url,
                                         EventStore& store) {
  if (is_amqp_url(url)) return make_rabbitmq_source(loop, parse_amqp_url(url).address);
  return make_embedded_source(loop, store);
}

}  // namespace sluice::orders
