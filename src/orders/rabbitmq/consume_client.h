// Takes messages from the queues and settles them, on the source's thread.
//
// Owner: the source. push() from the loop's thread; the callbacks of Heard come on the connection's
// thread, in the order of what they tell.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "amqp_message.h"
#include "amqp_thread.h"
#include "sluice/orders/event.h"

namespace sluice::orders {

// A message is named by its delivery tag, which holds for one connection only.
struct MessageName {
  uint64_t connection = 0;  // 1, 2, ...
  uint64_t delivery_tag = 0;
};

struct Received {
  MessageName name;
  Event event;
  int64_t attempts = 1;
};

struct Settling {
  MessageName name;
  bool is_done = false;  // else back into the queue
};

class ConsumeClient final : public AmqpClient {
 public:
  struct Heard {
    std::function<void(std::vector<Received>)> received;
    // 0: down, and what came before is lost with its connection.
    std::function<void(uint64_t connection)> state;
    std::function<void()> ended;
  };

  ConsumeClient(size_t shards, size_t prefetch, Heard heard)
      : shards_(shards), prefetch_(prefetch), heard_(std::move(heard)) {}

  void push(Settling settling);

  std::string on_open(AmqpConnection& connection) override;
  std::string send(AmqpConnection& connection) override;
  bool has_more() override;
  std::string on_frame(const amqp_frame_t& frame) override;
  void flush() override;
  void on_lost() override;
  void on_end() override { heard_.ended(); }

 private:
  std::string consume(const AmqpConnection& connection, const std::vector<std::string>& queues);
  std::string on_method(const amqp_method_t& method);
  void on_message(const AmqpMessage& message);

  const size_t shards_, prefetch_;
  const Heard heard_;
  std::mutex mutex_;
  std::vector<Settling> settlings_;

  // Of the thread.
  uint64_t connection_ = 0;
  uint64_t delivery_tag_ = 0;  // of the message that is being read
  AmqpMessageReader reader_;
  std::vector<Received> received_;  // not yet told
};

}  // namespace sluice::orders
