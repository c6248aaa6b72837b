#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "sluice/admin/client.h"
#include "sluice/base/clock.h"
#include "sluice/server/cli.h"

namespace sluice::server {

namespace {

struct StatusOptions {
  std::string admin;
  bool json = false;
};

admin::ClientReply ask_status(const std::string& admin, bool pretty) {
  admin::ClientRequest request;
  request.path = pretty ? "/api/v1/status?pretty" : "/api/v1/status";
  admin::ClientReply reply = admin::ask_first(admin, request);
  if (reply.status != 0 && reply.status != 200) {
    reply.problem = fmt::format("the admin API answered {}: {}", reply.status, reply.body);
    reply.status = 0;
  }
  return reply;
}

int status(const StatusOptions& options) {
  const auto reply = ask_status(options.admin, options.json);
  if (reply.status == 0) return complain(reply.problem, kNotWell);
  fmt::print("{}",
             options.json ? reply.body : status_table(reply.body, wants_color(STDOUT_FILENO)));
  return kDone;
}

// The terminal without echo and line editing while `top` runs, so that q needs no Enter.
class RawTerminal {
 public:
  RawTerminal() noexcept {
    is_set_ = tcgetattr(STDIN_FILENO, &before_) == 0;
    if (!is_set_) return;
    termios raw = before_;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
  }
  ~RawTerminal() {
    if (is_set_) tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;

 private:
  termios before_{};
  bool is_set_ = false;
};

volatile sig_atomic_t is_interrupted = 0;

// True when it is time for the next look, false when the user wants to leave.
bool wait_for_next(Duration pause) {
  pollfd entry{STDIN_FILENO, POLLIN, 0};
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(pause).count();
  const int ready = poll(&entry, 1, static_cast<int>(ms));
  if (is_interrupted != 0) return false;
  if (ready <= 0) return true;
  char key = 0;
  return read(STDIN_FILENO, &key, 1) == 1 && key != 'q' && key != 'Q';
}

void on_interrupt_end() {
  struct sigaction action {};
  action.sa_handler = [](int) { is_interrupted = 1; };
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

int top(const StatusOptions& options) {
  if (isatty(STDOUT_FILENO) != 1 || isatty(STDIN_FILENO) != 1) return status(options);
  on_interrupt_end();
  const RawTerminal raw;
  std::string before;
  TimePoint before_at{};
  for (;;) {
    const auto reply = ask_status(options.admin, false);
    if (reply.status == 0) return complain(reply.problem, kNotWell);
    const TimePoint now = monotonic_now();
    fmt::print("\x1b[H\x1b[J{}\n\nq ends\n",
               top_screen(before, reply.body, to_seconds(now - before_at)));
    std::fflush(stdout);
    before = reply.body;
    before_at = now;
    if (!wait_for_next(std::chrono::seconds(1))) return kDone;
  }
}

void add_look(CLI::App& app, Action& action, const char* name, const char* help,
              int (*run)(const StatusOptions&)) {
  auto options = std::make_shared<StatusOptions>();
  CLI::App* verb = app.add_subcommand(name, help);
  verb->add_option("--admin", options->admin,
                   "where its admin API is: unix:/PATH or "
                   "http://HOST:PORT (default: the usual sockets)")
      ->type_name("ADDRESS");
  verb->add_flag("--json", options->json, "print it as JSON, once");
  verb->callback([&action, options, run] { action = [options, run] { return run(*options); }; });
}

}  // namespace

void add_status(CLI::App& app, Action& action) {
  add_look(app, action, "status", "Show listeners, pools and endpoints of the running sluice",
           status);
  add_look(app, action, "top", "Show the same live, with rates; q ends",
           [](const auto& options) { return options.json ? status(options) : top(options); });
}

}  // namespace sluice::server
