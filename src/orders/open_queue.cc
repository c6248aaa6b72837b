#include "sluice/orders/open_queue.h"

#include "sluice/orders/kafka/kafka_publisher.h"
#include "sluice/orders/kafka/kafka_source.h"
#include "sluice/orders/kafka/kafka_url.h"
#include "sluice/orders/queue_embedded.h"
#include "sluice/orders/rabbitmq/queue_rabbitmq.h"

namespace sluice::orders {

std::string queue_url_problem(const std::string& url) {
  if (url == "embedded") return {};
  if (is_amqp_url(url)) return parse_amqp_url(url).problem;
  if (is_kafka_url(url)) return parse_kafka_url(url).problem;
  return "it is none of embedded, amqp://USER:PASSWORD@HOST:PORT/VHOST, kafka://HOST:PORT/TOPIC";
}

std::unique_ptr<EventPublisher> make_publisher(loop::Loop& loop, const std::string& url) {
  if (is_amqp_url(url)) return make_rabbitmq_publisher(loop, parse_amqp_url(url).address);
  if (is_kafka_url(url)) return make_kafka_publisher(loop, parse_kafka_url(url).address);
  return nullptr;
}

std::unique_ptr<EventSource> make_source(loop::Loop& loop, const std::string& url,
                                         EventStore& store) {
  if (is_amqp_url(url)) return make_rabbitmq_source(loop, parse_amqp_url(url).address);
  if (is_kafka_url(url)) return make_kafka_source(loop, parse_kafka_url(url).address);
  return make_embedded_source(loop, store);
}

}  // namespace sluice::orders
