// Diagnostic log: one line an event, from any thread, never blocking it.
//
// A thread that called log_attach() writes into its LogRing, which the writer thread empties;
// before that, and in tests, lines go to stderr at once. Lines: "level component: text". Repeats of
// the same call site within a second are counted, not printed (see log_limited).
#pragma once

#include <fmt/format.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

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
  log_line(level, component, fmt::format(format, std::forward<Args>(args)...));
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

}  // namespace sluice
