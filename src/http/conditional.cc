#include "sluice/http/conditional.h"

#include "sluice/http/http_date.h"

namespace sluice::http {
namespace {

// RFC 9110 section 8.8.3: %x21 / %x23-7E / obs-text.
bool is_tag_char(char c) noexcept {
  const auto byte = static_cast<unsigned char>(c);
  return byte == 0x21 || (byte >= 0x23 && byte != 0x7f);
}

// The tag at the front of `rest`, which moves behind it.
std::optional<EntityTag> take_entity_tag(std::string_view& rest) noexcept {
  EntityTag tag;
  tag.is_weak = rest.starts_with("W/");  // case-sensitive
  size_t at = tag.is_weak ? 2 : 0;
  if (at == rest.size() || rest[at] != '"') return std::nullopt;
  const size_t begin = ++at;
  while (at < rest.size() && is_tag_char(rest[at])) ++at;
  if (at == rest.size() || rest[at] != '"') return std::nullopt;
  tag.opaque = rest.substr(begin, at - begin);
  rest.remove_prefix(at + 1);
  return tag;
}

// Whether some tag of the list makes matches(tag) true. At the first thing that is no tag the list
// ends: a broken list matches no more than what it says so far.
template <typename F>
bool any_tag(std::string_view list, F&& matches) noexcept {
  for (;;) {
    const size_t begin = list.find_first_not_of(", \t");
    if (begin == std::string_view::npos) return false;
    list.remove_prefix(begin);
    const auto tag = take_entity_tag(list);
    if (!tag) return false;
    const bool is_apart =
        list.empty() || list.front() == ',' || list.front() == ' ' || list.front() == '\t';
    if (!is_apart) return false;
    if (matches(*tag)) return true;
  }
}

// RFC 9110 sections 13.1.1 and 13.1.2: "*" is any representation, and one is there.
template <typename F>
bool lists_tag(const FieldList& request, FieldId id, F&& matches) noexcept {
  for (const Field& field : request) {
    if (field.id != id) continue;
    if (field.value == "*" || any_tag(field.value, matches)) return true;
  }
  return false;
}

bool if_match_holds(const FieldList& request, const Validators& validators) noexcept {
  return lists_tag(request, FieldId::kIfMatch, [&](const EntityTag& tag) {
    return validators.etag && matches_strongly(tag, *validators.etag);
  });
}

bool if_none_match_holds(const FieldList& request, const Validators& validators) noexcept {
  return !lists_tag(request, FieldId::kIfNoneMatch, [&](const EntityTag& tag) {
    return validators.etag && matches_weakly(tag, *validators.etag);
  });
}

// RFC 9110 sections 13.1.3 and 13.1.4: several dates, or none that can be read, do not count.
std::optional<int64_t> only_date(const FieldList& fields, FieldId id, int64_t now) noexcept {
  const Field* field = fields.find(id);
  if (field == nullptr || fields.is_repeated(id)) return std::nullopt;
  return parse_http_date(field->value, now);
}

// RFC 9110 section 8.8.2.2: a whole second between them, so that no second change can hide in it.
bool is_last_modified_strong(const Validators& validators) noexcept {
  return validators.last_modified && validators.date &&
         *validators.date - *validators.last_modified >= 1;
}

}  // namespace

std::optional<EntityTag> parse_entity_tag(std::string_view text) noexcept {
  const auto tag = take_entity_tag(text);
  return text.empty() ? tag : std::nullopt;
}

bool matches_strongly(const EntityTag& a, const EntityTag& b) noexcept {
  return !a.is_weak && !b.is_weak && a.opaque == b.opaque;
}

bool matches_weakly(const EntityTag& a, const EntityTag& b) noexcept {
  return a.opaque == b.opaque;
}

Validators validators_of(const FieldList& response, int64_t received) noexcept {
  Validators out;
  const Field* etag = response.find(FieldId::kEtag);
  if (etag != nullptr && !response.is_repeated(FieldId::kEtag)) {
    out.etag = parse_entity_tag(etag->value);
  }
  out.last_modified = only_date(response, FieldId::kLastModified, received);
  out.date = only_date(response, FieldId::kDate, received).value_or(received);
  return out;
}

Precondition evaluate_preconditions(const RequestHead& request, const Validators& validators,
                                    int64_t now) noexcept {
  const FieldList& fields = request.fields;
  const bool is_read = request.method == Method::get || request.method == Method::head;
  Precondition verdict = Precondition::none;
  if (fields.has(FieldId::kIfMatch)) {
    if (!if_match_holds(fields, validators)) return Precondition::failed;
    verdict = Precondition::proceed;
  } else if (const auto since = only_date(fields, FieldId::kIfUnmodifiedSince, now);
             since && validators.last_modified) {
    if (*validators.last_modified > *since) return Precondition::failed;
    verdict = Precondition::proceed;
  }
  if (fields.has(FieldId::kIfNoneMatch)) {
    if (if_none_match_holds(fields, validators)) return Precondition::proceed;
    return is_read ? Precondition::not_modified : Precondition::failed;
  }
  const auto modified = validators.last_modified ? validators.last_modified : validators.date;
  const auto since = only_date(fields, FieldId::kIfModifiedSince, now);
  if (!is_read || !since || !modified) return verdict;
  return *modified <= *since ? Precondition::not_modified : Precondition::proceed;
}

bool has_condition_or_range(const FieldList& request) noexcept {
  for (const Field& field : request) {
    switch (field.id) {
      case FieldId::kIfMatch:
      case FieldId::kIfNoneMatch:
      case FieldId::kIfModifiedSince:
      case FieldId::kIfUnmodifiedSince:
      case FieldId::kIfRange:
      case FieldId::kRange:
        return true;
      default:
        break;
    }
  }
  return false;
}

bool has_origin_precondition(const FieldList& request) noexcept {
  return request.has(FieldId::kIfMatch) || request.has(FieldId::kIfUnmodifiedSince);
}

bool if_range_holds(const FieldList& request, const Validators& validators, int64_t now) noexcept {
  const Field* field = request.find(FieldId::kIfRange);
  if (field == nullptr) return true;
  if (request.is_repeated(FieldId::kIfRange)) return false;
  if (const auto tag = parse_entity_tag(field->value)) {
    return validators.etag && matches_strongly(*tag, *validators.etag);
  }
  const auto date = parse_http_date(field->value, now);
  return date && is_last_modified_strong(validators) && *date == *validators.last_modified;
}

}  // namespace sluice::http
