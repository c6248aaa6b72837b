// What a cache reads in fields: directives only ever get stricter, dates and ranges survive being
// written, ranges stay in bounds, and a normal form is normal. The input is lines "name: value".
#include <algorithm>
#include <vector>

#include "heads.h"
#include "sluice/base/strings.h"
#include "sluice/http/accept.h"
#include "sluice/http/cache_control.h"
#include "sluice/http/conditional.h"
#include "sluice/http/http_date.h"
#include "sluice/http/range.h"
#include "sluice/http/structured.h"

using namespace sluice;
using namespace sluice::http;
using namespace sluice::http::fuzz;

namespace {

constexpr int64_t kNow = 1798761599;
constexpr size_t kMostLines = 32;

std::vector<Field> split_lines(std::string_view bytes) {
  std::vector<Field> fields;
  while (!bytes.empty() && fields.size() < kMostLines) {
    const size_t end = std::min(bytes.find('\n'), bytes.size());
    const std::string_view line = bytes.substr(0, end);
    const size_t colon = std::min(line.find(':'), line.size());
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = trim(line.substr(std::min(colon + 1, line.size())));
    fields.push_back({name, value, field_id(name)});
    bytes.remove_prefix(std::min(end + 1, bytes.size()));
  }
  return fields;
}

void check_delta(const std::optional<Seconds>& delta) {
  expect(!delta || (delta->count() >= 0 && *delta <= kMostDelta), "a delta is in bounds");
}

void check_response(const ResponseDirectives& all) {
  check_delta(all.max_age);
  check_delta(all.s_maxage);
  check_delta(all.stale_while_revalidate);
  check_delta(all.stale_if_error);
  expect(!all.no_cache_fields.names("") && !all.private_fields.names(""), "no name is empty");
}

bool is_same(const ResponseDirectives& a, const ResponseDirectives& b) {
  return a.is_present == b.is_present && a.no_store == b.no_store && a.no_cache == b.no_cache &&
         a.is_private == b.is_private && a.is_public == b.is_public && a.max_age == b.max_age &&
         a.s_maxage == b.s_maxage && a.stale_if_error == b.stale_if_error &&
         // With more names than there is room for it is no-cache for all, and then they do not
         // count.
         (a.no_cache || a.no_cache_fields.names("a") == b.no_cache_fields.names("a"));
}

void check_directives(std::vector<Field> fields) {
  const ResponseDirectives all = parse_response_directives(FieldList(fields));
  check_response(all);
  std::reverse(fields.begin(), fields.end());
  expect(is_same(parse_response_directives(FieldList(fields)), all), "lines have no order");
  const RequestDirectives asked = parse_request_directives(FieldList(fields));
  for (const auto& delta :
       {asked.max_age, asked.max_stale, asked.min_fresh, asked.stale_if_error}) {
    check_delta(delta);
  }
  fields.push_back({"cache-control", "no-store, max-age=5", FieldId::kCacheControl});
  const ResponseDirectives more = parse_response_directives(FieldList(fields));
  expect(more.no_store && more.max_age <= Seconds(5), "a further line is heard");
  expect(!all.max_age || *more.max_age <= *all.max_age, "a further line lengthens nothing");
  const auto targeted = parse_targeted_directives(FieldList(fields), "cdn-cache-control");
  if (targeted) check_response(*targeted);
  const ReceivedAge age = parse_age(FieldList(fields));
  check_delta(age.age);
}

void check_date(std::string_view text) {
  const auto seconds = parse_http_date(text, kNow);
  if (!seconds || *seconds < 0) return;
  char out[29];
  write_http_date(out, *seconds);
  expect(parse_http_date({out, 29}, kNow) == *seconds, "a date survives being written");
}

void check_entity_tag(std::string_view text) {
  const auto tag = parse_entity_tag(text);
  if (!tag) return;
  const std::string again =
      std::string(tag->is_weak ? "W/\"" : "\"").append(tag->opaque).append("\"");
  expect(again == text, "a tag is all of its text");
  expect(matches_weakly(*tag, *tag) && matches_strongly(*tag, *tag) != tag->is_weak,
         "a tag matches itself");
}

void check_preconditions(RequestHead request) {
  const Validators validators = validators_of(request.fields, kNow);
  const auto read = evaluate_preconditions(request, validators, kNow);
  const bool has_none_match = request.fields.has(FieldId::kIfNoneMatch);
  expect(read != Precondition::failed || has_origin_precondition(request.fields),
         "only the origin's preconditions fail a read");
  expect(read == Precondition::none || has_condition_or_range(request.fields),
         "a request without conditions goes on");
  request.method = Method::put;
  const auto written = evaluate_preconditions(request, validators, kNow);
  expect(written != Precondition::not_modified, "a write is never 304");
  expect(
      written != Precondition::failed || has_none_match || has_origin_precondition(request.fields),
      "nothing fails by itself");
  expect(if_range_holds(request.fields, validators, kNow) || request.fields.has(FieldId::kIfRange),
         "absent If-Range holds");
}

void check_ranges(const RangeSpecs& specs, uint64_t length, ChunkPool& pool) {
  ByteRanges ranges;
  if (resolve_ranges(specs, length, ranges) != RangeVerdict::partial) return;
  expect(ranges.count > 0 && ranges.count <= specs.count, "some ranges, no more than asked for");
  const MultipartRanges frame("b", "a/b", length);
  uint64_t size = 0;
  Chain chain;
  {
    ChainWriter out(pool, chain);
    for (const ByteRange& range : ranges) {
      expect(range.first <= range.last && range.last < length, "a range is in bounds");
      for (const ByteRange& other : ranges) {
        expect(&other == &range || other.last < range.first || range.last < other.first,
               "ranges are apart");
      }
      frame.write_part_head(range, out);
      size += range.size();
    }
    frame.write_end(out);
  }
  expect(frame.body_size(ranges) == size + chain.size(), "the size is known before");
}

void check_content_range(std::string_view value) {
  const auto range = parse_content_range(value);
  if (!range) return;
  char out[kMostContentRange];
  const std::string_view text(out, write_content_range(out, *range));
  const auto again = parse_content_range(text);
  expect(again && again->length == range->length &&
             again->range.has_value() == range->range.has_value(),
         "Content-Range survives being written");
}

void check_normal_form(const FieldList& fields, std::string_view name, Arena& arena) {
  const auto text = normal_selecting_field(fields, name, arena);
  if (!text) return;
  size_t most = 0;
  for (const Field& field : fields) {
    if (equals_ignore_case(field.name, name)) most += field.value.size() + 1;
  }
  expect(text->size() <= most, "a normal form is no longer than what came");
  const Field once{name, trim(*text), field_id(name)};
  const auto again = normal_selecting_field(FieldList({&once, 1}), name, arena);
  expect(again && *again == once.value, "a normal form is normal");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::vector<Field> rows = split_lines(bytes);
  ChunkPool pool;
  Arena arena(pool);
  RequestHead request;
  request.method = Method::get;
  request.fields = FieldList(rows);
  check_directives(rows);
  check_preconditions(request);
  if (const auto specs = parse_range(request)) {
    for (uint64_t length : {uint64_t{0}, uint64_t{1}, uint64_t{100}, UINT64_MAX / 2}) {
      check_ranges(*specs, length, pool);
    }
  }
  for (const Field& field : rows) {
    check_date(field.value);
    check_entity_tag(field.value);
    check_content_range(field.value);
    check_normal_form(request.fields, field.name, arena);
    parse_string_list(request.fields, field.name, arena);
    const LanguageWeight weight = weigh_language(request.fields, field.value);
    expect(weight.weight <= weight.best && weight.best <= 1000, "a weight is in bounds");
  }
  return 0;
}
