// GET /api/v1/cache?url=URL[&header=NAME:VALUE]...: what the memory tier has of a URL, what a GET
// with these fields would get now, and why nothing is stored as far as that can be told.
//
//   {"url", "route": {...} | null, "answer": {"result", "why", "text"}, "entries": [...], "redis"}
//
// `result` is what the access log would have: hit, stale, validate, miss, bypass; "none" where the
// cache has no part. `entries` are of all variants and keys of the URL, `is_match` the one that the
// GET would get. Tags are kept as hashes, so only their number is known. Looking is no use of an
// entry, and counts nowhere. Thread: control.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sluice/admin/port.h"
#include "sluice/base/chunk_pool.h"
#include "sluice/proxy/handler.h"

namespace sluice::admin {

inline constexpr std::string_view kCachePath = "/api/v1/cache";
// Entries that are shown.
inline constexpr size_t kMostLooked = 256;

proxy::HandlerReply look_into_cache(Port& port, const proxy::HandlerRequest& request,
                                    ChunkPool& chunks);

// The query of such a request, and back.
struct CacheQuestion {
  std::string url;  // canonical
  std::vector<std::pair<std::string, std::string>> fields;
  bool is_pretty = false;
  std::string problem;  // what is wrong and what would be right
};
CacheQuestion parse_cache_question(std::string_view query);
std::string cache_question(std::string_view url, const std::vector<std::string>& fields);

}  // namespace sluice::admin
