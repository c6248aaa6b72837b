#include "sluice/base/check.h"

#include <execinfo.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace sluice {

namespace {

constexpr int kReportFd = STDERR_FILENO;
constexpr int kCrashSignals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
constexpr int kMostFrames = 64;
constexpr size_t kSignalStackSize = 64 * 1024;

struct CrashContext {
  CrashPrinter printer = nullptr;
  const void* what = nullptr;
};
thread_local CrashContext crash_context;

std::atomic<const char*> program_version{"unknown version"};
std::atomic<pid_t> reporting_thread{0};

// All below runs in signal handlers: write(2) only, no allocation, no locks.
void put(const char* text) noexcept {
  size_t size = std::strlen(text);
  while (size > 0) {
    ssize_t n = write(kReportFd, text, size);
    if (n <= 0) return;
    text += n;
    size -= static_cast<size_t>(n);
  }
}

void put_number(uint64_t value, unsigned base) noexcept {
  char digits[24];
  char* at = digits + sizeof digits - 1;
  *at = '\0';
  do {
    *--at = "0123456789abcdef"[value % base];
    value /= base;
  } while (value != 0);
  put(at);
}

const char* signal_name(int signal) noexcept {
  switch (signal) {
    case SIGSEGV:
      return "SIGSEGV";
    case SIGBUS:
      return "SIGBUS";
    case SIGFPE:
      return "SIGFPE";
    case SIGILL:
      return "SIGILL";
    case SIGABRT:
      return "SIGABRT";
    default:
      return "signal";
  }
}

// True for the one thread that shall report. Another one that fails meanwhile waits for the end; a
// failure inside the report itself gets false and must not report again.
bool begin_report() noexcept {
  pid_t self = static_cast<pid_t>(syscall(SYS_gettid));
  pid_t nobody = 0;
  if (reporting_thread.compare_exchange_strong(nobody, self)) return true;
  while (reporting_thread.load() != self) pause();
  return false;
}

void put_context_and_backtrace() noexcept {
  put("version: ");
  put(program_version.load());
  put("\nthread: ");
  put_number(static_cast<uint64_t>(syscall(SYS_gettid)), 10);
  put("\n");
  CrashContext context = crash_context;
  if (context.printer != nullptr) context.printer(kReportFd, context.what);
  put("backtrace:\n");
  void* frames[kMostFrames];
  backtrace_symbols_fd(frames, backtrace(frames, kMostFrames), kReportFd);
}

void on_crash_signal(int signal, siginfo_t* info, void*) noexcept {
  if (begin_report()) {
    put("sluice: crash: ");
    put(signal_name(signal));
    if (signal != SIGABRT) {
      put(" at address 0x");
      put_number(reinterpret_cast<uintptr_t>(info->si_addr), 16);
    }
    put("\n");
    put_context_and_backtrace();
  }
  ::signal(signal, SIG_DFL);
  raise(signal);
}

// So that an overflowing stack can be reported too, at least on the thread that installs.
void install_signal_stack() noexcept {
  stack_t old;
  if (sigaltstack(nullptr, &old) != 0 || (old.ss_flags & SS_DISABLE) == 0) return;
  static char stack[kSignalStackSize];
  stack_t ours{};
  ours.ss_sp = stack;
  ours.ss_size = sizeof stack;
  sigaltstack(&ours, nullptr);
}

}  // namespace

void set_crash_context(CrashPrinter printer, const void* what) noexcept {
  crash_context = {what != nullptr ? printer : nullptr, what};
}

void check_failed(const char* expression, const char* file, int line) noexcept {
  if (begin_report()) {
    put("sluice: check failed: ");
    put(expression);
    put(" at ");
    put(file);
    put(":");
    put_number(static_cast<uint64_t>(line), 10);
    put("\n");
    put_context_and_backtrace();
  }
  std::abort();
}

void install_crash_reports(const char* version) noexcept {
  program_version.store(version);
  void* frame;
  backtrace(&frame, 1);  // the first call loads libgcc, which allocates: not in a handler
  install_signal_stack();
  struct sigaction action {};
  action.sa_sigaction = on_crash_signal;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  sigemptyset(&action.sa_mask);
  for (int signal : kCrashSignals) sigaction(signal, &action, nullptr);
}

}  // namespace sluice
