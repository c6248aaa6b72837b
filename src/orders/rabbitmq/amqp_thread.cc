#include "amqp_thread.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "amqp_dial.h"
#include "sluice/base/check.h"
#include "sluice/base/log.h"

namespace sluice::orders {
namespace {

constexpr int kMostFrames = 1024;                      // before something is sent again
constexpr Duration kSteady = std::chrono::seconds(5);  // a connection that held was a good one

int whole_ms(Duration duration) noexcept {
  return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(duration).count());
}

}  // namespace

AmqpThread::AmqpThread(AmqpAddress address, RabbitOptions options, AmqpClient& client)
    : address_(std::move(address)), options_(options), client_(client) {}

void AmqpThread::start() {
  SL_CHECK(!thread_.joinable());
  thread_ = std::thread([this] { run(); });
}

void AmqpThread::run() {
  Duration pause_time = options_.first_pause;
  while (!is_closing_) {
    const TimePoint begun = monotonic_now();
    const std::string problem = keep_connection();
    if (is_closing_) break;
    if (monotonic_now() - begun > options_.connect + kSteady) pause_time = options_.first_pause;
    say_lost(problem, pause_time);
    if (!pause(pause_time)) break;
    pause_time = std::min(pause_time * 2, options_.longest_pause);
  }
  client_.on_end();
}

// From the dialling to the loss, or to the end.
std::string AmqpThread::keep_connection() {
  Dialled dialled = dial(address_, options_.connect, close_.get());
  if (dialled.fd < 0) return dialled.problem;
  if (!set_socket(dialled.fd)) {
    ::close(dialled.fd);
    return "ended";
  }
  std::string problem;
  {
    AmqpConnection connection;
    wants_other_ = false;
    problem = connection.open(dialled.fd, address_, options_.connect);
    if (problem.empty()) problem = client_.on_open(connection);
    if (problem.empty()) {
      log_info("rabbitmq", "connected to {}", address_.text);
      told_.clear();
      problem = serve(connection);
      client_.on_lost();
    }
    set_socket(-1);  // the descriptor is closed next
  }
  return problem;
}

std::string AmqpThread::serve(AmqpConnection& connection) {
  for (;;) {
    std::string problem = take_turn(connection);
    client_.flush();
    if (!problem.empty()) return problem;
    if (wants_other_) return "no confirmation came in time";
    if (client_.has_more()) continue;
    if (is_closing_) {
      connection.close();
      return {};
    }
    wait(amqp_get_sockfd(connection.raw()));
  }
}

// Read is all that is there: the descriptor says nothing of what librabbitmq has in its buffer.
std::string AmqpThread::take_turn(AmqpConnection& connection) {
  work_.clear();
  std::string problem = client_.send(connection);
  for (int frames = 0; problem.empty(); ++frames) {
    amqp_frame_t frame;
    const AmqpConnection::Got got = connection.read(frame, problem);
    if (got != AmqpConnection::Got::frame) break;
    problem = client_.on_frame(frame);
    connection.release();
    if (frames == kMostFrames) wake();
    if (frames == kMostFrames) break;
  }
  return problem;
}

// Often enough for heartbeats: they are sent while frames are read.
void AmqpThread::wait(int fd) noexcept {
  pollfd polled[] = {{fd, POLLIN, 0}, {work_.get(), POLLIN, 0}, {close_.get(), POLLIN, 0}};
  ::poll(polled, std::size(polled), whole_ms(address_.heartbeat) / 2);
}

// False: it is time to end.
bool AmqpThread::pause(Duration duration) noexcept {
  pollfd polled{close_.get(), POLLIN, 0};
  ::poll(&polled, 1, whole_ms(duration));
  return !is_closing_;
}

void AmqpThread::say_lost(const std::string& problem, Duration next) {
  if (problem == told_) return;
  told_ = problem;
  static LogLimiter limiter;
  log_limited(limiter, LogLevel::warn, "rabbitmq", "{}: {}; the next try in {} ms", address_.text,
              problem, whole_ms(next));
}

bool AmqpThread::set_socket(int fd) noexcept {
  std::lock_guard lock(mutex_);
  socket_ = fd;
  return !is_ended_;
}

void AmqpThread::reconnect() noexcept {
  wants_other_ = true;
  wake();
}

void AmqpThread::close() noexcept {
  if (!thread_.joinable()) return client_.on_end();
  is_closing_ = true;
  close_.signal();
}

void AmqpThread::end() noexcept {
  if (!thread_.joinable()) return;
  {
    std::lock_guard lock(mutex_);
    is_ended_ = true;
    // Whatever waits for the socket ends; only its owner may close it.
    if (socket_ >= 0) ::shutdown(socket_, SHUT_RDWR);
  }
  is_closing_ = true;
  close_.signal();
  thread_.join();
}

}  // namespace sluice::orders
