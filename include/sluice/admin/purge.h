// POST /api/v1/purge: what people and programs have the cache forget.
//
//   {"url": U} | {"prefix": P} | {"tag": T} | {"group": G, "url": U} | {"all": true}
//   {"urls": [...], "prefixes": [...], "tags": [...]}      any of the three, together
//   each with "soft": true, which marks stale in place of removing
//
// A tag names Surrogate-Key and Cache-Tag. A group of Cache-Groups is its origin's alone (RFC 9875
// section 2.1), so that goes with it. Nothing is purged unless all of the body is well. Thread:
// control.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/admin/port.h"
#include "sluice/base/chunk_pool.h"
#include "sluice/cache/tags.h"
#include "sluice/proxy/handler.h"

namespace sluice::admin {

inline constexpr std::string_view kPurgePath = "/api/v1/purge";

struct PurgeAsk {
  enum class What : uint8_t { url, prefix, tag, group, all };
  What what = What::all;
  std::string name;  // the URL or prefix as canonical_url() makes it, the tag, the group
  std::string url;   // of a group: any of its origin, canonical
  bool operator==(const PurgeAsk&) const = default;
};
std::string_view to_string(PurgeAsk::What what) noexcept;

struct ParsedPurge {
  std::vector<PurgeAsk> asks;  // at least one, unless there is a problem
  cache::PurgeKind kind = cache::PurgeKind::hard;
  bool is_list = false;
  std::string problem;  // what is wrong and what would be right
};
// Pure.
ParsedPurge parse_purge_body(std::string_view body);

// The canonical form of a URL that a person wrote, or what is wrong with it. Pure.
struct ParsedUrl {
  std::string url;
  std::string problem;
};
ParsedUrl parse_person_url(std::string_view text);

proxy::HandlerReply purge(Port& port, const proxy::HandlerRequest& request, ChunkPool& chunks);

}  // namespace sluice::admin
