// What the hub says to a Redis server, and how it reads the answers: the two Lua scripts of the
// scheme in shared_tier.h. Pure. Private to cache.
//
// Whatever the server holds is input: a state or a set of another type, or with nonsense in it, is
// made anew by the scripts, which is a new epoch; a purge that does not parse is not there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/cache/purge.h"
#include "sluice/cache/shared_tier.h"
#include "sluice/redis/resp.h"

namespace sluice::cache {

inline constexpr size_t kLongestPurge = 64 * 1024;  // bytes of a purge as text
inline constexpr size_t kPurgePage = 256;           // purges that one look brings

// Both begin with
//   KEYS: state, purges      ARGV: epoch of a new state; epoch and number that the server has told
//                            before; seconds until the keys expire
// kWriteScript: KEYS: base keys of entries to remove...   ARGV: channel, how many purges to keep,
//   texts...   It returns the epoch and the number of the last of them.
// kLookScript: ARGV: epoch and number up to which the purges are known, "1" to put off the expiry.
//   It returns the epoch, the last number, 1 if there are more, and purges from the oldest on.
extern const std::string_view kWriteScript;
extern const std::string_view kLookScript;

struct NumberedPurge {
  uint64_t number;
  PurgeOrder order;
};
struct PurgeNews {
  SharedStamp stamp;
  PurgeOrder order;
};
struct PurgePage {
  SharedStamp state;
  bool has_more = false;
  std::vector<NumberedPurge> purges;  // as the server lists them; without what does not parse
  size_t broken = 0;                  // how many did not
};

std::optional<PurgeNews> parse_news(std::string_view payload);
std::optional<NumberedPurge> parse_numbered(std::string_view member);
// nullopt: not what the script returns.
std::optional<PurgePage> read_page(const redis::Reply& reply);
std::optional<SharedStamp> read_written(const redis::Reply& reply);

// What others would not take for its length, as a purge of more than was asked for.
PurgeOrder within_limits(const PurgeOrder& order);

// What the answer to INFO memory gives cause to warn of; empty: nothing.
std::string memory_warning(std::string_view info);

}  // namespace sluice::cache
