#include "tests/e2e/harness/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace e2e {

TempDir::TempDir() {
  char pattern[] = "/tmp/sluice-e2e-XXXXXX";
  if (mkdtemp(pattern) == nullptr) throw Failure("mkdtemp failed");
  path_ = pattern;
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  if (!file.flush()) throw Failure("cannot write " + path);
}

namespace {

struct Prepared {
  std::vector<std::string> texts;
  std::vector<char*> pointers;
  void finish() {
    for (std::string& text : texts) pointers.push_back(text.data());
    pointers.push_back(nullptr);
  }
};

Prepared prepare_environment(const Process::Environment& extra) {
  Prepared all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (extra.count(text.substr(0, text.find('='))) == 0) all.texts.push_back(text);
  }
  for (const auto& [name, value] : extra) all.texts.push_back(name + "=" + value);
  all.finish();
  return all;
}

void redirect(const char* path, int target) {
  const int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (fd < 0 || dup2(fd, target) < 0) _exit(126);
  if (fd != target) close(fd);
}

int code_of(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

}  // namespace

Process::Process(const std::vector<std::string>& arguments, const std::string& out_file,
                 const std::string& err_file, const Environment& environment) {
  Prepared argv{arguments, {}};
  argv.finish();
  Prepared env = prepare_environment(environment);
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ < 0) throw Failure("fork failed");
  if (pid_ > 0) return;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(126);
  redirect("/dev/null", STDIN_FILENO);
  redirect(out_file.c_str(), STDOUT_FILENO);
  redirect(err_file.c_str(), STDERR_FILENO);
  execvpe(argv.pointers[0], argv.pointers.data(), env.pointers.data());
  _exit(127);
}

Process::~Process() {
  if (exit_code_ || poll_exit()) return;
  kill(pid_, SIGKILL);
  int status = 0;
  waitpid(pid_, &status, 0);
}

void Process::signal(int number) {
  if (!exit_code_) kill(pid_, number);
}

std::optional<int> Process::poll_exit() {
  int status = 0;
  if (!exit_code_ && waitpid(pid_, &status, WNOHANG) == pid_) exit_code_ = code_of(status);
  return exit_code_;
}

std::optional<int> Process::wait(milliseconds within) {
  eventually([this] { return poll_exit().has_value(); }, within);
  return exit_code_;
}

Finished run(const std::vector<std::string>& arguments, milliseconds within,
             const Process::Environment& environment) {
  TempDir dir;
  Process process(arguments, dir.path("out"), dir.path("err"), environment);
  const auto code = process.wait(within);
  Finished finished{code.value_or(-1), read_file(dir.path("out")), read_file(dir.path("err"))};
  if (!code) throw Failure(arguments[0] + " does not end: " + finished.out + finished.err);
  return finished;
}

Finished Running::finish(milliseconds within) {
  const auto code = process_.wait(within);
  if (!code) throw Failure("a program does not end: " + read_file(dir_.path("err")));
  return {*code, read_file(dir_.path("out")), read_file(dir_.path("err"))};
}

std::string program(const char* variable) {
  const char* path = std::getenv(variable);
  if (path == nullptr || *path == '\0') {
    throw Failure(std::string(variable) + " is not set: run the tests by make e2e");
  }
  return path;
}

}  // namespace e2e
