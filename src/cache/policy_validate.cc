#include "sluice/cache/policy_validate.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "sluice/base/check.h"
#include "sluice/base/strings.h"
#include "sluice/cache/policy_reuse.h"
#include "sluice/http/accept.h"
#include "sluice/http/conditional.h"

namespace sluice::cache {
namespace {

using http::FieldId;

constexpr size_t kMostTagBytes = 4096;  // that If-None-Match may have in all

http::Validators validators_of(const Stored& response) noexcept {
  return http::validators_of(
      response.fields,
      std::chrono::floor<std::chrono::seconds>(response.received.time_since_epoch()).count());
}

std::string_view value_of(const http::FieldList& fields, FieldId id) noexcept {
  const http::Field* field = fields.find(id);
  return field == nullptr ? std::string_view() : field->value;
}

constexpr StoredSet bit(size_t i) noexcept { return StoredSet{1} << i; }

// A list of tags, as they came.
class TagText {
 public:
  explicit TagText(Arena& arena) noexcept : out_(arena.allocate_array<char>(kMostTagBytes)) {}

  bool add(std::string_view tag) noexcept {
    const std::string_view comma = size_ == 0 ? "" : ", ";
    if (tag.size() + comma.size() > kMostTagBytes - size_) return false;
    put(comma);
    put(tag);
    return true;
  }
  std::string_view text() const noexcept { return {out_, size_}; }

 private:
  void put(std::string_view text) noexcept {
    if (!text.empty()) std::memcpy(out_ + size_, text.data(), text.size());
    size_ += text.size();
  }

  char* out_;
  size_t size_ = 0;
};

// RFC 9110 section 8.8.2.2: a cache may hold a date for strong when the Date is later.
bool is_strong_date(const http::Validators& validators) noexcept {
  return validators.last_modified && validators.date &&
         *validators.date - *validators.last_modified >= 1;
}

bool has_same_date(const http::Validators& a, const http::Validators& b) noexcept {
  return a.last_modified && b.last_modified && *a.last_modified == *b.last_modified;
}

template <typename F>
StoredSet all_that(std::span<const Stored> stored, F&& matches) noexcept {
  StoredSet found = 0;
  for (size_t i = 0; i < stored.size(); ++i) {
    if (matches(validators_of(stored[i]))) found |= bit(i);
  }
  return found;
}

StoredSet most_recent(std::span<const Stored> stored, StoredSet among) noexcept {
  size_t newest = stored.size();
  for (size_t i = 0; i < stored.size(); ++i) {
    if ((among & bit(i)) == 0) continue;
    if (newest == stored.size() || stored[i].received > stored[newest].received) newest = i;
  }
  return newest == stored.size() ? 0 : bit(newest);
}

}  // namespace

// RFC 9111 section 4.3.1: the tags of all; a date only of the one that would be used.
Conditions conditions_for(std::span<const Stored> stored, std::optional<size_t> matching,
                          Arena& arena) {
  SL_CHECK(stored.size() <= kMostStored);
  Conditions out;
  TagText tags(arena);
  const auto take_tag = [&](size_t i) {
    const bool is_good = validators_of(stored[i]).etag.has_value();
    if (is_good && tags.add(value_of(stored[i].fields, FieldId::kEtag))) out.asked |= bit(i);
  };
  if (matching) take_tag(*matching);
  for (size_t i = 0; i < stored.size(); ++i) {
    if (i != matching) take_tag(i);
  }
  out.if_none_match = tags.text();
  const bool is_date_clear = matching && (out.asked & ~bit(*matching)) == 0;
  if (is_date_clear && validators_of(stored[*matching]).last_modified) {
    // As it came: endpoints compare the text.
    out.if_modified_since = value_of(stored[*matching].fields, FieldId::kLastModified);
    out.asked |= bit(*matching);
  }
  return out;
}

bool may_select(const Stored& stored, const http::FieldList& request) noexcept {
  const auto etag = validators_of(stored).etag;
  if (!etag || etag->is_weak) return false;
  bool is_coded = false;
  for (const http::Field& field : stored.fields) {
    if (field.id != FieldId::kContentEncoding) continue;
    is_coded = true;
    if (!http::accepts_codings(request, field.value)) return false;
  }
  return is_coded || http::accepts_codings(request, "");
}

std::string_view range_condition(const Stored& stored) noexcept {
  const http::Validators validators = validators_of(stored);
  if (validators.etag && !validators.etag->is_weak) return value_of(stored.fields, FieldId::kEtag);
  // RFC 9110 section 13.1.5: no date where there is a tag.
  if (validators.etag || !is_strong_date(validators)) return {};
  return value_of(stored.fields, FieldId::kLastModified);
}

bool may_combine(const Stored& a, const Stored& b) noexcept {
  const http::Validators left = validators_of(a);
  const http::Validators right = validators_of(b);
  if (left.etag || right.etag) {
    return left.etag && right.etag && http::matches_strongly(*left.etag, *right.etag);
  }
  return has_same_date(left, right) && is_strong_date(left) && is_strong_date(right);
}

// RFC 9111 section 4.3.3: after an error of the endpoint the stored response may do.
ValidationAnswer answer_of(int status) noexcept {
  if (status == 304) return ValidationAnswer::not_modified;
  return failure_of(status) ? ValidationAnswer::failed : ValidationAnswer::replaced;
}

StoredSet select_stored(std::span<const Stored> stored, StoredSet asked,
                        const Stored& not_modified) noexcept {
  SL_CHECK(stored.size() <= kMostStored);
  // Who was asked about one response and says 304 means that one: the condition named no other (RFC
  // 9110 section 13.1.2). Section 4.3.4 would have the 304 not used when it has another strong
  // validator, but an endpoint that contradicts itself so did still say "not modified".
  if (std::has_single_bit(asked)) return asked;
  const http::Validators now = validators_of(not_modified);
  if (now.etag && !now.etag->is_weak) {
    return all_that(stored, [&](const http::Validators& one) {
      return one.etag && http::matches_strongly(*one.etag, *now.etag);
    });
  }
  if (now.etag) {
    return most_recent(stored, all_that(stored, [&](const http::Validators& one) {
                         return one.etag && http::matches_weakly(*one.etag, *now.etag);
                       }));
  }
  const StoredSet same_date =
      all_that(stored, [&](const http::Validators& one) { return has_same_date(one, now); });
  return most_recent(stored, same_date);
}

HeadEffect judge_head(const Stored& stored, std::optional<uint64_t> length,
                      const Stored& answer) noexcept {
  const auto is_same = [&](FieldId id) {
    return !answer.fields.has(id) || value_of(answer.fields, id) == value_of(stored.fields, id);
  };
  if (!is_same(FieldId::kEtag) || !is_same(FieldId::kLastModified)) return HeadEffect::mark_stale;
  const http::Field* field = answer.fields.find(FieldId::kContentLength);
  const bool is_same_length = field == nullptr || !length || parse_decimal(field->value) == length;
  return is_same_length ? HeadEffect::update : HeadEffect::mark_stale;
}

}  // namespace sluice::cache
