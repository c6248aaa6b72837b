// GET /api/v1/cache?url=URL[&header=NAME:VALUE]...: what the cache has of a URL in memory and,
// where there is a shared tier, in Redis; what a GET with these fields would get now, and why
// nothing is stored as far as that can be told.
//
//   {"url", "route": {...} | null, "answer": {"result", "why", "text"}, "entries": [...],
//    "redis": [{"server", "url", "key", "answer", "text", "expires_s"}...] | null}
//
// `result` is what the access log would have: hit, stale, validate, miss, bypass; "none" where the
// cache has no part. `entries` are of all variants and keys of the URL, `is_match` the one of its
// tier that the GET would get. Tags are kept as hashes, so only their number is known. Looking is
// no use of an entry, and counts nowhere. `redis` has an element for each key that the URL is known
// to have; `answer` is found, absent, late, away or refused. It is asked for once, and a server
// that hangs costs a second.
//
// Owner: the Api. Thread: control. Lifetime: looks under way end with their owner, unanswered.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sluice/admin/port.h"
#include "sluice/proxy/handler.h"

namespace sluice::admin {

inline constexpr std::string_view kCachePath = "/api/v1/cache";
// Entries that are shown.
inline constexpr size_t kMostLooked = 256;

class CacheLooks {
 public:
  explicit CacheLooks(Port& port) noexcept;
  ~CacheLooks();
  CacheLooks(const CacheLooks&) = delete;
  CacheLooks& operator=(const CacheLooks&) = delete;

  // Answers the call, inside it or later.
  void look(const std::shared_ptr<proxy::HandlerCall>& call);

 private:
  class Looking;
  void end(Looking& looking) noexcept;

  Port& port_;
  std::vector<std::unique_ptr<Looking>> looking_;
};

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
