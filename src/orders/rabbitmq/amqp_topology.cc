#include "amqp_topology.h"

#include <fmt/format.h>

#include "sluice/base/hash.h"

namespace sluice::orders {
namespace {

constexpr amqp_channel_t kChannel = AmqpConnection::kChannel;
constexpr amqp_channel_t kProbe = 2;  // the broker closes a channel that asks for what is not there

amqp_table_entry_t entry(const char* name, const char* text) noexcept {
  amqp_table_entry_t made{};
  made.key = amqp_cstring_bytes(name);
  made.value.kind = AMQP_FIELD_KIND_UTF8;
  made.value.value.bytes = amqp_cstring_bytes(text);
  return made;
}

amqp_table_entry_t entry(const char* name, bool value) noexcept {
  amqp_table_entry_t made{};
  made.key = amqp_cstring_bytes(name);
  made.value.kind = AMQP_FIELD_KIND_BOOLEAN;
  made.value.value.boolean = value ? 1 : 0;
  return made;
}

amqp_table_entry_t entry(const char* name, int64_t value) noexcept {
  amqp_table_entry_t made{};
  made.key = amqp_cstring_bytes(name);
  made.value.kind = AMQP_FIELD_KIND_I64;
  made.value.value.i64 = value;
  return made;
}

std::string declare_exchange(const AmqpConnection& connection, const char* name, const char* type) {
  amqp_exchange_declare(connection.raw(), kChannel, amqp_cstring_bytes(name),
                        amqp_cstring_bytes(type), 0, 1, 0, 0, amqp_empty_table);
  return connection.answer();
}

// A durable quorum queue, bound.
std::string declare_queue(const AmqpConnection& connection, std::string_view name,
                          std::vector<amqp_table_entry_t> more, const char* exchange,
                          std::string_view key) {
  more.push_back(entry("x-queue-type", "quorum"));
  const amqp_table_t arguments{static_cast<int>(more.size()), more.data()};
  amqp_queue_declare(connection.raw(), kChannel, amqp_text(name), 0, 1, 0, 0, arguments);
  if (std::string problem = connection.answer(); !problem.empty()) return problem;
  amqp_queue_bind(connection.raw(), kChannel, amqp_text(name), amqp_cstring_bytes(exchange),
                  amqp_text(key), amqp_empty_table);
  return connection.answer();
}

}  // namespace

std::string routing_key(std::string_view order_id, size_t shards) {
  return std::to_string(hash64(order_id) % shards);
}

std::string queue_name(size_t shard) { return fmt::format("{}.{}", kExchange, shard); }

// Dead letters move only once their new queue has them, which asks for reject-publish (RabbitMQ
// 3.10, quorum queues, "at-least-once dead lettering").
std::string declare_topology(const AmqpConnection& connection, size_t shards) {
  std::string problem = declare_exchange(connection, kDeadLetters, "fanout");
  if (problem.empty()) problem = declare_queue(connection, kDeadLetters, {}, kDeadLetters, "");
  if (problem.empty()) problem = declare_exchange(connection, kExchange, "direct");
  for (size_t shard = 0; shard < shards && problem.empty(); ++shard) {
    problem = declare_queue(
        connection, queue_name(shard),
        {entry("x-single-active-consumer", true), entry("x-delivery-limit", kDeliveryLimit),
         entry("x-dead-letter-exchange", kDeadLetters),
         entry("x-dead-letter-strategy", "at-least-once"), entry("x-overflow", "reject-publish")},
        kExchange, std::to_string(shard));
  }
  return problem;
}

std::string find_more_queues(const AmqpConnection& connection, size_t shards,
                             std::vector<std::string>& names) {
  amqp_channel_open(connection.raw(), kProbe);
  if (std::string problem = connection.answer(); !problem.empty()) return problem;
  for (size_t shard = shards; shard < kMostShards; ++shard) {
    const std::string name = queue_name(shard);
    amqp_queue_declare(connection.raw(), kProbe, amqp_text(name), 1, 1, 0, 0, amqp_empty_table);
    const amqp_rpc_reply_t reply = amqp_get_rpc_reply(connection.raw());
    const bool is_closed = reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION &&
                           reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD;
    if (is_closed) {  // 404: there is none. To be answered (AMQP 0-9-1, 1.5.2.5)
      amqp_channel_close_ok_t ok{};
      return AmqpConnection::status(
          amqp_send_method(connection.raw(), kProbe, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok));
    }
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) return connection.answer();
    names.push_back(name);
  }
  amqp_channel_close(connection.raw(), kProbe, AMQP_REPLY_SUCCESS);
  return connection.answer();
}

}  // namespace sluice::orders
