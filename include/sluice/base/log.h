// Diagnostic log: one line an event, from any thread, never blocking it.
//
// A thread that called log_attach() writes into its LogRing, which the writer thread empties;
// before that, and in tests, lines go to stderr at once. Lines: "level component: text", control
// bytes written as \xNN, with the journal's "<6>" in front when stderr is the journal. What a peer
// can cause at will is logged with log_limited.
#pragma once

#include <fmt/format.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "sluice/base/clock.h"

namespace sluice {

class LogRing;

enum class LogLevel : uint8_t { debug, info, warn, error, off };

void set_log_level(LogLevel level) noexcept;
LogLevel log_level() noexcept;
std::string_view to_string(LogLevel level) noexcept;

// Where this thread's lines go from now on; nullptr: straight to stderr.
void log_attach(LogRing* ring) noexcept;

void log_line(LogLevel level, std::string_view component, std::string_view text) noexcept;

template <typename... Args>
void log(LogLevel level, std::string_view component, fmt::format_string<Args...> format,
         Args&&... args) {
  if (level < log_level()) return;
  fmt::memory_buffer text;
  fmt::format_to(fmt::appender(text), format, std::forward<Args>(args)...);
  log_line(level, component, {text.data(), text.size()});
}
template <typename... Args>
void log_info(std::string_view component, fmt::format_string<Args...> format, Args&&... args) {
  log(LogLevel::info, component, format, std::forward<Args>(args)...);
}
template <typename... Args>
void log_warn(std::string_view component, fmt::format_string<Args...> format, Args&&... args) {
  log(LogLevel::warn, component, format, std::forward<Args>(args)...);
}
template <typename... Args>
void log_error(std::string_view component, fmt::format_string<Args...> format, Args&&... args) {
  log(LogLevel::error, component, format, std::forward<Args>(args)...);
}
template <typename... Args>
void log_debug(std::string_view component, fmt::format_string<Args...> format, Args&&... args) {
  log(LogLevel::debug, component, format, std::forward<Args>(args)...);
}

// Keeps one call site from flooding the log: at most kSlots different lines a second, and each of
// them once. The site's next line ends with "(N more)", N being the lines kept back since the last.
//
//   static LogLimiter limiter;
//   log_limited(limiter, LogLevel::warn, "listener", "accept: {}", error.text());
//
// Lives in static storage at the call site. Thread: any, several at once (two threads that race may
// print a line too many).
class LogLimiter {
 public:
  static constexpr size_t kSlots = 4;
  static constexpr Duration kWindow = std::chrono::seconds(1);

  // nullopt: keep the line of this key back; else print it, and that so many were kept back.
  std::optional<uint64_t> admit(uint64_t key, TimePoint now) noexcept;

 private:
  struct Slot {
    std::atomic<uint64_t> key{0};
    std::atomic<int64_t> closed_until{0};  // monotonic nanoseconds; 0: never used
  };
  Slot slots_[kSlots];
  std::atomic<uint64_t> kept_back_{0};
};

// log_line, unless `limiter` keeps it back.
void log_line_limited(LogLimiter& limiter, LogLevel level, std::string_view component,
                      std::string_view text, TimePoint now) noexcept;

template <typename... Args>
void log_limited(LogLimiter& limiter, LogLevel level, std::string_view component,
                 fmt::format_string<Args...> format, Args&&... args) {
  if (level < log_level()) return;
  fmt::memory_buffer text;
  fmt::format_to(fmt::appender(text), format, std::forward<Args>(args)...);
  log_line_limited(limiter, level, component, {text.data(), text.size()}, monotonic_now());
}

}  // namespace sluice
