// Durations and sizes with units, as people write them: 500ms, 30s, 5m, 2h, 1d; 0, 512B, 16KiB,
// 8MiB, 1GiB, 10MB.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sluice/base/clock.h"

namespace sluice {

// nullopt when there is no unit (a bare 0 is allowed), an unknown unit, a sign or an overflow.
std::optional<Duration> parse_duration(std::string_view text) noexcept;
std::optional<uint64_t> parse_size(std::string_view text) noexcept;

inline constexpr std::string_view kDurationUnits = "us, ms, s, m, h, d";
inline constexpr std::string_view kSizeUnits = "B, KiB, MiB, GiB, KB, MB, GB";

// The shortest exact spelling in the units above.
std::string format_duration(Duration duration);
std::string format_size(uint64_t bytes);

}  // namespace sluice
