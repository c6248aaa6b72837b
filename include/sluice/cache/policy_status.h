// The Cache-Status member that sluice adds (RFC 9211). Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "sluice/base/clock.h"

namespace sluice::cache {

// Why a request went to an endpoint (RFC 9211 section 2.2).
enum class ForwardReason : uint8_t {
  none,
  bypass,
  method,
  uri_miss,
  vary_miss,
  request,
  stale,
  partial
};
std::string_view to_string(ForwardReason reason) noexcept;

struct CacheStatus {
  ForwardReason forwarded = ForwardReason::none;  // none: a hit
  int forward_status = 0;                         // of the answer, where the client got another
  std::optional<Duration> ttl = {};               // negative: stale
  bool is_stored = false;
  bool is_collapsed = false;
  std::string_view detail = {};  // a token of ours: the tier of a hit, or why nothing was stored
};

inline constexpr size_t kMostCacheStatus = 128;
inline constexpr size_t kMostCacheStatusDetail = 40;
// Into `out`, which has room for kMostCacheStatus bytes; returns the size.
size_t write_cache_status(char* out, const CacheStatus& status) noexcept;

}  // namespace sluice::cache
