// A thread that keeps one connection to RabbitMQ, for a client that says what is done with it.
//
// Owner: publisher or source, which outlives it; start(), wake(), reconnect(), close() and end() on
// the loop's thread. All calls of the client come from the thread. It ends within the time of one
// look-up of a name, for end() cuts everything else short.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "amqp_connection.h"
#include "event_fd.h"
#include "sluice/orders/rabbitmq/queue_rabbitmq.h"

namespace sluice::orders {

// Problems are texts for the log; "" is none, and any other ends the connection.
class AmqpClient {
 public:
  virtual ~AmqpClient() = default;
  // Logged in: declares what it needs.
  virtual std::string on_open(AmqpConnection& connection) = 0;
  // Sends of what waits as much as may go at once.
  virtual std::string send(AmqpConnection& connection) = 0;
  // send() has left something that may go now.
  virtual bool has_more() = 0;
  virtual std::string on_frame(const amqp_frame_t& frame) = 0;
  // Frames and sending are over for now: the loop may hear of it.
  virtual void flush() = 0;
  // Once for each on_open() that had no problem.
  virtual void on_lost() = 0;
  // The thread does nothing after this.
  virtual void on_end() = 0;
};

class AmqpThread {
 public:
  AmqpThread(AmqpAddress address, RabbitOptions options, AmqpClient& client);
  ~AmqpThread() { end(); }
  AmqpThread(const AmqpThread&) = delete;
  AmqpThread& operator=(const AmqpThread&) = delete;

  void start();
  // There is something to send.
  void wake() noexcept { work_.signal(); }
  // The broker does not do what it should: another connection, please.
  void reconnect() noexcept;
  // Sends what waits, closes politely, and ends; the client hears on_end(). No connection: at once.
  void close() noexcept;
  // Ends now, and waits for the thread.
  void end() noexcept;

 private:
  void run();
  std::string keep_connection();
  std::string serve(AmqpConnection& connection);
  std::string take_turn(AmqpConnection& connection);
  void wait(int fd) noexcept;
  bool pause(Duration duration) noexcept;
  void say_lost(const std::string& problem, Duration next);
  // The descriptor that end() may shut down; -1: none.
  bool set_socket(int fd) noexcept;

  const AmqpAddress address_;
  const RabbitOptions options_;
  AmqpClient& client_;
  EventFd work_;
  EventFd close_;  // once readable, always
  std::atomic<bool> is_closing_{false}, wants_other_{false};
  std::mutex mutex_;
  int socket_ = -1;
  bool is_ended_ = false;
  std::string told_;  // the last problem in the log
  std::thread thread_;
};

}  // namespace sluice::orders
