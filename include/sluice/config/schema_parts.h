// What the files of the table share: units of ranges, and sections that stand in a file of their
// own.
#pragma once

#include <cstdint>

#include "sluice/config/schema.h"

namespace sluice::config {

inline constexpr uint64_t kMs = 1'000'000, kSecond = 1000 * kMs, kMinute = 60 * kSecond;
inline constexpr uint64_t kHour = 60 * kMinute, kDay = 24 * kHour, kYear = 365 * kDay;
inline constexpr uint64_t kKiB = 1024, kMiB = 1024 * kKiB, kGiB = 1024 * kMiB, kTiB = 1024 * kGiB;
inline constexpr uint64_t kMillion = 1'000'000;

const Section& cache_section();        // Cache: of the whole process
const Section& route_cache_section();  // RouteCache

}  // namespace sluice::config
