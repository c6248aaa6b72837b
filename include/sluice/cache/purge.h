// A purge as it is asked for, in the memory tier and as one line of text for the shared one. Pure
// but for the store that it changes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sluice/base/arena.h"
#include "sluice/base/hash.h"
#include "sluice/cache/tags.h"

namespace sluice::cache {

class MemoryStore;

struct PurgeOrder {
  enum class What : uint8_t { url, prefix, tag, all };

  What what = What::all;
  PurgeKind kind = PurgeKind::hard;
  std::string url;   // url, prefix: as canonical_url() makes it
  uint64_t tag = 0;  // tag: as tag_hash() or group_tag() makes it
  bool operator==(const PurgeOrder&) const = default;
};

// Any thread. How many entries were there by that name: those of tags and under keys with extras
// are found gone later, and not counted.
size_t purge_memory(MemoryStore& store, const HashSecret& secret, const PurgeOrder& order,
                    Arena& arena);

// For who has no store, but fills under way.
void note_purge(Purges& purges, const PurgeOrder& order);

// "hard url http://host:80/path", "soft tag 00a1b2c3d4e5f607", "hard all". Text of anybody in:
// nullopt when it is none.
std::string to_text(const PurgeOrder& order);
std::optional<PurgeOrder> parse_purge(std::string_view text);

}  // namespace sluice::cache
