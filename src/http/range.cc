#include "sluice/http/range.h"

#include <algorithm>

#include "sluice/base/strings.h"

namespace sluice::http {
namespace {

constexpr std::string_view kUnit = "bytes";
constexpr std::string_view kDelimiter = "\r\n--";
constexpr std::string_view kTypeLine = "\r\nContent-Type: ";
constexpr std::string_view kRangeLine = "\r\nContent-Range: ";
constexpr std::string_view kHeadEnd = "\r\n\r\n";
constexpr std::string_view kEnd = "--\r\n";

// Digits at the front of `rest`; a number beyond all lengths is as good as the largest.
std::optional<uint64_t> take_number(std::string_view& rest) noexcept {
  size_t size = 0;
  uint64_t value = 0;
  for (; size < rest.size() && is_digit(rest[size]); ++size) {
    const auto digit = static_cast<uint64_t>(rest[size] - '0');
    value = value > (UINT64_MAX - digit) / 10 ? UINT64_MAX : value * 10 + digit;
  }
  if (size == 0) return std::nullopt;
  rest.remove_prefix(size);
  return value;
}

bool take(std::string_view& rest, char wanted) noexcept {
  if (!rest.starts_with(wanted)) return false;
  rest.remove_prefix(1);
  return true;
}

// RFC 9110 section 14.1.1: int-range or suffix-range.
std::optional<RangeSpec> parse_spec(std::string_view text) noexcept {
  RangeSpec spec;
  spec.first = take_number(text);
  if (!take(text, '-')) return std::nullopt;
  spec.last = take_number(text);
  const bool says_something = spec.first || spec.last;
  const bool is_backwards = spec.first && spec.last && *spec.first > *spec.last;
  if (!text.empty() || !says_something || is_backwards) return std::nullopt;
  return spec;
}

std::optional<RangeSpecs> parse_specs(std::string_view list) noexcept {
  RangeSpecs specs;
  const bool is_good = for_each_element(list, [&](std::string_view text) {
    const auto spec = parse_spec(text);
    if (!spec || specs.count == RangeSpecs::kMost) return false;
    specs.items[specs.count++] = *spec;
    return true;
  });
  if (!is_good || specs.count == 0) return std::nullopt;
  return specs;
}

// RFC 9110 section 14.1.2; `length` is not 0.
std::optional<ByteRange> resolve(const RangeSpec& spec, uint64_t length) noexcept {
  if (!spec.first) {
    if (*spec.last == 0) return std::nullopt;
    return ByteRange{length - std::min(*spec.last, length), length - 1};
  }
  if (*spec.first >= length) return std::nullopt;
  return ByteRange{*spec.first, std::min(spec.last.value_or(UINT64_MAX), length - 1)};
}

bool overlap(const ByteRange& a, const ByteRange& b) noexcept {
  return a.first <= b.last && b.first <= a.last;
}
// The numbers are below a length, so one more is a number still.
bool touch(const ByteRange& a, const ByteRange& b) noexcept {
  return a.first <= b.last + 1 && b.first <= a.last + 1;
}

// Takes all that `range` touches out of `out` and into it; the place of the first of them. Once is
// enough: what touches neither of two that are joined does not touch the whole.
size_t absorb(ByteRange& range, ByteRanges& out) noexcept {
  size_t place = out.count;
  for (size_t i = 0; i < out.count;) {
    if (!touch(range, out.items[i])) {
      ++i;
      continue;
    }
    range = {std::min(range.first, out[i].first), std::max(range.last, out[i].last)};
    std::copy(out.begin() + i + 1, out.end(), out.items.begin() + static_cast<ptrdiff_t>(i));
    --out.count;
    place = std::min(place, i);
  }
  return std::min(place, out.count);
}

void insert(const ByteRange& range, size_t place, ByteRanges& out) noexcept {
  const auto at = out.items.begin() + static_cast<ptrdiff_t>(place);
  const auto end = out.items.begin() + static_cast<ptrdiff_t>(out.count);
  std::copy_backward(at, end, end + 1);
  out.items[place] = range;
  ++out.count;
}

size_t count_digits(uint64_t number) noexcept {
  char digits[20];
  return write_decimal(digits, number);
}

size_t content_range_size(const ByteRange& range, uint64_t length) noexcept {
  return kUnit.size() + 1 + count_digits(range.first) + 1 + count_digits(range.last) + 1 +
         count_digits(length);
}

}  // namespace

std::optional<RangeSpecs> parse_range(const RequestHead& request) noexcept {
  const Field* field = request.fields.find(FieldId::kRange);
  if (field == nullptr || request.method != Method::get ||
      request.fields.is_repeated(FieldId::kRange)) {
    return std::nullopt;
  }
  const size_t equals = field->value.find('=');
  if (equals == std::string_view::npos ||
      !equals_ignore_case(field->value.substr(0, equals), kUnit)) {
    return std::nullopt;
  }
  return parse_specs(field->value.substr(equals + 1));
}

RangeVerdict resolve_ranges(const RangeSpecs& specs, uint64_t length, ByteRanges& out) noexcept {
  // RFC 9110 section 14.2 names more than two overlapping ranges as a sign of an attack.
  constexpr size_t kMostOverlaps = 2;
  size_t overlaps = 0;
  out.count = 0;
  for (const RangeSpec& spec : specs) {
    auto range = length == 0 ? std::nullopt : resolve(spec, length);
    if (!range) continue;
    const bool is_over = std::any_of(
        out.begin(), out.end(), [&](const ByteRange& earlier) { return overlap(*range, earlier); });
    if (is_over && ++overlaps > kMostOverlaps) return RangeVerdict::whole;
    const size_t place = absorb(*range, out);
    insert(*range, place, out);
  }
  return out.count > 0 ? RangeVerdict::partial : RangeVerdict::unsatisfiable;
}

std::optional<ContentRange> parse_content_range(std::string_view value) noexcept {
  const size_t space = value.find(' ');
  if (space == std::string_view::npos || !equals_ignore_case(value.substr(0, space), kUnit)) {
    return std::nullopt;
  }
  std::string_view rest = value.substr(space + 1);
  ContentRange out;
  if (!take(rest, '*')) {
    const auto first = take_number(rest);
    if (!first || !take(rest, '-')) return std::nullopt;
    const auto last = take_number(rest);
    // The largest number stands for those beyond it, which no representation reaches.
    if (!last || *last < *first || *last == UINT64_MAX) return std::nullopt;
    out.range = ByteRange{*first, *last};
  }
  if (!take(rest, '/')) return std::nullopt;
  if (!out.range || !take(rest, '*')) {
    out.length = take_number(rest);
    if (!out.length || (out.range && *out.length <= out.range->last)) return std::nullopt;
  }
  if (!rest.empty()) return std::nullopt;
  return out;
}

size_t write_content_range(char* out, const ContentRange& range) noexcept {
  size_t size = kUnit.copy(out, kUnit.size());
  out[size++] = ' ';
  if (range.range) {
    size += write_decimal(out + size, range.range->first);
    out[size++] = '-';
    size += write_decimal(out + size, range.range->last);
  } else {
    out[size++] = '*';
  }
  out[size++] = '/';
  if (range.length) return size + write_decimal(out + size, *range.length);
  out[size++] = '*';
  return size;
}

uint64_t MultipartRanges::body_size(const ByteRanges& ranges) const noexcept {
  uint64_t size = end_size();
  for (const ByteRange& range : ranges) size += part_head_size(range) + range.size();
  return size;
}

void MultipartRanges::write_part_head(const ByteRange& range, ChainWriter& out) const {
  char value[kMostContentRange];
  out.write(kDelimiter);
  out.write(boundary_);
  if (!content_type_.empty()) {
    out.write(kTypeLine);
    out.write(content_type_);
  }
  out.write(kRangeLine);
  out.write({value, write_content_range(value, {range, length_})});
  out.write(kHeadEnd);
}

void MultipartRanges::write_end(ChainWriter& out) const {
  out.write(kDelimiter);
  out.write(boundary_);
  out.write(kEnd);
}

size_t MultipartRanges::part_head_size(const ByteRange& range) const noexcept {
  const size_t type = content_type_.empty() ? 0 : kTypeLine.size() + content_type_.size();
  return kDelimiter.size() + boundary_.size() + type + kRangeLine.size() +
         content_range_size(range, length_) + kHeadEnd.size();
}

size_t MultipartRanges::end_size() const noexcept {
  return kDelimiter.size() + boundary_.size() + kEnd.size();
}

}  // namespace sluice::http
