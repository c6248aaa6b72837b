#include "sluice/cache/policy_update.h"

#include <algorithm>
#include <new>

#include "sluice/cache/policy_fields.h"
#include "sluice/cache/vary.h"

namespace sluice::cache {
namespace {

bool has_names(std::span<const VaryField> vary, std::span<const std::string_view> names) noexcept {
  return std::equal(
      vary.begin(), vary.end(), names.begin(), names.end(),
      [](const VaryField& field, std::string_view name) { return field.name == name; });
}

EntrySpec spec_for_one(const Entry& old, const http::FieldList& fields, WallTime came,
                       Arena& arena) {
  auto* kept = arena.allocate_array<http::Field>(fields.size());
  size_t count = 0;
  for (const http::Field& field : fields) {
    if (is_storable(field, fields, {})) new (&kept[count++]) http::Field(field);
  }
  EntrySpec spec = old.spec();
  spec.fields = {kept, count};
  spec.times.response = came;
  spec.times.initial_age = spec.times.freshness = Duration{0};
  return spec;
}

}  // namespace

Update judge_update(const Entry& old, const UpdateFacts& facts, const CacheRules& rules,
                    Arena& arena) {
  http::ResponseHead now;
  now.status = old.status();
  now.reason = old.head().reason;
  now.fields = http::FieldList(update_fields(old.fields(), facts.answer, arena));
  StoreFacts store{facts.request, facts.url, now, facts.sent, facts.came, facts.random};
  store.is_update = true;
  store.old_tags = old.tags();
  const StorePlan plan = judge_store(store, rules, arena);
  if (!plan.is_stored()) return {spec_for_one(old, now.fields, facts.came, arena), plan.refused};
  Update update{old.spec(), NoStoreReason::kNone};
  EntrySpec& spec = *update.spec;
  if (facts.is_for_request) {
    spec.vary = vary_of(plan.vary, facts.request.fields, arena);
  } else if (!has_names(old.vary(), plan.vary)) {
    return {};  // what its request had in those fields nobody knows any more
  }
  spec.fields = plan.fields;
  spec.times = plan.times;
  spec.flags = plan.flags;
  spec.started = facts.started;
  spec.tags = plan.tags;
  return update;
}

// RFC 9111 section 4.3.3 lets a cache keep what it does not replace.
bool is_of_resource(const http::RequestHead& request, int status, NoStoreReason refused) noexcept {
  const bool is_personal =
      refused == NoStoreReason::kPrivate || refused == NoStoreReason::kSetCookie;
  if (is_personal && request.fields.has(http::FieldId::kCookie)) return false;
  if (request.fields.has(http::FieldId::kAuthorization)) return false;
  return (status >= 200 && status < 400) || status == 404 || status == 410;
}

}  // namespace sluice::cache
