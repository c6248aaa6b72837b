#include "amqp_connection.h"

#include <amqp_tcp_socket.h>
#include <fmt/format.h>
#include <sys/time.h>
#include <unistd.h>

#include "sluice/base/check.h"

namespace sluice::orders {
namespace {

timeval as_timeval(Duration duration) noexcept {
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
  return {us / 1'000'000, us % 1'000'000};
}

amqp_table_entry_t yes(const char* name) noexcept {
  amqp_table_entry_t entry{};
  entry.key = amqp_cstring_bytes(name);
  entry.value.kind = AMQP_FIELD_KIND_BOOLEAN;
  entry.value.value.boolean = 1;
  return entry;
}

// What the broker says as it closes the channel or the connection (AMQP 0-9-1, 1.4.2.10).
std::string server_says(const amqp_method_t& method) {
  if (method.id == AMQP_CONNECTION_CLOSE_METHOD) {
    const auto* close = static_cast<const amqp_connection_close_t*>(method.decoded);
    return fmt::format("{} {}", close->reply_code, text_of(close->reply_text));
  }
  if (method.id == AMQP_CHANNEL_CLOSE_METHOD) {
    const auto* close = static_cast<const amqp_channel_close_t*>(method.decoded);
    return fmt::format("{} {}", close->reply_code, text_of(close->reply_text));
  }
  return fmt::format("an unexpected answer ({:#x})", method.id);
}

std::string text_of(const amqp_rpc_reply_t& reply) {
  switch (reply.reply_type) {
    case AMQP_RESPONSE_NORMAL:
      return {};
    case AMQP_RESPONSE_NONE:
      return "the broker closed the connection";
    case AMQP_RESPONSE_LIBRARY_EXCEPTION:
      return amqp_error_string2(reply.library_error);
    case AMQP_RESPONSE_SERVER_EXCEPTION:
      return server_says(reply.reply);
  }
  return "an unexpected answer";
}

}  // namespace

AmqpConnection::~AmqpConnection() {
  if (state_ != nullptr) amqp_destroy_connection(state_);
}

std::string AmqpConnection::open(int fd, const AmqpAddress& address, Duration patience) {
  SL_CHECK(state_ == nullptr);
  state_ = amqp_new_connection();
  amqp_socket_t* socket = state_ == nullptr ? nullptr : amqp_tcp_socket_new(state_);
  if (socket == nullptr) {
    ::close(fd);
    return "no memory";
  }
  amqp_tcp_socket_set_sockfd(socket, fd);
  const timeval limit = as_timeval(patience);
  amqp_set_handshake_timeout(state_, &limit);
  amqp_set_rpc_timeout(state_, &limit);
  std::string problem = log_in(address);
  if (!problem.empty()) return problem;
  amqp_channel_open(state_, kChannel);
  return answer();
}

// Without these capabilities the broker would neither say that it blocks us, nor that it gave up
// one of our consumers (RabbitMQ's extensions of AMQP 0-9-1).
std::string AmqpConnection::log_in(const AmqpAddress& address) {
  amqp_table_entry_t capabilities[] = {yes("connection.blocked"), yes("consumer_cancel_notify"),
                                       yes("publisher_confirms"), yes("basic.nack")};
  amqp_table_entry_t entries[2] = {};
  entries[0].key = amqp_cstring_bytes("capabilities");
  entries[0].value.kind = AMQP_FIELD_KIND_TABLE;
  entries[0].value.value.table = {std::size(capabilities), capabilities};
  entries[1].key = amqp_cstring_bytes("connection_name");
  entries[1].value.kind = AMQP_FIELD_KIND_UTF8;
  entries[1].value.value.bytes = amqp_cstring_bytes("sluice-orders");
  const amqp_table_t properties{std::size(entries), entries};
  return text_of(amqp_login_with_properties(
      state_, address.vhost.c_str(), 0, AMQP_DEFAULT_FRAME_SIZE,
      static_cast<int>(address.heartbeat.count()), &properties, AMQP_SASL_METHOD_PLAIN,
      address.user.c_str(), address.password.c_str()));
}

std::string AmqpConnection::answer() const { return text_of(amqp_get_rpc_reply(state_)); }

std::string AmqpConnection::status(int code) {
  return code == AMQP_STATUS_OK ? std::string() : amqp_error_string2(code);
}

AmqpConnection::Got AmqpConnection::read(amqp_frame_t& frame, std::string& problem) {
  const timeval at_once{};
  const int code = amqp_simple_wait_frame_noblock(state_, &frame, &at_once);
  if (code == AMQP_STATUS_TIMEOUT) return Got::nothing;
  if (code != AMQP_STATUS_OK) {
    problem = status(code);
    return Got::problem;
  }
  const bool is_close = frame.frame_type == AMQP_FRAME_METHOD &&
                        (frame.payload.method.id == AMQP_CONNECTION_CLOSE_METHOD ||
                         frame.payload.method.id == AMQP_CHANNEL_CLOSE_METHOD);
  if (!is_close) return Got::frame;
  problem = server_says(frame.payload.method);
  return Got::problem;
}

void AmqpConnection::release() noexcept { amqp_maybe_release_buffers(state_); }

void AmqpConnection::close() noexcept { amqp_connection_close(state_, AMQP_REPLY_SUCCESS); }

}  // namespace sluice::orders
