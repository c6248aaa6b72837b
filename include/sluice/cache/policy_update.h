// A stored response after an answer that brings its fields anew: a 304 (RFC 9111 section 4.3.4),
// the rest of a 206 (section 3.4) or a response to HEAD (section 4.3.5). Pure; texts live in the
// arena.
#pragma once

#include <cstdint>
#include <optional>

#include "sluice/base/arena.h"
#include "sluice/base/clock.h"
#include "sluice/cache/entry.h"
#include "sluice/cache/key.h"
#include "sluice/cache/policy_store.h"
#include "sluice/http/message.h"

namespace sluice::cache {

struct UpdateFacts {
  const http::RequestHead& request;  // as it was sent
  const KeyUrl& url;
  const http::FieldList& answer;
  WallTime sent;
  WallTime came;
  uint32_t random = 0;   // any number, for the jitter
  uint64_t started = 0;  // of purges, before it was sent
  // The stored response answers this request, and from now on those like it. Else it goes on
  // answering those that it was stored for.
  bool is_for_request = true;
};
struct Update {
  std::optional<EntrySpec> spec;  // none: the stored response stays as it is
  // Why it may not be stored any more: then `spec` is for who asked alone.
  NoStoreReason refused = NoStoreReason::kNone;
  bool is_stored() const noexcept { return spec && refused == NoStoreReason::kNone; }
};
Update judge_update(const Entry& old, const UpdateFacts& facts, const CacheRules& rules,
                    Arena& arena);

// Whether an answer that is not stored is what the resource has become, and not what became of this
// one request: its fields, or who sent it. Otherwise anybody could empty the cache with requests
// that the endpoint does not like.
bool is_of_resource(const http::RequestHead& request, int status, NoStoreReason refused) noexcept;

}  // namespace sluice::cache
