#include "sluice/cache/policy_store.h"

#include <algorithm>

#include "sluice/base/strings.h"
#include "sluice/cache/entry_codec.h"
#include "sluice/cache/policy_fields.h"
#include "sluice/cache/policy_freshness.h"
#include "sluice/cache/policy_invalidate.h"
#include "sluice/cache/vary.h"
#include "sluice/http/conditional.h"
#include "sluice/http/http_date.h"
#include "sluice/http/structured.h"

namespace sluice::cache {
namespace {

using http::FieldId;

// One more is the store's (url_tag_hash()).
static_assert(kMostEntryTags < kMostTagsWritten);

struct Row {
  std::string_view token;
  bool marks;
};
constexpr Row kRows[] = {
#define SL_NO_STORE(name, token, marks, help) {token, marks},
#include "sluice/cache/policy_no_store.def"
#undef SL_NO_STORE
};

// Everything about one response that the conditions ask for.
struct Candidate {
  const StoreFacts& facts;
  const CacheRules& rules;
  const http::FieldList& fields;
  const EffectiveDirectives& directives;
  const Freshness& freshness;
  int status;
};

// RFC 9111 section 3: not final, or 304, which only updates. 412 and 416 answer the condition or
// range of one request; RFC 6585 sections 3 to 6: 428, 429, 431 and 511 must not be stored.
bool is_for_one_request(int status) noexcept {
  switch (status) {
    case 304:
    case 412:
    case 416:
    case 428:
    case 429:
    case 431:
    case 511:
      return true;
    default:
      return status < 200;
  }
}

// RFC 9111 section 5.2.2.3: whose requirements for caching are met here, which are those of RFC
// 9110 section 15.
bool is_understood(int status) noexcept {
  return (status >= 200 && status <= 206) || (status >= 300 && status <= 303) || status == 305 ||
         status == 307 || status == 308 || (status >= 400 && status <= 417) || status == 421 ||
         status == 422 || status == 426 || (status >= 500 && status <= 505);
}

bool is_shared_explicitly(const Candidate& candidate) noexcept {
  return candidate.freshness.source == LifetimeSource::endpoint ||
         candidate.directives.values.is_public;
}

// RFC 9110 section 9.3.3: explicit freshness, and the content is what a GET of the target gives.
bool is_storable_post(const Candidate& candidate, Arena& arena) {
  const http::Field* location = candidate.fields.find(FieldId::kContentLocation);
  if (candidate.status != 200 || candidate.freshness.source != LifetimeSource::endpoint ||
      location == nullptr || candidate.fields.is_repeated(FieldId::kContentLocation)) {
    return false;
  }
  return resolve_target(candidate.facts.url, location->value, arena) == candidate.facts.url.target;
}

NoStoreReason refuse_method(const Candidate& candidate, Arena& arena) {
  if (candidate.facts.is_update) return NoStoreReason::kNone;
  switch (candidate.facts.request.method) {
    case http::Method::get:
      return NoStoreReason::kNone;
    case http::Method::head:
      return NoStoreReason::kHead;
    case http::Method::post:
      if (is_storable_post(candidate, arena)) return NoStoreReason::kNone;
      break;
    case http::Method::put:
    case http::Method::delete_:
    case http::Method::options:
    case http::Method::patch:
    case http::Method::connect:
    case http::Method::trace:
    case http::Method::other:
      break;
  }
  return NoStoreReason::kMethod;
}

// The directives of RFC 9111 section 3 that forbid.
NoStoreReason refuse_directives(const Candidate& candidate) noexcept {
  const http::ResponseDirectives& directives = candidate.directives.values;
  if (http::parse_request_directives(candidate.facts.request.fields).no_store) {
    return NoStoreReason::kRequest;  // section 5.2.1.5
  }
  if (directives.must_understand && !is_understood(candidate.status)) {
    return NoStoreReason::kNotUnderstood;  // section 5.2.2.3
  }
  // With a must-understand that is understood, no-store is for other caches (the same).
  if (directives.no_store && !directives.must_understand) return NoStoreReason::kNoStore;
  if (directives.is_private) return NoStoreReason::kPrivate;  // section 5.2.2.7
  return NoStoreReason::kNone;
}

// Responses that may be one user's.
NoStoreReason refuse_personal(const Candidate& candidate) noexcept {
  const http::ResponseDirectives& directives = candidate.directives.values;
  // RFC 9111 section 3.5
  if (candidate.facts.request.fields.has(FieldId::kAuthorization) && !directives.is_public &&
      !directives.must_revalidate && !directives.s_maxage) {
    return NoStoreReason::kAuthorization;
  }
  // RFC 9111 section 7.3: storing a cookie is allowed, and its sender is told to forbid it. Many do
  // not know; so it takes more than a guess or a rule of ours.
  const bool sets_cookie =
      std::any_of(candidate.fields.begin(), candidate.fields.end(), [&](const http::Field& field) {
        return field.id == FieldId::kSetCookie && is_storable(field, candidate.fields, directives);
      });
  const bool may_share_cookie =
      candidate.rules.set_cookie == SetCookieRule::when_explicit && is_shared_explicitly(candidate);
  return sets_cookie && !may_share_cookie ? NoStoreReason::kSetCookie : NoStoreReason::kNone;
}

bool has_validator(const Candidate& candidate) noexcept {
  const http::Validators validators = http::validators_of(candidate.fields, 0);
  return validators.etag || validators.last_modified;
}

// RFC 9111 section 3, last item, and whether the entry would be of any use.
NoStoreReason refuse_freshness(const Candidate& candidate) noexcept {
  const Freshness& freshness = candidate.freshness;
  const EntryTimes& times = freshness.times;
  const bool can_validate = has_validator(candidate);
  if (freshness.source == LifetimeSource::none) {
    const bool may_store =
        candidate.directives.values.is_public || is_heuristically_cacheable(candidate.status);
    const bool is_of_use = can_validate || times.stale_while_revalidate > Duration{};
    return may_store && is_of_use ? NoStoreReason::kNone : NoStoreReason::kNoFreshness;
  }
  const bool may_go_unvalidated = times.freshness > Duration{} ||
                                  times.stale_while_revalidate > Duration{} ||
                                  times.stale_if_error > Duration{};
  const bool needs_validation =
      candidate.directives.values.no_cache && freshness.source != LifetimeSource::forced;
  const bool is_of_use = can_validate || (may_go_unvalidated && !needs_validation);
  return is_of_use ? NoStoreReason::kNone : NoStoreReason::kExpired;
}

// Fields by which some frameworks take the method or the target from elsewhere. Theirs is the
// answer to that, which must not be given to who asks for the URL itself.
bool has_override(const http::FieldList& fields) noexcept {
  constexpr std::string_view kNames[] = {"x-http-method-override", "x-http-method",
                                         "x-method-override", "x-original-url", "x-rewrite-url"};
  return std::any_of(std::begin(kNames), std::end(kNames),
                     [&](std::string_view name) { return fields.find(name) != nullptr; });
}

NoStoreReason refuse_response(const Candidate& candidate, Arena& arena) {
  if (is_for_one_request(candidate.status)) return NoStoreReason::kStatus;
  if (has_override(candidate.facts.request.fields)) return NoStoreReason::kOverride;
  NoStoreReason reason = refuse_method(candidate, arena);
  if (reason == NoStoreReason::kNone) reason = refuse_directives(candidate);
  if (reason == NoStoreReason::kNone) reason = refuse_personal(candidate);
  if (reason == NoStoreReason::kNone) reason = refuse_freshness(candidate);
  return reason;
}

// RFC 9111 section 3.3. Several ranges in one body could be taken apart; nobody sends them to
// caches.
bool plan_range(const Candidate& candidate, StorePlan& plan) noexcept {
  const http::Field* field = candidate.fields.find(FieldId::kContentRange);
  const bool was_asked = candidate.facts.request.method == http::Method::get &&
                         candidate.facts.request.fields.has(FieldId::kRange);
  if (!was_asked || field == nullptr || candidate.fields.is_repeated(FieldId::kContentRange)) {
    return false;
  }
  const auto content_range = http::parse_content_range(field->value);
  if (!content_range || !content_range->range) return false;
  plan.range = content_range->range;
  plan.complete_length = content_range->length;
  plan.status = 200;
  plan.reason = http::reason_phrase(200);
  return true;
}

uint16_t flags_of(const Candidate& candidate) noexcept {
  const http::ResponseDirectives& directives = candidate.directives.values;
  const bool is_forced = candidate.freshness.source == LifetimeSource::forced;
  // RFC 9111 section 5.2.2.10: s-maxage means proxy-revalidate too.
  const bool has_window = directives.stale_while_revalidate || directives.stale_if_error;
  const bool s_maxage_binds =
      directives.s_maxage && !(candidate.rules.stale_beside_s_maxage && has_window);
  uint16_t flags = 0;
  const auto set = [&flags](EntryFlag flag, bool is_set) {
    if (is_set) flags |= static_cast<uint16_t>(flag);
  };
  set(EntryFlag::must_revalidate,
      directives.must_revalidate || directives.proxy_revalidate || s_maxage_binds);
  set(EntryFlag::no_cache, directives.no_cache && !is_forced);
  set(EntryFlag::immutable, directives.is_immutable);
  set(EntryFlag::heuristic, candidate.freshness.source == LifetimeSource::guess);
  set(EntryFlag::has_authorization, candidate.facts.request.fields.has(FieldId::kAuthorization));
  return flags;
}

// RFC 9110 section 6.6.1: one that cannot be read may be replaced by the time of receipt.
bool has_good_date(const http::FieldList& fields) noexcept {
  const http::Field* date = fields.find(FieldId::kDate);
  return date != nullptr && !fields.is_repeated(FieldId::kDate) &&
         http::parse_http_date(date->value, 0).has_value();
}

std::string_view date_text(WallTime time, Arena& arena) noexcept {
  constexpr size_t kSize = 29;
  char* text = arena.allocate_array<char>(kSize);
  http::write_http_date(text,
                        std::chrono::floor<std::chrono::seconds>(time.time_since_epoch()).count());
  return {text, kSize};
}

std::span<const http::Field> stored_fields(const Candidate& candidate, bool is_part, Arena& arena) {
  auto* out = arena.allocate_array<http::Field>(candidate.fields.size() + 1);
  const bool keeps_date = has_good_date(candidate.fields);
  bool has_date = false;
  size_t count = 0;
  for (const http::Field& field : candidate.fields) {
    const bool is_of_part =
        field.id == FieldId::kContentRange || field.id == FieldId::kContentLength;
    if ((is_part && is_of_part) || (field.id == FieldId::kDate && !keeps_date)) continue;
    if (!is_storable(field, candidate.fields, candidate.directives.values)) continue;
    new (&out[count++]) http::Field(field);
    has_date |= field.id == FieldId::kDate;
  }
  if (!has_date) {
    new (&out[count++]) http::Field{"Date", date_text(candidate.facts.came, arena), FieldId::kDate};
  }
  return {out, count};
}

class TagList {
 public:
  explicit TagList(Arena& arena) noexcept : arena_(arena) {}

