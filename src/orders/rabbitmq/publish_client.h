// Publishes events and collects their confirmations, on the publisher's thread.
//
// Owner: the publisher. push() and depth() from the loop's thread; the callbacks of Heard come on
// the connection's thread, in the order of what they tell.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "amqp_message.h"
#include "amqp_thread.h"
#include "sluice/base/error.h"
#include "sluice/orders/event.h"

namespace sluice::orders {

struct PublishJob {
  uint64_t key = 0;  // names it in its result
  Event event;
  TimePoint deadline;  // nobody waits any more after it
};

struct PublishResult {
  uint64_t key = 0;
  Error error;  // none: confirmed
};

class PublishClient final : public AmqpClient {
 public:
  struct Heard {
    std::function<void(std::vector<PublishResult>)> results;
    std::function<void(bool is_up)> state;  // whether the broker takes events
    std::function<void()> ended;
  };

  PublishClient(size_t shards, Heard heard) : shards_(shards), heard_(std::move(heard)) {}

  void push(std::vector<PublishJob> jobs);
  size_t depth() const noexcept { return depth_.load(std::memory_order_relaxed); }

  std::string on_open(AmqpConnection& connection) override;
  std::string send(AmqpConnection& connection) override;
  bool has_more() override;
  std::string on_frame(const amqp_frame_t& frame) override;
  void flush() override;
  void on_lost() override;
  void on_end() override { heard_.ended(); }

 private:
  // Published and not yet confirmed, by delivery tag (1, 2, ... on each channel).
  struct Sent {
    uint64_t key;
    std::string message_id;
    bool is_returned = false;
  };

  std::vector<PublishJob> take();
  std::string publish(const AmqpConnection& connection, const PublishJob& job);
  std::string on_method(const amqp_method_t& method);
  void confirm(uint64_t tag, bool is_multiple, Error error);
  void on_returned(const AmqpMessage& message);
  void set_blocked(bool is_blocked, std::string_view reason);
  void answer(const Sent& sent, Error error);

  const size_t shards_;
  const Heard heard_;
  std::mutex mutex_;
  std::deque<PublishJob> jobs_;
  std::atomic<size_t> depth_{0};

  // Of the thread.
  std::map<uint64_t, Sent> sent_;
  uint64_t last_tag_ = 0;
  AmqpMessageReader returned_;
  std::vector<PublishResult> results_;  // not yet told
  bool is_blocked_ = false, must_declare_ = false;
};

}  // namespace sluice::orders
