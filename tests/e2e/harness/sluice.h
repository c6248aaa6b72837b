// The real program, started with a configuration that stands in the test.
//
//   Sluice sluice(R"(
//     pools: {app: {endpoints: [{address: "@a"}], health: {type: off}}}
//   )", {{"a", origin.address()}});
//
// "@a" is replaced by the given text. What the configuration leaves out is added: one listener
// "web" on a free port, two workers, a short drain, the admin socket and the access log in the
// private folder. The destructor stops the program and fails the test unless it ends with exit
// code 0 and without a sanitizer's report.
#pragma once

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/e2e/harness/process.h"
#include "tests/e2e/harness/wire.h"

namespace e2e {

using Json = nlohmann::json;
using Values = std::map<std::string, std::string>;

class Sluice {
 public:
  // `launcher`: a command that becomes the program it is given, such as {"prlimit", "--nofile=64"}.
  explicit Sluice(const std::string& yaml, const Values& values = {},
                  const std::vector<std::string>& launcher = {});
  ~Sluice();
  Sluice(const Sluice&) = delete;
  Sluice& operator=(const Sluice&) = delete;

  uint16_t port(const std::string& listener = "web");
  std::string url(const std::string& path = "/");

  // Admin socket
  Message admin(const std::string& method, const std::string& path, const std::string& body = "");
  Json status();
  Json endpoint(const std::string& pool, const std::string& name);  // of the status
  std::string metrics();
  // Sum of the samples of a family whose labels contain the text.
  double value(const std::string& family, const std::string& labels = "");
  // Whether the value comes to be just that: what is counted at the end of an exchange may be
  // counted a moment after its client has the answer.
  bool reaches(const std::string& family, const std::string& labels, double value);
  void wait_for_value(const std::string& family, const std::string& labels, double at_least);
  void wait_for_state(const std::string& pool, const std::string& name, const std::string& state);

  // Logs
  std::vector<Json> log(size_t at_least);  // of the access log; waits for so many lines
  std::string log_text();
  std::string out() { return read_file(dir_.path("out")); }
  std::string err() { return read_file(dir_.path("err")); }
  std::string path(const std::string& name) const { return dir_.path(name); }

  // Configuration
  void rewrite(const std::string& yaml, const Values& values = {});
  Message reload();                                        // by the API
  Finished command(const std::vector<std::string>& verb);  // "sluice VERB... --admin ..."

  // The process
  pid_t pid() const { return process_->pid(); }
  void signal(int number) { process_->signal(number); }
  std::optional<int> wait(milliseconds within = kPatience) { return process_->wait(within); }
  void stop();         // TERM, and all that has to hold at the end
  uint64_t rss_kib();  // resident memory now
  uint64_t peak_rss_kib();
  size_t fds();

 private:
  std::string complete(std::string yaml, const Values& values) const;
  void wait_until_ready();
  void check_reports();

  TempDir dir_;
  std::unique_ptr<Process> process_;
};

// A request over a connection of its own.
Message get(uint16_t port, const std::string& path = "/", const std::string& lines = "");
std::string request_text(const std::string& path = "/", const std::string& lines = "",
                         const std::string& method = "GET");

}  // namespace e2e
