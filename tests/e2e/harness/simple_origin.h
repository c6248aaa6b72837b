// An endpoint for load: one epoll thread that answers every request alike and names itself in the
// fields X-Origin and X-Count. What it does may be changed while it runs.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include "tests/e2e/harness/wire.h"

namespace e2e {

class SimpleOrigin {
 public:
  explicit SimpleOrigin(std::string name = "a", std::string body = "hello");
  ~SimpleOrigin();
  SimpleOrigin(const SimpleOrigin&) = delete;
  SimpleOrigin& operator=(const SimpleOrigin&) = delete;

  uint16_t port() const { return port_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  size_t requests() const { return requests_; }  // without those to /healthz
  size_t probes() const { return probes_; }      // requests to /healthz
  size_t connections() const { return connections_; }
  size_t in_flight_peak() const { return peak_; }

  void set_status(int status) { status_ = status; }
  void set_health(int status) { health_ = status; }  // of /healthz
  void set_delay(milliseconds delay) { delay_ms_ = static_cast<int>(delay.count()); }
  void set_close_each(bool close) { close_each_ = close; }
  void stop();   // as kill -9 would: resets every connection, refuses new ones
  void start();  // again, on the same port

 private:
  struct Connection {
    Fd fd;
    uint64_t id;
    std::string input;
    bool is_answering = false;
  };
  void run();
  void accept_all();
  void read_from(Connection& connection);
  bool take_request(Connection& connection);
  void answer(Connection& connection, bool is_probe, bool to_head);
  void answer_due();
  void drop(int fd, bool hard);
  int next_wait() const;

  const std::string name_, body_;
  Fd listening_, epoll_;
  uint16_t port_ = 0;
  std::atomic<size_t> requests_{0}, probes_{0}, connections_{0}, peak_{0};
  std::atomic<int> status_{200}, health_{200}, delay_ms_{0};
  std::atomic<bool> close_each_{false}, stopping_{false};
  std::map<int, std::unique_ptr<Connection>> open_;
  struct Due {
    int fd;
    uint64_t id;
    bool to_head;
  };
  std::multimap<Clock::time_point, Due> due_;
  uint64_t next_id_ = 0;
  std::thread thread_;
};

}  // namespace e2e
