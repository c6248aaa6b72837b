// Child processes with their output captured, which never outlive the test program.
#pragma once

#include <sys/types.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/e2e/harness/base.h"

namespace e2e {

// A private folder under /tmp, removed with all that is in it.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  std::string path(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

std::string read_file(const std::string& path);
void write_file(const std::string& path, const std::string& text);

struct Finished {
  int exit_code = -1;  // 128 + signal when one ended it
  std::string out, err;
};

// Call from the test's own thread: the child dies with the thread that started it.
class Process {
 public:
  using Environment = std::map<std::string, std::string>;
  Process(const std::vector<std::string>& arguments, const std::string& out_file,
          const std::string& err_file, const Environment& environment = {});
  ~Process();  // kills what still runs
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  void signal(int number);
  std::optional<int> wait(milliseconds within);  // exit code, nothing when it still runs
  std::optional<int> poll_exit();

 private:
  pid_t pid_ = -1;
  std::optional<int> exit_code_;
};

// Runs to the end, or fails after `within`.
Finished run(const std::vector<std::string>& arguments, milliseconds within = kPatience,
             const Process::Environment& environment = {});

// A program that runs beside the test until finish().
class Running {
 public:
  explicit Running(const std::vector<std::string>& arguments)
      : process_(arguments, dir_.path("out"), dir_.path("err")) {}
  Finished finish(milliseconds within);

 private:
  TempDir dir_;
  Process process_;
};

// The path in an environment variable that `make e2e` sets; fails when it is not set.
std::string program(const char* variable);

}  // namespace e2e
