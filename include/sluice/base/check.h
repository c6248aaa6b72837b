// Assertions that stay on in production, for our own invariants only.
//
// Never use them on bytes that came from a peer, Redis, DNS, a disk or a configuration file: those
// are Errors with a counter. A failed check prints where, what the thread was working on
// (set_crash_context) and a backtrace, then aborts.
#pragma once

namespace sluice {

// Writes a description of the current work into a crash report. Runs on the failing thread, must
// not allocate, and writes with write(2) to `fd`.
using CrashPrinter = void (*)(int fd, const void* what) noexcept;

// What this thread works on, for the crash report; nullptr when nothing. Thread: any, its own.
void set_crash_context(CrashPrinter printer, const void* what) noexcept;

[[noreturn]] void check_failed(const char* expression, const char* file, int line) noexcept;

// Installs handlers that print the report for SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT.
void install_crash_reports(const char* version) noexcept;

}  // namespace sluice

#define SL_CHECK(condition)                          \
  (__builtin_expect(static_cast<bool>(condition), 1) \
       ? static_cast<void>(0)                        \
       : ::sluice::check_failed(#condition, __FILE__, __LINE__))
