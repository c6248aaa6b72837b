#include "sluice/base/units.h"

#include <limits>

#include "sluice/base/strings.h"

namespace sluice {

namespace {

struct Unit {
  std::string_view name;
  uint64_t factor;
};

constexpr uint64_t kMicrosecond = 1000, kSecond = 1'000'000 * kMicrosecond;
// The largest first. Also those that only format: nothing is configured in nanoseconds.
constexpr Unit kDurations[] = {{"d", 86400 * kSecond}, {"h", 3600 * kSecond},
                               {"m", 60 * kSecond},    {"s", kSecond},
                               {"ms", kSecond / 1000}, {"us", kMicrosecond}};
constexpr Unit kSizes[] = {{"GiB", 1ULL << 30},
                           {"GB", 1'000'000'000},
                           {"MiB", 1ULL << 20},
                           {"MB", 1'000'000},
                           {"KiB", 1ULL << 10},
                           {"KB", 1'000},
                           {"B", 1}};

template <size_t kUnits>
std::optional<uint64_t> parse(std::string_view text, const Unit (&units)[kUnits],
                              uint64_t most) noexcept {
  size_t digits = 0;
  while (digits < text.size() && is_digit(text[digits])) ++digits;
  const std::optional<uint64_t> value = parse_decimal(text.substr(0, digits));
  if (!value) return std::nullopt;
  const std::string_view name = text.substr(digits);
  if (name.empty()) return *value == 0 ? value : std::nullopt;
  for (const Unit& unit : units) {
    if (unit.name != name) continue;
    if (*value > most / unit.factor) return std::nullopt;
    return *value * unit.factor;
  }
  return std::nullopt;
}

template <size_t kUnits>
std::string shortest(uint64_t value, const Unit (&units)[kUnits]) {
  std::string best;
  for (const Unit& unit : units) {
    if (value % unit.factor != 0) continue;
    std::string spelling = std::to_string(value / unit.factor).append(unit.name);
    if (best.empty() || spelling.size() < best.size()) best = std::move(spelling);
  }
  return best;
}

}  // namespace

std::optional<Duration> parse_duration(std::string_view text) noexcept {
  const auto value = parse(text, kDurations, std::numeric_limits<int64_t>::max());
  if (!value) return std::nullopt;
  return Duration(static_cast<int64_t>(*value));
}

std::optional<uint64_t> parse_size(std::string_view text) noexcept {
  return parse(text, kSizes, std::numeric_limits<uint64_t>::max());
}

std::string format_duration(Duration duration) {
  const int64_t count = duration.count();
  if (count == 0) return "0";
  const uint64_t size = count < 0 ? 0 - static_cast<uint64_t>(count) : static_cast<uint64_t>(count);
  std::string text = shortest(size, kDurations);
  if (text.empty()) text = std::to_string(size) + "ns";  // measured, not configured
  return count < 0 ? "-" + text : text;
}

std::string format_size(uint64_t bytes) { return bytes == 0 ? "0" : shortest(bytes, kSizes); }

}  // namespace sluice
