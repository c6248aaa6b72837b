// An endpoint that a test scripts: the script runs for each connection, in a thread of its own.
//
//   Origin origin([](OriginConn& c) {
//     c.expect_request();
//     c.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
//   });
//
// A connection that ends where a request may begin ends the script quietly; every other surprise
// fails the test when the origin is destroyed or check()ed.
#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/e2e/harness/wire.h"

namespace e2e {

class Origin;

class OriginConn : public Wire {
 public:
  OriginConn(Origin& origin, Fd fd, size_t index)
      : Wire(std::move(fd)), origin_(origin), index_(index) {}

  size_t index() const { return index_; }  // 0 for the origin's first connection
  Message expect_request();                // head and body, recorded
  Message expect_head();                   // head only, recorded without body
  void reply(const std::string& body, const std::string& lines = "");  // 200 with a length
  // Answers every request alike until the connection ends.
  void serve(const std::function<std::string(const Message&)>& answer);

 private:
  void expect_begin();

  Origin& origin_;
  size_t index_;
};

class Origin {
 public:
  using Script = std::function<void(OriginConn&)>;
  explicit Origin(Script script);
  ~Origin();
  Origin(const Origin&) = delete;
  Origin& operator=(const Origin&) = delete;

  uint16_t port() const { return port_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  size_t connections() const { return connections_; }
  std::vector<Message> requests();
  Message request(size_t index);         // waits for it
  void wait_for_requests(size_t count);  // fails when they do not come
  std::string failures();                // "" when all scripts went as written
  void ignore_failures() { ignore_failures_ = true; }
  void stop();  // closes the listening socket; connections go on

 private:
  friend class OriginConn;
  void accept_loop();
  void serve_one(Fd fd, size_t index);
  void record(const Message& request);

  Script script_;
  Fd listening_;
  uint16_t port_ = 0;
  std::atomic<size_t> connections_{0};
  std::atomic<bool> stopping_{false};
  bool ignore_failures_ = false;
  std::mutex mutex_;
  std::vector<Message> requests_;
  std::string failures_;
  std::list<std::thread> threads_;
  std::vector<int> open_fds_;
  std::thread acceptor_;
};

// The whole text of an answer with a length.
std::string answer(int status, const std::string& body, const std::string& lines = "");
// A port of 127.0.0.1 on which nobody listens: bound, so that nobody else gets it.
class RefusingPort {
 public:
  RefusingPort();
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  uint16_t port() const { return port_; }

 private:
  Fd fd_;
  uint16_t port_ = 0;
};

}  // namespace e2e
