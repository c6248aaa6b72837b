// One connection to RabbitMQ with one channel: what all users of librabbitmq need of it.
//
// Owner and thread: one AmqpThread. Calls may block, each for a bounded time: a login or an answer
// for what open() was given, a write for two heartbeats. Problems are texts for the log, "" is
// none; after one the connection is of no more use.
#pragma once

#include <amqp.h>
#include <amqp_framing.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "sluice/base/clock.h"
#include "sluice/orders/rabbitmq/amqp_url.h"

namespace sluice::orders {

// Valid while `text` is.
inline amqp_bytes_t amqp_text(std::string_view text) noexcept {
  return {text.size(), const_cast<char*>(text.data())};
}
inline std::string_view text_of(amqp_bytes_t bytes) noexcept {
  return {static_cast<const char*>(bytes.bytes), bytes.len};
}

class AmqpConnection {
 public:
  static constexpr amqp_channel_t kChannel = 1;

  AmqpConnection() = default;
  ~AmqpConnection();
  AmqpConnection(const AmqpConnection&) = delete;
  AmqpConnection& operator=(const AmqpConnection&) = delete;

  // Logs in on a connected socket, which is the connection's from now on, and opens the channel.
  std::string open(int fd, const AmqpAddress& address, Duration patience);
  // How the last call that waits for an answer went.
  std::string answer() const;
  // What a library call that returns a status says.
  static std::string status(int code);

  enum class Got : uint8_t { frame, nothing, problem };
  // A frame that is there already; it holds until the next release(). Sends heartbeats when due.
  Got read(amqp_frame_t& frame, std::string& problem);
  void release() noexcept;
  // Says good-bye and waits for the answer, so that the broker has all that was sent before.
  void close() noexcept;

  amqp_connection_state_t raw() const noexcept { return state_; }

 private:
  std::string log_in(const AmqpAddress& address);

  amqp_connection_state_t state_ = nullptr;
};

}  // namespace sluice::orders
