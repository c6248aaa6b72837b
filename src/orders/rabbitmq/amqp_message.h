// Puts a message together from the frames that carry it (AMQP 0-9-1, 4.2.6): after its method a
// header, then the body in pieces.
//
// Owner and thread: one client of AmqpThread.
#pragma once

#include <amqp.h>
#include <amqp_framing.h>

#include <cstdint>
#include <string>

namespace sluice::orders {

struct AmqpMessage {
  std::string body;
  std::string message_id, traceparent;
  int64_t attempts = 1;  // deliveries of it, this one included, as far as the broker counted
};

class AmqpMessageReader {
 public:
  // More than any event has. What is larger is cut off, and so is no event any more.
  static constexpr size_t kMostBody = 256 * 1024;

  enum class Step : uint8_t { more, complete, problem };

  // The method came.
  void begin() noexcept;
  bool is_reading() const noexcept { return state_ != State::idle; }
  // The next frame, no method.
  Step add(const amqp_frame_t& frame);
  AmqpMessage take();

 private:
  enum class State : uint8_t { idle, header, body };
  void read_header(const amqp_basic_properties_t& properties);

  State state_ = State::idle;
  uint64_t left_ = 0;  // of the body
  AmqpMessage message_;
};

}  // namespace sluice::orders
