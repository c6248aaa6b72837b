// A real redis-server in a private folder, which a test may stop, freeze, fill and start again.
//
//   Redis redis({"--maxmemory", "2mb"});
//   Sluice sluice(yaml, {{"redis", "url: \"" + redis.url() + "\""}});
//
// It keeps nothing on disk unless the words say so. Call from the test's own thread.
#pragma once

#include <signal.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/e2e/harness/process.h"
#include "tests/e2e/harness/wire.h"

namespace e2e {

class Redis {
 public:
  explicit Redis(std::vector<std::string> words = {});
  Redis(const Redis&) = delete;
  Redis& operator=(const Redis&) = delete;

  std::string socket() const { return dir_.path("s"); }
  std::string url() const { return "unix:" + socket(); }
  // With a user: only over TCP can one be given.
  std::string tcp_url(const std::string& user = "");

  void kill();   // SIGKILL
  void start();  // again, at the same addresses
  void freeze() { process_->signal(SIGSTOP); }
  void thaw() { process_->signal(SIGCONT); }

  // A command over the unix socket. An array is its elements; anything else is one text, that of an
  // error begins with "-".
  std::vector<std::string> list(const std::vector<std::string>& words);
  std::string ask(const std::vector<std::string>& words);
  int64_t number(const std::vector<std::string>& words);
  std::vector<std::string> keys(const std::string& pattern = "*") {
    return list({"KEYS", pattern});
  }
  // Hashes of entries.
  std::vector<std::string> entries();

 private:
  void launch();
  bool is_open();

  TempDir dir_;
  std::vector<std::string> words_;
  uint16_t port_ = 0;
  std::unique_ptr<Process> process_;
};

}  // namespace e2e
