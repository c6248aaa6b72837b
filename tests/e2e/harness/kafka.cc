#include "tests/e2e/harness/kafka.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace e2e {

namespace {

constexpr milliseconds kAnswer = kPatience * 3;

}  // namespace

// Open for both, so that neither end waits for the other; the cluster ends when we close it.
KafkaCluster::KafkaCluster(int brokers) {
  const std::string fifo = dir_.path("commands");
  if (mkfifo(fifo.c_str(), 0600) != 0) throw Failure("mkfifo failed");
  commands_ = Fd(open(fifo.c_str(), O_RDWR | O_CLOEXEC));
  process_ = std::make_unique<Process>(
      std::vector<std::string>{"sh", "-c", "exec \"$0\" \"$1\" <\"$2\"", program("KAFKA_CLUSTER"),
                               std::to_string(brokers), fifo},
      dir_.path("out"), dir_.path("err"));
  brokers_ = next_line();
}

std::string KafkaCluster::next_line() {
  std::string said;
  const auto has_line = [&] {
    said = read_file(dir_.path("out")).substr(read_);
    return said.find('\n') != std::string::npos;
  };
  if (!eventually(has_line, kAnswer)) {
    throw Failure("the Kafka cluster says nothing: " + read_file(dir_.path("err")));
  }
  said.resize(said.find('\n'));
  read_ += said.size() + 1;
  return said;
}

std::string KafkaCluster::ask(const std::string& line) {
  const std::string bytes = line + "\n";
  if (write(commands_.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) {
    throw Failure("the Kafka cluster is not told " + line);
  }
  const std::string answer = next_line();
  if (!answer.starts_with("ok ")) throw Failure(line + ": " + answer);
  return answer.substr(3);
}

void KafkaCluster::kill() {
  process_->signal(SIGKILL);
  process_->wait(kPatience);
}

int64_t KafkaCluster::end_of(const std::string& topic, int partition) {
  return std::stoll(ask("end " + topic + " " + std::to_string(partition)));
}

int64_t KafkaCluster::done(const std::string& topic, int partition) {
  return std::stoll(ask("done sluice-orders " + topic + " " + std::to_string(partition)));
}

}  // namespace e2e
