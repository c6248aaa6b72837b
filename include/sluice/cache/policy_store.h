// Whether a response is stored, and what of it (RFC 9111 section 3). Pure; texts live in the arena.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "sluice/base/arena.h"
#include "sluice/cache/entry.h"
#include "sluice/cache/key.h"
#include "sluice/cache/policy_rules.h"
#include "sluice/cache/tags.h"
#include "sluice/http/message.h"
#include "sluice/http/range.h"

namespace sluice::cache {

enum class NoStoreReason : uint8_t {
#define SL_NO_STORE(name, ...) name,
#include "sluice/cache/policy_no_store.def"
#undef SL_NO_STORE
  kCount
};
std::string_view to_string(NoStoreReason reason) noexcept;
// The key deserves a marker that says so, for CacheRules::uncacheable_ttl. Only GET tells what the
// next GET will bring.
bool is_marked(NoStoreReason reason, http::Method method) noexcept;

// An entry has no more tags.
inline constexpr size_t kMostEntryTags = 255;

struct StoreFacts {
  const http::RequestHead& request;  // as it was sent
  const KeyUrl& url;
  const http::ResponseHead& response;
  WallTime sent;
  WallTime came;
  uint32_t random = 0;  // any number, for the jitter
  // A stored response with the fields of update_fields(): its request's method and its status have
  // been judged before.
  bool is_update = false;
  std::span<const EntryTag> old_tags =
      {};  // with is_update: kept where the endpoint names no others
};

struct StorePlan {
  NoStoreReason refused = NoStoreReason::kNone;
  // What follows counts only when nothing was refused.
  int status = 0;  // 200 for a 206, which is an incomplete 200 (RFC 9111 section 3.3)
  std::string_view reason;
  std::span<const http::Field> fields;  // with a Date in any case
  std::span<const std::string_view> vary;
  EntryTimes times;
  uint16_t flags = 0;
  std::span<const EntryTag> tags;
  // Of a 206: where its bytes belong. The end is as announced; what comes decides.
  std::optional<http::ByteRange> range;
  std::optional<uint64_t> complete_length;  // of the representation, from Content-Range

  bool is_stored() const noexcept { return refused == NoStoreReason::kNone; }
};

StorePlan judge_store(const StoreFacts& facts, const CacheRules& rules, Arena& arena);

// The entry that a plan makes, but for its parts. Views of the plan's and the key's.
EntrySpec spec_of(const StorePlan& plan, const Key& key, std::span<const VaryField> vary,
                  uint64_t started) noexcept;

// How long it is worth keeping an entry from the moment it came.
Duration storage_time(const EntryTimes& times, bool has_validator,
                      const CacheRules& rules) noexcept;

}  // namespace sluice::cache
