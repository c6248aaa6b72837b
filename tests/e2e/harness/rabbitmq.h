// A real RabbitMQ in a private folder, with a password, which a test may stop, freeze, kill and
// start again. It starts in seconds, so tests share one, and each makes a virtual host of its own.
//
//   RabbitMq broker;
//   const std::string vhost = broker.make_vhost();
//   ... --queue broker.url(vhost) ...
//
// Root runs it as nobody. Its epmd, the directory of Erlang's nodes, has a port of its own and ends
// with it. Call from the test's own thread. Needs base and process of the harness only; the unit
// tests of orders use it too.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/e2e/harness/process.h"

namespace e2e {

class RabbitMq {
 public:
  static constexpr const char* kUser = "shop";
  static constexpr const char* kPassword = "p@ss/word:4711";
  static constexpr const char* kPasswordInUrl = "p%40ss%2Fword%3A4711";

  RabbitMq();
  ~RabbitMq();
  RabbitMq(const RabbitMq&) = delete;
  RabbitMq& operator=(const RabbitMq&) = delete;

  // A new one with nothing in it; its name.
  std::string make_vhost();
  // `options` as they stand behind the ?.
  std::string url(const std::string& vhost, const std::string& options = "heartbeat=1") const;

  void kill();   // SIGKILL; settles before, unless that is done or it is frozen
  void stop();   // in order
  void start();  // again, at the same addresses
  void freeze();
  void thaw();
  // RabbitMQ 3.10 keeps in memory for a second where a new queue lies on the disk. Killed before it
  // is written it has a queue which answers nobody, ever.
  void settle();

  // No publisher may publish any more, until it is set back.
  void set_alarm(bool is_on);
  void delete_queue(const std::string& vhost, const std::string& queue);
  // Messages, those at consumers too.
  int64_t depth(const std::string& vhost, const std::string& queue);
  // As if some program had published it.
  void publish(const std::string& vhost, const std::string& exchange, const std::string& key,
               const std::string& body);
  // What rabbitmqctl prints.
  std::string ctl(const std::vector<std::string>& words) const;
  std::string eval(const std::string& erlang) const { return ctl({"eval", erlang}); }
  std::string log() const { return read_file(dir_.path("log")); }
  uint16_t port() const { return port_; }

 private:
  std::vector<std::string> as_user(std::vector<std::string> words) const;
  Process::Environment environment() const;
  void write_settings();
  void launch();
  size_t starts() const;

  TempDir dir_;
  std::string programs_;  // the folder of rabbitmq-server and rabbitmqctl
  uint16_t port_ = 0, node_port_ = 0, directory_port_ = 0;
  int vhosts_ = 0;
  bool is_frozen_ = false, is_settled_ = false;
  std::unique_ptr<Process> directory_;  // epmd
  std::unique_ptr<Process> process_;
};

}  // namespace e2e
