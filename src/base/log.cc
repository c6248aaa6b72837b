#include "sluice/base/log.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "sluice/base/check.h"
#include "sluice/base/hash.h"
#include "sluice/base/log_ring.h"

namespace sluice {

namespace {

constexpr size_t kMostText = 4096;
constexpr size_t kMostComponent = 64;
constexpr size_t kEscaped = 4;  // "\x0a"
constexpr size_t kDecoration = std::string_view("<4>error : \n").size();

std::atomic<LogLevel> level_from{LogLevel::info};
thread_local LogRing* thread_ring = nullptr;

std::string_view journal_prefix(LogLevel level) noexcept {
  static const bool is_journal = std::getenv("JOURNAL_STREAM") != nullptr;
  if (!is_journal) return {};
  switch (level) {
    case LogLevel::debug:
      return "<7>";
    case LogLevel::info:
      return "<6>";
    case LogLevel::warn:
      return "<4>";
    case LogLevel::error:
      return "<3>";
    case LogLevel::off:
      return {};
  }
  return {};
}

char* put(char* out, std::string_view text) noexcept {
  return std::copy(text.begin(), text.end(), out);
}

// Text may quote what a peer sent: it must not forge lines or steer a terminal.
bool is_control(char c) noexcept { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

size_t escaped_size(std::string_view text) noexcept {
  const auto controls = std::count_if(text.begin(), text.end(), is_control);
  return text.size() + (kEscaped - 1) * static_cast<size_t>(controls);
}

char* put_escaped(char* out, std::string_view text) noexcept {
  constexpr char kDigits[] = "0123456789abcdef";
  for (char c : text) {
    if (!is_control(c)) {
      *out++ = c;
      continue;
    }
    out = put(out, "\\x");
    *out++ = kDigits[static_cast<unsigned char>(c) >> 4];
    *out++ = kDigits[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

char* put_line(char* out, LogLevel level, std::string_view component,
               std::string_view text) noexcept {
  out = put(out, journal_prefix(level));
  out = put(out, to_string(level));
  *out++ = ' ';
  out = put_escaped(out, component);
  out = put(out, ": ");
  out = put_escaped(out, text);
  *out++ = '\n';
  return out;
}

void write_to_stderr(std::string_view line) noexcept {
  while (!line.empty()) {
    const ssize_t n = write(STDERR_FILENO, line.data(), line.size());
    if (n <= 0) return;
    line.remove_prefix(static_cast<size_t>(n));
  }
}

}  // namespace

void set_log_level(LogLevel level) noexcept { level_from.store(level, std::memory_order_relaxed); }

LogLevel log_level() noexcept { return level_from.load(std::memory_order_relaxed); }

std::string_view to_string(LogLevel level) noexcept {
  switch (level) {
    case LogLevel::debug:
      return "debug";
    case LogLevel::info:
      return "info";
    case LogLevel::warn:
      return "warn";
    case LogLevel::error:
      return "error";
    case LogLevel::off:
      return "off";
  }
  return "";
}

void log_attach(LogRing* ring) noexcept { thread_ring = ring; }

void log_line(LogLevel level, std::string_view component, std::string_view text) noexcept {
  if (level < log_level() || level == LogLevel::off) return;
  component = component.substr(0, kMostComponent);
  text = text.substr(0, kMostText);
  const size_t most = kDecoration + escaped_size(component) + escaped_size(text);
  if (thread_ring != nullptr) {
    char* room = thread_ring->reserve(most);
    if (room == nullptr) return;  // counted by the ring
    thread_ring->commit(static_cast<size_t>(put_line(room, level, component, text) - room));
    return;
  }
  char line[kDecoration + kEscaped * (kMostComponent + kMostText)];
  write_to_stderr({line, static_cast<size_t>(put_line(line, level, component, text) - line)});
}

std::optional<uint64_t> LogLimiter::admit(uint64_t key, TimePoint now) noexcept {
  const int64_t at = now.time_since_epoch().count();
  const auto try_take = [&](Slot& slot) {
    int64_t until = slot.closed_until.load(std::memory_order_relaxed);
    return at >= until && slot.closed_until.compare_exchange_strong(until, at + kWindow.count());
  };
  const auto keep_back = [&]() -> std::optional<uint64_t> {
    kept_back_.fetch_add(1, std::memory_order_relaxed);
    return std::nullopt;
  };
  for (Slot& slot : slots_) {
    if (slot.closed_until.load(std::memory_order_relaxed) == 0 || slot.key.load() != key) continue;
    return try_take(slot) ? std::optional<uint64_t>(kept_back_.exchange(0)) : keep_back();
  }
  for (Slot& slot : slots_) {
    if (!try_take(slot)) continue;
    slot.key.store(key);
    return kept_back_.exchange(0);
  }
  return keep_back();
}

void log_line_limited(LogLimiter& limiter, LogLevel level, std::string_view component,
                      std::string_view text, TimePoint now) noexcept {
  const auto kept_back = limiter.admit(hash64(text, hash64(component)), now);
  if (!kept_back) return;
  if (*kept_back == 0) return log_line(level, component, text);
  fmt::memory_buffer counted;
  fmt::format_to(fmt::appender(counted), "{} ({} more)", text.substr(0, kMostText - 32),
                 *kept_back);
  log_line(level, component, {counted.data(), counted.size()});
}

}  // namespace sluice
