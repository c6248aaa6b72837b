// Clients that ask for a set of URLs at random, each over a connection of its own in a thread of
// its own, and look at every answer: the right body for the URL, and not late.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/e2e/harness/wire.h"

namespace e2e {

struct VisitPlan {
  uint16_t port = 0;
  int clients = 8;
  size_t urls = 2000;
  milliseconds slow{1500 * kSlow};  // an answer that takes longer is counted
  // The answer to that path, or why it is wrong.
  std::function<std::string(const std::string& path, const Message& answer)> judge;
};

class Visitors {
 public:
  explicit Visitors(VisitPlan plan);
  ~Visitors() { finish(); }
  Visitors(const Visitors&) = delete;
  Visitors& operator=(const Visitors&) = delete;

  uint64_t answers() const { return answers_; }
  uint64_t failures() const { return failures_; }
  uint64_t slow_ones() const { return slow_; }
  std::string first_failure();
  // Fails when so many more answers do not come.
  void wait_for_more(uint64_t answers);
  void finish();  // they end their last requests

 private:
  void run(int client);
  void visit(Wire& wire, const std::string& path);
  void note_failure(const std::string& why);

  const VisitPlan plan_;
  std::atomic<bool> stopping_{false};
  std::atomic<uint64_t> answers_{0}, failures_{0}, slow_{0};
  std::mutex mutex_;
  std::string first_failure_;
  std::vector<std::thread> threads_;
};

}  // namespace e2e
