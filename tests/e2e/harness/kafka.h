// A Kafka cluster of librdkafka's mock brokers in a process of its own, which a test may trouble.
//
//   KafkaCluster kafka;
//   ... --queue kafka.url("orders") ...
//   kafka.ask("down");
//
// What it cannot show: that a broker keeps what it confirmed when it is killed (it has no disk),
// that a topic is made by request (it only makes those that are asked for), and that brokers drop
// what an idempotent producer sends twice. Call from the test's own thread. Needs base and process
// of the harness only; the unit tests of orders use it too.
#pragma once

#include <signal.h>

#include <memory>
#include <string>

#include "tests/e2e/harness/process.h"

namespace e2e {

class KafkaCluster {
 public:
  explicit KafkaCluster(int brokers = 1);
  KafkaCluster(const KafkaCluster&) = delete;
  KafkaCluster& operator=(const KafkaCluster&) = delete;

  // "127.0.0.1:1234,127.0.0.1:1235"
  const std::string& brokers() const { return brokers_; }
  std::string url(const std::string& topic) const { return "kafka://" + brokers_ + "/" + topic; }
  // A line as kafka_cluster_main.cc lists them; what it says after "ok ". Fails when it refuses.
  std::string ask(const std::string& line);

  void down() { ask("down"); }
  void up() { ask("up"); }
  void freeze() { process_->signal(SIGSTOP); }
  void thaw() { process_->signal(SIGCONT); }
  void kill();

  int64_t end_of(const std::string& topic, int partition);
  // Committed by the group that workers are in by default.
  int64_t done(const std::string& topic, int partition);

 private:
  std::string next_line();

  TempDir dir_;
  Fd commands_;
  std::unique_ptr<Process> process_;
  size_t read_ = 0;  // of what it said
  std::string brokers_;
};

}  // namespace e2e
