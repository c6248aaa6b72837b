// What is stored in either tier, as GET /api/v1/cache shows it. Private to admin; pure.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "sluice/base/clock.h"
#include "sluice/cache/entry.h"
#include "sluice/cache/policy_reuse.h"
#include "sluice/cache/shared_inspect.h"

namespace sluice::admin {

using OrderedJson = nlohmann::ordered_json;

int64_t whole_seconds(Duration duration);
OrderedJson text_or_null(std::string_view text);

// Why it is not fresh, or null.
OrderedJson why_stale(const cache::EntryFacts& facts, WallTime now);

OrderedJson memory_json(const cache::Entry& entry, bool is_match, WallTime now);
// `is_asked_for`: its key is that of the request.
OrderedJson redis_json(const cache::SharedFinding& finding, const cache::SharedVariant& variant,
                       bool is_asked_for, WallTime now);
// What the server said of one key, without its entries.
OrderedJson finding_json(const cache::SharedFinding& finding, std::string_view url);

}  // namespace sluice::admin