  // False when there is no more room.
  bool add(const EntryTag& tag) noexcept {
    for (size_t i = 0; i < count_; ++i) {
      if (tags_[i].hash == tag.hash) return true;
    }
    if (count_ == kMostEntryTags) return false;
    if (tags_ == nullptr) tags_ = arena_.allocate_array<EntryTag>(kMostEntryTags);
    new (&tags_[count_++]) EntryTag(tag);
    return true;
  }
  std::span<const EntryTag> all() const noexcept { return {tags_, count_}; }

 private:
  Arena& arena_;
  EntryTag* tags_ = nullptr;
  size_t count_ = 0;
};

// Surrogate-Key separates by spaces, Cache-Tag by commas; a comma is no part of a key anywhere.
bool add_tags(std::string_view value, std::string_view separators, TagList& out) noexcept {
  while (!value.empty()) {
    const size_t end = std::min(value.find_first_of(separators), value.size());
    const std::string_view tag = trim(value.substr(0, end));
    value.remove_prefix(std::min(end + 1, value.size()));
    if (!tag.empty() && !out.add({tag_hash(tag)})) return false;
  }
  return true;
}

bool add_named_tags(const StoreFacts& facts, TagList& out) noexcept {
  const http::FieldList& fields = facts.response.fields;
  if (!fields.has(FieldId::kSurrogateKey) && !fields.has(FieldId::kCacheTag)) {
    return std::all_of(facts.old_tags.begin(), facts.old_tags.end(),
                       [&](const EntryTag& tag) { return out.add(tag); });
  }
  for (const http::Field& field : fields) {
    if (field.id == FieldId::kSurrogateKey && !add_tags(field.value, " \t,", out)) return false;
    if (field.id == FieldId::kCacheTag && !add_tags(field.value, ",", out)) return false;
  }
  return true;
}

// RFC 9875 section 2; a field that is no List of Strings is ignored.
bool add_groups(const StoreFacts& facts, TagList& out, Arena& arena) {
  const auto groups = http::parse_string_list(facts.response.fields, "cache-groups", arena);
  if (!groups) return true;
  return std::all_of(groups->begin(), groups->end(), [&](std::string_view group) {
    return out.add({group_tag(facts.url, group, arena)});
  });
}

// An entry that no longer knew all of its tags would escape a purge.
bool plan_tags(const StoreFacts& facts, StorePlan& plan, Arena& arena) {
  TagList tags(arena);
  if (!add_named_tags(facts, tags) || !add_groups(facts, tags, arena)) return false;
  plan.tags = tags.all();
  return true;
}

// What is found out while the plan is made.
NoStoreReason make_plan(const Candidate& candidate, StorePlan& plan, Arena& arena) {
  plan.status = candidate.status;
  plan.reason = candidate.facts.response.reason;
  if (candidate.status == 206 && !plan_range(candidate, plan)) return NoStoreReason::kRange;
  const auto names = vary_names(candidate.fields, arena);
  if (!names) return NoStoreReason::kVary;  // RFC 9111 section 4.1
  if (!plan_tags(candidate.facts, plan, arena)) return NoStoreReason::kTooManyTags;
  plan.vary = *names;
  plan.times = candidate.freshness.times;
  plan.flags = flags_of(candidate);
  plan.fields = stored_fields(candidate, plan.range.has_value(), arena);
  return NoStoreReason::kNone;
}

}  // namespace

std::string_view to_string(NoStoreReason reason) noexcept {
  return reason < NoStoreReason::kCount ? kRows[static_cast<size_t>(reason)].token : "?";
}

bool is_marked(NoStoreReason reason, http::Method method) noexcept {
  return method == http::Method::get && reason < NoStoreReason::kCount &&
         kRows[static_cast<size_t>(reason)].marks;
}

StorePlan judge_store(const StoreFacts& facts, const CacheRules& rules, Arena& arena) {
  const http::ResponseHead& response = facts.response;
  const EffectiveDirectives directives = effective_directives(response.fields, rules);
  const Freshness freshness = judge_freshness(
      {response.status, response.fields, directives, facts.sent, facts.came, facts.random}, rules);
  const Candidate candidate{facts, rules, response.fields, directives, freshness, response.status};
  StorePlan plan;
  plan.refused = refuse_response(candidate, arena);
  if (plan.is_stored()) plan.refused = make_plan(candidate, plan, arena);
  return plan;
}

EntrySpec spec_of(const StorePlan& plan, const Key& key, std::span<const VaryField> vary,
                  uint64_t started) noexcept {
  EntrySpec spec;
  spec.key = key;
  spec.vary = vary;
  spec.status = plan.status;
  spec.reason = plan.reason;
  spec.fields = plan.fields;
  spec.times = plan.times;
  spec.flags = plan.flags;
  spec.started = started;
  spec.tags = plan.tags;
  return spec;
}

Duration storage_time(const EntryTimes& times, bool has_validator,
                      const CacheRules& rules) noexcept {
  const Duration left = std::max(times.freshness - times.initial_age, Duration{});
  const Duration stale =
      std::max({times.stale_while_revalidate, times.stale_if_error, rules.stale_if_unreachable});
  return left + (has_validator ? std::max(stale, rules.keep) : stale);
}

}  // namespace sluice::cache
